"""`make up` end to end: a real server, worker, Redis, mock stream and binary, on a 10-second schedule."""

import json
import socket
import urllib.request
from datetime import datetime, timedelta, timezone

from conftest import KINDS, SECONDS, Stack, wait

RUNS = 12


def test_scheduled_runs_in_a_row_write_each_its_window_once(stack):
    # The first window may begin in the middle, and the first run may catch up with it.
    wait(lambda: len(stack.runs("COMPLETED")) > 0, 120)
    first = datetime.now(timezone.utc) + timedelta(seconds=SECONDS)
    stack.drained_up_to(first + timedelta(seconds=SECONDS * (RUNS - 1)), SECONDS * RUNS + 180)
    stack.whole()
    runs = [run for run in stack.runs("COMPLETED", "FAILED", "CRASHED", "CANCELLED")]
    assert {run["state"]["name"] for run in runs} == {"Completed"}
    names = [run["name"] for run in runs]
    assert len(names) == len(set(names)) >= RUNS, f"a window was run twice: {names}"


def test_each_run_shows_the_table_of_its_window(stack):
    latest = stack.runs("COMPLETED")[0]
    artifacts = stack.api("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [latest["id"]]}}})
    tables = {artifact["key"]: json.loads(artifact["data"]) for artifact in artifacts}
    assert [row["kind"] for row in tables["drained-window"]] == list(KINDS)
    assert any(row["rows"] > 0 for row in tables["recent-windows"])
    assert len(tables["recent-windows"]) >= RUNS


def test_the_ui_answers(stack):
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.port}/deployments", timeout=30) as page:
        assert b"Prefect" in page.read()


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
    for port in (stack.port, stack.redis_port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    stack.up()
    stack.goes_on()
    assert set(before) < set(stack.windows())
    stack.whole()


def test_a_past_window_is_filled_and_drained_by_backfill(stack):
    run = stack.run_now("backfill", start=f"{datetime.now(timezone.utc) - timedelta(minutes=1):%Y-%m-%dT%H:%M}Z",
                        end=f"{datetime.now(timezone.utc) - timedelta(seconds=0):%Y-%m-%dT%H:%M}Z")
    assert stack.finished(run)["type"] == "COMPLETED"
    stack.whole()
