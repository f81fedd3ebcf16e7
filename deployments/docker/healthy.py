"""Health checks of the Prefect server and worker: exit 0 when ready, 1 with a sentence when not.

    healthy.py server     it answers, and where drain-window is deployed, it plans ahead
    healthy.py worker     a worker of the pool is online, and the server plans ahead

A port that answers is not enough: a server whose scheduler is dead looks fine and never runs anything.
Standard library only: importing Prefect costs seconds of CPU at every look.
"""

import base64
import json
import os
import sys
import tomllib
import urllib.error
import urllib.request
from datetime import datetime, timezone

POOL, DEPLOYMENT = "datawriter", "drain-window"
SERVER = "http://127.0.0.1:4200/api"


def main(role: str) -> str:
    """What is not ready, or nothing."""
    api = SERVER if role == "server" else os.environ["PREFECT_API_URL"]
    try:
        ask(api, "/ready")
        if role == "worker" and not online(api):
            return f"no worker of the pool {POOL} is online"
        return "" if plans_ahead(api) else f"no future run of {DEPLOYMENT} is scheduled"
    except (OSError, ValueError) as error:
        return f"{api}: {error}"


def online(api: str) -> bool:
    return any(worker["status"] == "ONLINE" for worker in ask(api, f"/work_pools/{POOL}/workers/filter", {}))


def plans_ahead(api: str) -> bool:
    """True also where nothing is to be planned: not deployed yet, or paused by somebody."""
    name = {"name": {"any_": [DEPLOYMENT]}}
    if not ask(api, "/deployments/filter", {"deployments": {**name, "paused": {"eq_": False}}}):
        return True
    now = datetime.now(timezone.utc).isoformat()
    future = {"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": {"after_": now}}
    return bool(ask(api, "/flow_runs/filter", {"deployments": name, "flow_runs": future, "limit": 1}))


def ask(api: str, path: str, question=None):
    headers = {"Content-Type": "application/json"}
    if login := auth():
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    body = None if question is None else json.dumps(question).encode()
    with urllib.request.urlopen(urllib.request.Request(api + path, body, headers), timeout=5) as answer:
        return json.load(answer)


def auth() -> str:
    """USER:PASSWORD of the active profile, as Prefect itself reads it."""
    path = os.environ.get("PREFECT_PROFILES_PATH")
    if not path:
        return os.environ.get("PREFECT_API_AUTH_STRING", "")
    with open(path, "rb") as file:
        profiles = tomllib.load(file)
    return profiles["profiles"][profiles["active"]].get("PREFECT_API_AUTH_STRING", "")


if __name__ == "__main__":
    if problem := main(sys.argv[1]):
        print(problem, file=sys.stderr)
        sys.exit(1)
