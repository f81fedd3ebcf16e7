# The validation programme (docs/validation.md).

.PHONY: validate-quick validate-all

test: validate-quick

validate-quick: build redis tools ## the quick version of every validation step that needs no running stack
	$(SAY) "the validation programme, its quick version"
	@set -o pipefail; $(BIN) validate all --quick --redis-server "$$(cat $(CACHE)/redis-server)" --report $(CACHE)/reports | \
	grep -vE '^ok |^status |^$$' # the report has the whole tables

validate-all: build redis ## every validation step in full, with a report below reports/
	$(BIN) validate all --redis-server "$$(cat $(CACHE)/redis-server)"
