# Faults of every kind against the real binary and real servers (docs/reliability.md).

SEEDS     ?= 1000
SEED      ?= 1
FAILOVERS ?= 24

.PHONY: torture

torture: redis ## every crash point, every mutant, SEEDS random schedules (1000) from SEED on, FAILOVERS (24)
	@set -o pipefail; export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; \
	$(GO) test ./worker/torture -count=1 -timeout 0 -v -full -seeds $(SEEDS) -seed $(SEED) -failovers $(FAILOVERS) \
	  | grep -vE '^=== (RUN|PAUSE|CONT|NAME)'
