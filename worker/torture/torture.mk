# Faults of every kind against the real binary and real servers (docs/reliability.md).

SEEDS     ?= 1000
SEED      ?= 1
FAILOVERS ?= 24

# The tests start the program as a process, so Go does not see when their result is
# out of date: -count=1.
TORTURE := $(GO) test ./worker/torture -count=1 -timeout

INGEST := $(GO) test ./worker/torture/ingest -count=1 -timeout

.PHONY: torture torture-core

torture-core: redis jetstream-servers ## what of the torture belongs to every test run: the sweep's core, every mutant, 25 random schedules, a small live source
	$(SAY) "the core of the torture: every way in which a drain and a live source can die"
	@export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)" TEST_JETSTREAM=$(CACHE)/jetstream; $(TORTURE) 30m && $(INGEST) 10m -parallel 6

torture: redis ## every crash point, every mutant, SEEDS random schedules (1000) from SEED on, FAILOVERS (24)
	@set -o pipefail; export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; \
	$(TORTURE) 0 -v -full -seeds $(SEEDS) -seed $(SEED) -failovers $(FAILOVERS) | grep -vE '^=== (RUN|PAUSE|CONT|NAME)'

.PHONY: jetstream-servers ingest-torture ingest-soak

# The servers that people run, for tests alone: each from a module file of its own,
# with the hashes of all that belongs to it, so that go.mod knows nothing of them.
SERVERS := worker/torture/ingest/servers
JETSTREAM := github.com/bluesky-social/jetstream/cmd
jetstream-servers: $(CACHE)/jetstream/.ready
$(CACHE)/jetstream/.ready: $(wildcard $(SERVERS)/*) | needs-go
	$(SAY) "builds Bluesky's own Jetstream servers below $(@D) (usually two minutes)"
	@mkdir -p $(@D)
	@for of in v2 v1; do $(GO) mod download -modfile=$(SERVERS)/$$of.mod || exit; done
	@$(GO) build -modfile=$(SERVERS)/v2.mod -o $(@D)/ $(JETSTREAM)/jetstream $(JETSTREAM)/simulator
	@$(GO) build -modfile=$(SERVERS)/v1.mod -o $(@D)/jetstream-v1 $(JETSTREAM)/jetstream
	@touch $@

ready: jetstream-servers

KILLS ?= 30
# `make bench` has another number of events, `make torture` another of seeds.
INGEST_EVENTS = $(if $(filter file,$(origin EVENTS)),1000000,$(EVENTS))
INGEST_SEEDS = $(if $(filter file,$(origin SEEDS)),200,$(SEEDS))

ingest-torture: redis jetstream-servers ## the live source with everything going wrong: SEEDS (200) on real servers, then a million events on a stand-in: EVENTS= (0: none) KILLS=30 SEED=1
	@export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)" TEST_JETSTREAM=$(CACHE)/jetstream; \
	$(INGEST) 0 -v -parallel 6 -run 'TestRealServers|TestLaidOut|TestProduction' -args -long -seeds $(INGEST_SEEDS) -seed $(SEED) && \
	{ [ $(INGEST_EVENTS) = 0 ] || $(INGEST) 0 -v -run TestEachEvent -args -events $(INGEST_EVENTS) -kills $(KILLS) -seed $(SEED); }

ingest-soak: redis ## an hour of the live source at 1,500 events a second, with a drain beside it
	@export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; \
	$(INGEST) 0 -v -run TestThePeak -args -soak 1h
