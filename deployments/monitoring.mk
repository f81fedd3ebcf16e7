# What is measured of the alerts, beyond `make test-monitoring`.

.PHONY: alert-delays

alert-delays: redis tools ## how long after its condition each alert reaches Slack, in real time (40 minutes): OUT=folder keeps the messages
	@export TEST_REDIS_SERVER="$$(cat $(CACHE)/redis-server)"; \
	$(GO) test -v -count=1 -timeout=80m -run='TestAlertsReachTheirChannel|TestMessagesOutliveTheirChannel' ./deployments -faster=1 $(if $(OUT),-samples=$(abspath $(OUT)))
