"""The compose file, unmodified, in a folder and with secrets of its own, and ways to hurt what it runs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "deployments/prefect"))
import api  # noqa: E402

LAB = os.environ.get("LAB_DIR", "../shared/compose-lab")

# What the images and the services need of the repository.
TREE = ("docker-compose.yml", ".dockerignore", ".env.example", "go.mod", "go.sum", "worker", "flows", "deployments", "prefect.yaml")

# Knobs that differ from .env.example: a fast schedule, ports beside those of a stack that somebody uses.
KNOBS = {"WINDOW": "1m", "PREFECT_PORT": "14200", "GRAFANA_PORT": "13000", "PROMETHEUS_PORT": "19090", "ALERTMANAGER_PORT": "19093"}

# A machine that does everything at once is slow.
PATIENCE = int(os.environ.get("PATIENCE") or 600)

# All but `deploy`, which ends.
LONG_RUNNING = ("redis", "server", "worker", "simulate", "exporter", "redis-exporter", "prometheus", "alertmanager", "grafana")

# Takes what Alertmanager posts to Slack, and prints it.
RECEIVER = """
import http.server
class Slack(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["content-length"])).decode(), flush=True)
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("", 8080), Slack).serve_forever()
"""


class Stack:
    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder, self.environ = folder, environ

    def sh(self, *command: str, check: bool = True, **options) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.environ, text=True, capture_output=True, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def compose(self, *arguments: str, **options) -> str:
        return self.sh("docker", "compose", *arguments, **options)

    def up(self) -> float:
        """`up --wait`; returns the seconds until everything was ready.

        It gives up at once on a service that is unhealthy at that moment. Docker calls one so that was paused, until its
        next health check has passed, so that is waited for.
        """
        wait_for("health of what runs already", lambda: "unhealthy" not in " ".join(self.states().values()))
        began = time.monotonic()
        pull = ["--pull", "never"] if LAB else []
        self.compose("up", "-d", "--wait", "--wait-timeout", str(PATIENCE), *pull)
        return time.monotonic() - began

    def ids(self) -> dict[str, str]:
        lines = self.compose("ps", "-a", "--format", "{{.Service}} {{.ID}}").split("\n")
        return dict(line.split() for line in lines if line)

    def inspect(self, service: str) -> dict:
        return json.loads(self.sh("docker", "inspect", self.ids()[service]))[0]

    def states(self) -> dict[str, str]:
        """Of each container that is not stopped: `running`, `running healthy`, `restarting unhealthy` …"""
        lines = self.compose("ps", "--format", "{{.Service}} {{.State}} {{.Health}}").splitlines()
        return {service: state.strip() for service, _, state in (line.partition(" ") for line in lines)}

    def all_healthy(self) -> bool:
        states = self.states()
        return states.keys() >= set(LONG_RUNNING) and set(states.values()) <= {"running healthy", "running"}

    def kill(self, service: str) -> None:
        """As the kernel kills: the engine would take its own `docker kill` for a wish, and leave it dead."""
        os.kill(self.inspect(service)["State"]["Pid"], signal.SIGKILL)

    def secret(self, name: str) -> str:
        return (self.folder / "deployments/secrets" / name).read_text()

    def prefect(self, path: str, question: dict, password: str | None = None):
        return self.prefect_call("POST", path, question, password)

    def prefect_call(self, method: str, path: str, question: dict | None = None, password: str | None = None):
        login = self.secret("prefect_auth") if password is None else f"admin:{password}"
        return api.Server(f"http://127.0.0.1:{KNOBS['PREFECT_PORT']}/api", login, timeout=20).ask(path, question, method)

    def prometheus(self, path: str):
        return ask(f"http://127.0.0.1:{KNOBS['PROMETHEUS_PORT']}/api/v1/{path}")["data"]

    def redis(self, *command: str) -> str:
        return self.compose("exec", "-T", "-e", "REDISCLI_AUTH=" + self.secret("redis_admin"), "redis", "redis-cli", "--user", "admin", *command)

    def files(self) -> list[str]:
        return self.compose("exec", "-T", "worker", "find", "/data", "-name", "*.parquet", "-not", "-path", "*/_rejected/*").split()

    def verify(self) -> dict:
        """What `datawriter verify` says of everything; an error unless every promise is kept."""
        return json.loads(self.compose("exec", "-T", "worker", "datawriter", "verify", "--output", "json"))

    def wait_for_files(self, more_than: int, seconds: int = PATIENCE) -> None:
        wait_for("more files", lambda: len(self.files()) > more_than, seconds)

    def receive_slack(self) -> None:
        """Something that takes the messages. It comes back as the stack does when the engine restarts."""
        self.sh("docker", "rm", "-f", "slack", check=False)
        self.sh("docker", "run", "-d", "--name", "slack", "--restart", "always", "--network", "datawriter_back", "--network-alias", "slack",
                "python:3.12-slim-bookworm", "python", "-c", RECEIVER)

    def be_jetstream(self) -> None:
        """A live source for `ingest`, which finds it under this name."""
        program = self.folder / "jetstream"
        subprocess.run(["go", "build", "-o", program, "./worker/ingest/ingesttest/jetstream"], cwd=ROOT, env=os.environ | {"CGO_ENABLED": "0"}, check=True)
        self.sh("docker", "rm", "-f", "jetstream", check=False)
        self.sh("docker", "run", "-d", "--name", "jetstream", "--restart", "always", "--network", "datawriter_back", "--network-alias", "jetstream",
                "-v", f"{program}:/jetstream:ro", "python:3.12-slim-bookworm", "/jetstream", "-listen", ":6008", "-rate", "350")

    def slack(self) -> list[dict]:
        return [json.loads(line) for line in self.sh("docker", "logs", "slack").splitlines() if line]

    def told(self, since: float) -> str:
        """Titles of messages in Slack about something that fires."""
        lines = self.sh("docker", "logs", "--since", f"{since:.0f}", "slack").splitlines()
        titles = [json.loads(line)["attachments"][0]["title"] for line in lines if line]
        return " ".join(title for title in titles if "Resolved" not in title)


def ask(url: str, question: dict | None = None, headers: dict | None = None, method: str = "GET"):
    body = None if question is None else json.dumps(question).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers or {}, method=method), timeout=20) as answer:
        return json.loads(answer.read() or "null")


def wait_for(what: str, ready, seconds: int = PATIENCE) -> float:
    """Returns how long it took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            if ready():
                return time.monotonic() - began
        except (AssertionError, OSError, ValueError, KeyError):
            pass
        time.sleep(1)
    raise AssertionError(f"no {what} after {seconds} seconds")


def engine(action: str) -> None:
    lab("engine-" + action)


def lab(*action: str) -> None:
    subprocess.run([ROOT / "deployments/compose/lab.sh", LAB, *action], cwd=ROOT, check=True)


def lab_environ() -> dict[str, str]:
    """What env.sh of the lab sets, or this environment where Docker itself is asked for."""
    if not LAB:
        return dict(os.environ)
    out = subprocess.run(["bash", "-c", f". '{LAB}/env.sh' && env -0"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return dict(pair.split("=", 1) for pair in out.split("\0") if pair)


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """A stack of its own; with TREE=FOLDER the one that runs from there already, with KNOBS of the same ports."""
    if running := os.environ.get("TREE"):
        yield Stack(Path(running), lab_environ())
        return
    if LAB:
        lab("up")
    folder = tmp_path_factory.mktemp("tree")
    for name in TREE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "secrets"))
        else:
            shutil.copy(ROOT / name, folder / name)
    of = Stack(folder, lab_environ() | {"SLACK_URL": "http://slack:8080/critical", "SLACK_ESCALATION_URL": "http://slack:8080/escalation"})
    of.sh("deployments/compose/secrets.sh")
    with open(folder / ".env", "a") as knobs:
        knobs.writelines(f"{name}={value}\n" for name, value in KNOBS.items())
    try:
        yield of
    finally:
        if not os.environ.get("KEEP"):
            of.sh("docker", "rm", "-f", "slack", "jetstream", check=False)
            of.compose("--profile", "*", "down", "-v", "--timeout", "10")
            if LAB:
                lab("down")
