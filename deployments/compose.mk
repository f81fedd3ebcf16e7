# Docker compose: secrets, and the test of the whole file.

LAB_DIR ?= ../shared/compose-lab

.PHONY: secrets test-compose faults-compose

secrets: ## what docker compose needs before its first start: SLACK_URL=…
	deployments/compose/secrets.sh

test-compose: $(VENV)/.ready-test ## docker-compose.yml, unmodified, on stand-in images: LAB_DIR=… or on Docker itself: LAB_DIR=
	LAB_DIR="$(LAB_DIR)" $(VENV)/bin/python -m pytest -v -x -s -p no:cacheprovider deployments/compose/test_compose.py

faults-compose: $(VENV)/.ready-test ## its services killed and paused, the engine restarted and killed, the host shut down (an hour)
	LAB_DIR="$(LAB_DIR)" $(VENV)/bin/python -m pytest -v -s -p no:cacheprovider deployments/compose/test_faults.py
