"""`make up` end to end: a real server, worker, Redis, mock stream and binary, on a 10-second schedule."""

import json
import os
import socket
import subprocess
import urllib.request
from datetime import datetime, timedelta, timezone

import pytest

import stack as stack_py
from conftest import KINDS, ROOT, SECONDS, Stack, wait

# A full proof is 12 runs; RUNS=4 is for a machine that has little time.
RUNS = int(os.environ.get("RUNS") or 12)


def test_scheduled_runs_in_a_row_write_each_its_window_once(stack):
    # The first window may begin in the middle, and the first run may catch up with it.
    wait(lambda: len(stack.runs("COMPLETED")) > 0, 120)
    first = datetime.now(timezone.utc) + timedelta(seconds=SECONDS)
    stack.drained_up_to(first + timedelta(seconds=SECONDS * (RUNS - 1)), SECONDS * RUNS + 180)
    stack.whole()
    runs = [run for run in stack.runs("COMPLETED", "FAILED", "CRASHED", "CANCELLED")]
    # A busy machine is late now and then: a run that catches up spares those that waited.
    assert {run["state"]["name"] for run in runs} <= {"Completed", "Skipped"}
    assert all(run["state"]["message"].startswith("Drained by the run 2") for run in runs if run["state"]["name"] == "Skipped")
    names = [run["name"] for run in runs]
    assert len(names) == len(set(names)) >= RUNS, f"a window was run twice: {names}"
    publishers = stack.publishers()
    windows = [window for published in publishers.values() for window in published]
    assert set(publishers) <= set(names) and len(windows) >= RUNS
    assert len(windows) == len(set(windows)), f"a window was written twice: {publishers}"
    own = [name for name, published in publishers.items() if published == [name]]
    print(f"{len(own)} of {len(windows)} windows written by the run of their own slot, the others by one that caught up")


def test_each_run_shows_the_table_of_its_window(stack):
    latest = stack.runs("COMPLETED")[0]
    artifacts = stack.api("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [latest["id"]]}}})
    tables = {artifact["key"]: json.loads(artifact["data"]) for artifact in artifacts}
    assert [row["kind"] for row in tables["drained-window"]][-len(KINDS):] == list(KINDS)  # before them, windows it caught up with
    assert any(row["rows"] > 0 for row in tables["recent-windows"])
    assert len(tables["recent-windows"]) >= RUNS


def test_everything_is_watched(stack):
    address = {name: f"http://127.0.0.1:{port}" for name, port in stack.watching.items()}
    command = [stack.binary, "validate", "monitoring", "--output", "json", "--prometheus-url", address["PROMETHEUS_PORT"],
               "--alertmanager-url", address["ALERTMANAGER_PORT"], "--alertmanager-auth-file", stack.state / "secrets/alertmanager_auth",
               "--exporter-url", address["EXPORTER_PORT"],
               "--dashboards", ROOT / "deployments/grafana/dashboards"]

    def failing() -> list[dict]:
        report = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
        return [check for check in report["checks"] if check["status"] != "ok"]

    wait(lambda: not failing(), 90, lambda: f"every check passes: {failing()}")


def test_the_ui_answers(stack):
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.port}/", timeout=30) as page:
        assert b"Prefect" in page.read()


@pytest.mark.parametrize("command", [
    "datawriter audit || [ $? = 4 ]",
    "datawriter validate prefect --report '' --prefect-url $PREFECT_API_URL --prometheus-url $DATAWRITER_PROMETHEUS_URL",
    "datawriter doctor --host '' | grep -E '^ok +(redis|prefect|schedule|exporter) '",
    "datawriter ack",
    "amtool --alertmanager.url=$DATAWRITER_ALERTMANAGER_URL alert query",
    "[ $(redis-cli ping) = PONG ]",
    "prefect --no-prompt deployment inspect drain-window/drain-window",
])
def test_a_terminal_that_was_told_of_the_stack_reaches_it(stack, command):
    wait(lambda: stack.sh(command).returncode == 0, 90, lambda: f"{command}: {stack.sh(command)}")


def test_status_lists_what_runs(stack):
    done = stack.command("status")
    assert done.returncode == 0
    *programs, login = done.stdout.splitlines()
    states = {line.split()[0]: line.split()[1] for line in programs}
    assert set(states.values()) == {"RUNNING"} and {"server", "worker", "redis", "simulate"} <= set(states)
    assert str(stack.state / "secrets/prefect_auth") in login and stack.login not in login
    stack.supervisor("stop", "exporter")
    done = stack.command("status")
    assert done.returncode == 1 and "STOPPED" in done.stdout
    stack.supervisor("start", "exporter")


def test_a_second_up_says_that_it_runs_already(stack):
    done = stack.command("up")
    assert done.returncode == 1
    assert "already running" in done.stderr


def test_a_taken_port_is_named_with_the_way_out(tmp_path):
    other = Stack(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", other.port))
        taken.listen()
        done = other.command("up")
    assert done.returncode == 1
    assert f"port {other.port} of the Prefect UI is taken" in done.stderr
    assert "PREFECT_PORT=" in done.stderr
    assert other.processes() == []


def test_down_and_up_again_goes_on_where_it_was(stack):
    before = stack.windows()
    stack.down()
    assert stack.processes() == []
    assert "nothing runs here" in stack.command("status").stderr
    for port in (stack.port, stack.redis_port, *map(int, stack.watching.values())):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    stack.up()
    stack.goes_on()
    assert set(before) < set(stack.windows())
    stack.whole()


def test_up_leaves_a_schedule_off_and_a_pool_paused(stack):
    """Somebody switched them off for a reason: the stack comes up all the same, and says so."""
    deployment = stack.api("/deployments/name/drain-window/drain-window")
    schedule = f"/deployments/{deployment['id']}/schedules/{deployment['schedules'][0]['id']}"
    stack.api(schedule, {"active": False}, "PATCH")
    stack.api("/work_pools/datawriter", {"is_paused": True}, "PATCH")
    stack.down()
    try:
        done = stack.command("up")
        assert done.returncode == 0 and "schedule of drain-window is switched off" in done.stdout
        assert not stack.api("/deployments/name/drain-window/drain-window")["schedules"][0]["active"]
        assert stack.api("/work_pools/datawriter")["is_paused"]
    finally:
        stack.api(schedule, {"active": True}, "PATCH")
        stack.api("/work_pools/datawriter", {"is_paused": False}, "PATCH")
    stack.goes_on()


def test_a_backfill_of_drained_windows_changes_nothing(stack):
    first, last = (datetime.strptime(stem[:16], "%Y%m%dT%H%M%SZ") for stem in (stack.windows()[0], stack.windows()[3]))
    run = stack.run_now("backfill", start=f"{first:%Y-%m-%dT%H:%M:%SZ}", end=f"{last:%Y-%m-%dT%H:%M:%SZ}")
    state = stack.finished(run)
    assert (state["type"], state["message"][:11]) == ("COMPLETED", "3 window(s)")
    stack.whole()


def test_a_day_is_verified(stack):
    run = stack.run_now("verify-day", day=f"{datetime.now(timezone.utc):%Y-%m-%d}")
    assert stack.finished(run)["type"] == "COMPLETED"
    report = stack.api("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})[0]
    assert "Every promise is kept." in report["data"]


def test_a_day_is_summarised_and_told(stack):
    day = f"{datetime.now(timezone.utc):%Y-%m-%d}"
    run = stack.run_now("daily-summary", day=day)
    state = stack.finished(run)
    assert state["type"] == "COMPLETED", state["message"]
    assert state["message"].startswith(f"Daily summary of {day}: ")
    told = [message for message in stack.slack.messages if message.get("text") == state["message"]]
    assert "reposts" in told[0]["attachments"][0]["text"]
    assert "buffer peak" in told[0]["attachments"][0]["text"].lower()
    report = stack.api("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})[0]
    assert report["data"].startswith(f"# {state['message']}")


def test_what_is_not_installed_is_not_started(tmp_path):
    """A newcomer's machine: make up says what it lacks and runs without it."""
    environ = {"PATH": "/nowhere", "SLACK": str(tmp_path), "MONITORING": "1"}
    env = stack_py.settings(environ) | {"STATE": str(tmp_path)}
    stack_py.monitoring.choose(env)
    assert env["WATCHING"] == "exporter"
    assert "DATAWRITER_PROMETHEUS_URL" not in env and "DATAWRITER_WEBHOOK_FILE" not in env
    told = stack_py.monitoring.banner(env)
    assert "Prometheus   not started: prometheus is not installed" in told
    assert (tmp_path / "prometheus/targets/redis.yml").read_text() == "[]\n"
