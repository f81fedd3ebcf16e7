"""Questions to a Prefect server by those who only want to know whether it is ready.

Standard library only: importing Prefect costs seconds of CPU at every look.
"""

import base64
import json
import os
import tomllib
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone

POOL, DEPLOYMENT = "datawriter", "drain-window"


@dataclass
class Server:
    """The API at that URL; login is USER:PASSWORD, or empty. Every question may raise OSError or ValueError."""

    url: str
    login: str
    timeout: float = 10
    tokens: dict[str, str] = field(default_factory=dict)

    def worker_online(self) -> bool:
        return any(worker["status"] == "ONLINE" for worker in self.ask(f"/work_pools/{POOL}/workers/filter", {}))

    def plans_ahead(self) -> bool:
        """A run of drain-window is to come. A server whose scheduler is dead answers, and never runs anything."""
        now = datetime.now(timezone.utc).isoformat()
        future = {"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": {"after_": now}}
        return bool(self.ask("/flow_runs/filter", {"deployments": {"name": {"any_": [DEPLOYMENT]}}, "flow_runs": future, "limit": 1}))

    def scheduled(self) -> bool:
        """drain-window is to run by itself: it is deployed, and nobody has paused it or switched its schedules off."""
        found = self.ask("/deployments/filter", {"deployments": {"name": {"any_": [DEPLOYMENT]}}})
        return any(schedule["active"] for deployment in found if not deployment["paused"] for schedule in deployment["schedules"])

    def ask(self, path: str, question=None, method: str | None = None):
        """The answer to a question, which is a POST where there is no other method, and a GET where there is no question."""
        try:
            return self._send(path, question, method)
        except urllib.error.HTTPError as refused:
            # A server that is protected against forged requests (CSRF) wants a token with all that is no GET.
            if refused.code != 403 or b"CSRF token" not in refused.read():
                raise
        client = str(uuid.uuid4())
        token = self._send(f"/csrf-token?client={client}")["token"]
        self.tokens = {"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": token}
        return self._send(path, question, method)

    def _send(self, path: str, question=None, method: str | None = None):
        headers = {"Content-Type": "application/json"} | self.tokens
        if self.login:
            headers["Authorization"] = "Basic " + base64.b64encode(self.login.encode()).decode()
        body = None if question is None else json.dumps(question).encode()
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=self.timeout) as answer:
            return json.loads(answer.read() or "null")


def login() -> str:
    """USER:PASSWORD of the active profile, as Prefect itself reads it; empty where there is none."""
    path = os.environ.get("PREFECT_PROFILES_PATH")
    if not path:
        return os.environ.get("PREFECT_API_AUTH_STRING", "")
    with open(path, "rb") as file:
        profiles = tomllib.load(file)
    return profiles["profiles"][profiles["active"]].get("PREFECT_API_AUTH_STRING", "")
