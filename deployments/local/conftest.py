"""A whole stack for the tests: `stack.py up` with ports and folders of its own, and ways to hurt it."""

import functools
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest
import redis
from playwright.sync_api import sync_playwright

from access import api

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("posts", "likes", "reposts", "follows", "blocks")
# The length of a window and of the schedule in these tests; a busy machine needs more than the default.
SECONDS = int(os.environ.get("WINDOW_SECONDS") or 10)
LABEL = f"{SECONDS}s" if SECONDS % 60 else f"{SECONDS // 60}m"  # as files are named

# Stands before the binary on PATH: while the file `slow` exists, a drain pauses before it begins,
# so that a test can meet it alive. exec keeps the process, hence its signals and its parent's death.
WRAPPER = """#!/bin/sh
if [ "$1" = run ] && [ -e "{state}/slow" ]; then
  trap 'kill $!; exit 143' TERM
  sleep "$(cat "{state}/slow")" & wait
fi
exec "{binary}" "$@"
"""


class Stack:
    def __init__(self, folder: Path, **settings: str) -> None:
        self.state = folder / "state"
        self.data = self.state / "data"
        self.port, self.redis_port = free_port(), free_port()
        self.watching = {name: str(free_port()) for name in ("EXPORTER_PORT", "REDIS_EXPORTER_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT")}
        self.slack = Slack(folder / "slack")
        self.binary = ROOT / "bin/datawriter"
        wrapper = folder / "bin/datawriter"
        wrapper.parent.mkdir()
        wrapper.write_text(WRAPPER.format(state=self.state, binary=self.binary))
        wrapper.chmod(0o755)
        self.env = os.environ | {
            "STATE": str(self.state), "PREFECT_PORT": str(self.port), "REDIS_PORT": str(self.redis_port),
            "WINDOW": f"{SECONDS}s", "RATE": "1500", "DETACH": "1", "BIN_DIR": str(wrapper.parent), "SLACK": str(self.slack.folder),
            # Of the runs that wait for their turn one begins at each look: on this schedule as many as join them.
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        } | self.watching | settings

    def command(self, verb: str) -> subprocess.CompletedProcess:
        done = subprocess.run([sys.executable, str(ROOT / "deployments/local/stack.py"), verb],
                              env=self.env, capture_output=True, text=True, timeout=1500)
        print(done.stdout, done.stderr)
        return done

    def up(self) -> None:
        done = self.command("up")
        assert done.returncode == 0
        self.login = re.search(r"log in with +(\S+)", done.stdout)[1]

    def down(self) -> None:
        assert self.command("down").returncode == 0

    def supervisor(self, *arguments: str) -> str:
        command = [str(Path(sys.prefix) / "bin/supervisorctl"), "-s", f"unix://{self.state}/supervisor.sock", *arguments]
        return subprocess.run(command, capture_output=True, text=True).stdout

    def secret(self, name: str) -> str:
        return (self.state / "secrets" / name).read_text()

    def forget(self) -> None:
        """Other passwords hold from now on."""
        for name in ("redis", "server"):
            self.__dict__.pop(name, None)

    @functools.cached_property
    def redis(self) -> redis.Redis:
        return redis.Redis(port=self.redis_port, username="admin", password=self.secret("redis_admin"), decode_responses=True)

    @functools.cached_property
    def server(self) -> api.Server:
        return api.Server(f"http://127.0.0.1:{self.port}/api", self.secret("prefect_auth"), timeout=30)

    def sh(self, command: str) -> subprocess.CompletedProcess:
        """A command in a person's terminal, which has been told of the stack as `make up` says."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("DATAWRITER_", "PREFECT_"))}
        return subprocess.run(["bash", "-c", f". '{self.state}/env' && {command}"], cwd=ROOT, env=own, capture_output=True, text=True)

    def api(self, path: str, body=None, method: str | None = None):
        for attempt in range(240):  # a server that was killed takes a while to come back
            try:
                return self.server.ask(path, body, method)
            except (OSError, ValueError):
                if attempt == 239:
                    raise
                time.sleep(0.5)

    def runs(self, *types: str, name: str | None = None) -> list[dict]:
        """Flow runs of drain-window in those state types, newest first."""
        wanted = {"state": {"type": {"any_": list(types)}}}
        if name:
            wanted["name"] = {"any_": [name]}
        return self.api("/flow_runs/filter", {"limit": 200, "sort": "EXPECTED_START_TIME_DESC", "flow_runs": wanted,
                                              "deployments": {"name": {"any_": ["drain-window"]}}})

    def publishers(self) -> dict[str, list[str]]:
        """The names of the runs that published parts, and those of the windows that each of them wrote."""
        tables = self.api("/artifacts/filter", {"limit": 200, "sort": "CREATED_DESC", "artifacts": {"key": {"any_": ["drained-window"]}}})
        names = {run["id"]: run["name"] for run in self.runs("COMPLETED")}
        found: dict[str, list[str]] = {}
        for table in tables:
            windows = {row["window"].partition("/")[0].replace(":00Z", "Z") for row in json.loads(table["data"]) if row["parts"]}
            if windows:
                found.setdefault(names[table["flow_run_id"]], []).extend(sorted(windows))
        return found

    def run_now(self, deployment: str = "drain-window", state: dict | None = None, **parameters) -> str:
        """Starts a run by hand, or leaves it in that state; returns its ID."""
        found = self.api(f"/deployments/name/{deployment}/{deployment}")
        return self.api(f"/deployments/{found['id']}/create_flow_run",
                        {"parameters": found["parameters"] | parameters, "state": state or {"type": "SCHEDULED"}})["id"]

    def state_of(self, run: str) -> dict:
        return self.api(f"/flow_runs/{run}")["state"]

    def finished(self, run: str, seconds: float = 600) -> dict:
        final = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
        wait(lambda: self.state_of(run)["type"] in final, seconds, lambda: f"run {run} ends: {self.state_of(run)}")
        return self.state_of(run)

    def slow(self, seconds: int) -> None:
        (self.state / "slow").write_text(str(seconds))

    def fast(self) -> None:
        (self.state / "slow").unlink(missing_ok=True)

    def processes(self, *words: str) -> list[int]:
        """Processes of this stack whose command line holds all those words."""
        mark, found = f"STATE={self.state}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                # Redis writes its title over its environment: it is known by its port.
                ours = f":{self.redis_port}" in command or mark in (folder / "environ").read_bytes().split(b"\0")
                if ours and all(word in command for word in words):
                    found.append(int(folder.name))
            except OSError:
                continue
        return [pid for pid in found if pid != os.getpid()]

    def kill(self, *words: str) -> list[int]:
        victims = self.processes(*words)
        assert victims, f"no process {words} to kill"
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        return victims

    def windows(self) -> list[str]:
        """The windows that have a part 0 of every kind, as the stems of their names, oldest first."""
        stems = [{path.name.removesuffix("-00.parquet") for path in self.data.glob(f"2*/*/*/*/{kind}/*-00.parquet")} for kind in KINDS]
        return sorted(set.intersection(*stems))

    def drained_up_to(self, moment: datetime, seconds: float = 600) -> None:
        """Waits until the window that holds that moment is drained."""
        start = moment.timestamp() // SECONDS * SECONDS
        stem = f"{datetime.fromtimestamp(start, timezone.utc):%Y%m%dT%H%M%SZ}-{LABEL}"
        wait(lambda: stem in self.windows(), seconds, lambda: f"{stem} is drained; there are {self.windows()[-3:]}")

    def goes_on(self, seconds: float = 600) -> None:
        """A window that begins after now is drained by itself."""
        self.drained_up_to(datetime.now(timezone.utc) + timedelta(seconds=SECONDS), seconds)

    def no_zombies(self) -> None:
        """No run is Running, Pending or Cancelling for longer than three minutes, no binary runs without its flow."""
        def old() -> list[str]:
            limit = datetime.now(timezone.utc) - timedelta(minutes=3)
            return [run["name"] for run in self.runs("RUNNING", "PENDING", "CANCELLING")
                    if datetime.fromisoformat(run["state"]["timestamp"]) < limit]
        assert old() == []
        orphans = [pid for pid in self.processes("run", "--window") if parent(pid) == 1]
        assert orphans == []

    def whole(self) -> None:
        """Every entry that was ever added is in exactly one row or reject, or still waits in its stream."""
        self.supervisor("stop", "simulate")
        end = datetime.now(timezone.utc)
        self.drained_up_to(end)
        for kind in KINDS:
            stream = f"bluesky:{{{kind}}}"
            added = self.redis.xinfo_stream(stream)["entries-added"]
            rows, distinct = self.count(f"2*/*/*/*/{kind}/*.parquet")
            rejects, _ = self.count(f"_rejected/2*/*/*/*/{kind}/*.parquet")
            assert rows == distinct, f"{kind}: {rows - distinct} double"
            assert rows + rejects + self.redis.xlen(stream) == added, f"{kind}: {rows} rows, {rejects} rejects of {added} entries"
        self.verify()
        self.supervisor("start", "simulate")

    def count(self, pattern: str) -> tuple[int, int]:
        """Rows and distinct entry IDs below a pattern."""
        if not list(self.data.glob(pattern)):
            return 0, 0
        return duckdb.sql(f"SELECT count(*), count(DISTINCT (ingested_at, ingest_seq)) FROM '{self.data}/{pattern}'").fetchall()[0]

    def verify(self) -> None:
        stems = self.windows()
        first, last = (datetime.strptime(stem[:16], "%Y%m%dT%H%M%SZ") for stem in (stems[0], stems[-1]))
        expected = int((last - first).total_seconds() // SECONDS) + 1
        assert len(stems) == expected, f"{expected - len(stems)} windows are missing between {stems[0]} and {stems[-1]}"
        window = f"{first:%Y-%m-%dT%H:%M:%SZ}/{last + timedelta(seconds=SECONDS):%Y-%m-%dT%H:%M:%SZ}"
        done = self.sh(f"datawriter verify --window {window}")
        assert done.returncode == 0, done.stdout + done.stderr


class Slack(http.server.ThreadingHTTPServer):
    """Takes what is sent to the webhook whose URL stands in its folder."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Slack.Webhook)
        self.messages: list[dict] = []
        self.folder = folder
        folder.mkdir()
        (folder / "slack_url").write_text(f"http://127.0.0.1:{self.server_port}/services/first")
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Webhook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.server.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_) -> None:
            pass


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("s"))
    try:
        stack.up()
        yield stack
    finally:
        stack.fast()
        stack.down()
    assert stack.processes() == []


# The machine may be closed off: Chromium must not look for its maker's hosts. Every name is this machine, also that of a
# stranger.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.example 127.0.0.1"]


@pytest.fixture(scope="module")
def browser():
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert chromium, "no Chromium on PATH: install your system's chromium package"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


def log_in(page, login: str) -> None:
    """As a person does, once: with the line that `make up` prints."""
    page.goto("/login")
    page.get_by_placeholder("admin:pass").fill(login)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(ready, seconds: float, what=lambda: "it is ready") -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} seconds until {what()}")
        time.sleep(0.3)
