# The local stack and the tests of the flows.

VENV := $(CURDIR)/.venv

.PHONY: up down status test-flows e2e e2e-live faults settings browser cost growth flows-requirements

up: build venv redis ## run everything here: SOURCE=live WINDOW=1m RATE=1500 DATA=… STATE=… REDIS_URL=… PREFECT_PORT=… SLACK=… DETACH=1
	$(SAY) "starts Redis, Prefect, its worker and what watches them (usually a minute)"
	@REDIS_SERVER="$$(cat $(CACHE)/redis-server)" $(VENV)/bin/python deployments/local/stack.py up

down: ## end what `make up` started
	@if [ -x $(VENV)/bin/python ]; then $(VENV)/bin/python deployments/local/stack.py down; fi

status: ## what runs of it
	@$(VENV)/bin/python deployments/local/stack.py status

.PHONY: venv
venv: $(VENV)/.ready
$(VENV)/.ready: flows/requirements.txt deployments/local/requirements.txt | needs-python
	$(SAY) "installs Prefect and supervisor below $(VENV) (usually a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r flows/requirements.txt -r deployments/local/requirements.txt
	@touch $@

$(VENV)/.ready-test: flows/requirements-test.txt $(VENV)/.ready
	$(SAY) "installs what the tests in Python need beside them (usually half a minute)"
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r flows/requirements-test.txt
	@touch $@

ready: $(VENV)/.ready-test

test: test-flows

test-flows: $(VENV)/.ready-test ## the flows against a stand-in for the binary, without a server
	$(SAY) "tests of the flows"
	@$(VENV)/bin/python -m pytest -q flows

e2e: build redis tools $(VENV)/.ready-test ## the whole stack on a 10-second schedule: RUNS=12
	$(SAY) "tests of the whole stack on a schedule of ten seconds"
	@REDIS_SERVER="$$(cat $(CACHE)/redis-server)" $(VENV)/bin/python -m pytest -q -x deployments/local/test_stack.py

e2e-live: build redis tools $(VENV)/.ready-test ## the whole stack on a live source, which is a stand-in
	REDIS_SERVER="$$(cat $(CACHE)/redis-server)" $(VENV)/bin/python -m pytest -v deployments/local/test_live.py

faults: build redis $(VENV)/.ready-test ## the whole stack while its parts are killed (half an hour)
	REDIS_SERVER="$$(cat $(CACHE)/redis-server)" $(VENV)/bin/python -m pytest -v deployments/local/test_faults.py

settings: $(VENV)/.ready-test ## what a person changed in the Prefect UI outlives another `make up` and an upgrade
	$(VENV)/bin/python -m pytest -v deployments/local/test_settings.py

browser: build redis tools $(VENV)/.ready-test ## the Prefect UI in a headless Chromium, and what strangers' pages can do
	REDIS_SERVER="$$(cat $(CACHE)/redis-server)" $(VENV)/bin/python -m pytest -v deployments/local/test_browser.py deployments/local/test_strangers.py

cost: build redis $(VENV)/.ready-test ## what a run costs before its binary starts: RUNS=20, on an idle machine
	REDIS_SERVER="$$(cat $(CACHE)/redis-server)" $(VENV)/bin/python deployments/local/cost.py

growth: $(VENV)/.ready ## how large Prefect's database gets: DAYS=30 DATABASE=.local/prefect/prefect.db
	$(VENV)/bin/python deployments/local/growth.py $(or $(DATABASE),.local/prefect/prefect.db)

# Needs uv; the files it writes name no index.
flows-requirements:
	for name in flows/requirements deployments/local/requirements flows/requirements-test; do \
	  uv pip compile --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-header --no-annotate $$name.in -o $$name.txt; \
	done

# The validation programme on stacks of its own: an hour of soak, half an hour of load, an hour of schedule.
.PHONY: soak load schedule validate-stacks
soak: build venv redis ## an hour of 1,500 events a second on a stack of its own, with faults: REPORT=reports
load: build venv redis ## half an hour of 1,500 events a second on a stack of its own
schedule: build venv redis ## ten slots of the schedule on a stack of its own: each run its window
soak load schedule:
	$(BIN) validate $@ --redis-server "$$(cat $(CACHE)/redis-server)" --report $(or $(REPORT),reports) $(VALIDATEFLAGS)

validate-stacks: build venv redis ## pipeline, schedule, load and soak in a quarter of an hour
	for step in pipeline schedule load soak; do $(BIN) validate $$step --quick --redis-server "$$(cat $(CACHE)/redis-server)" || exit; done
