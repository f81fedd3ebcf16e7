# Faults of every kind against the real binary and real servers (docs/reliability.md).

SEEDS     ?= 1000
SEED      ?= 1
FAILOVERS ?= 24

# The tests start the program as a process, so Go does not see when their result is
# out of date: -count=1.
TORTURE := $(GO) test ./worker/torture -count=1 -timeout

INGEST := $(GO) test ./worker/torture/ingest -count=1 -timeout

.PHONY: torture torture-core

torture-core: redis ## what of the torture belongs to every test run: the sweep's core, every mutant, 25 random schedules, a small live source
	@export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; $(TORTURE) 30m && $(INGEST) 10m

torture: redis ## every crash point, every mutant, SEEDS random schedules (1000) from SEED on, FAILOVERS (24)
	@set -o pipefail; export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; \
	$(TORTURE) 0 -v -full -seeds $(SEEDS) -seed $(SEED) -failovers $(FAILOVERS) | grep -vE '^=== (RUN|PAUSE|CONT|NAME)'

.PHONY: ingest-torture ingest-soak

KILLS ?= 30
# `make bench` has another number of events.
INGEST_EVENTS = $(if $(filter file,$(origin EVENTS)),1000000,$(EVENTS))

ingest-torture: redis ## a live source of a million events, everything going wrong, each event once in the files: EVENTS= KILLS=30 SEED=1
	@export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; \
	$(INGEST) 0 -v -run TestEachEvent -args -events $(INGEST_EVENTS) -kills $(KILLS) -seed $(SEED)

ingest-soak: redis ## an hour of the live source at 1,500 events a second, with a drain beside it
	@export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; \
	$(INGEST) 0 -v -run TestThePeak -args -soak 1h
