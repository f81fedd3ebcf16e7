"""What goes wrong with Prefect around the drain: after each fault the schedule goes on by itself, nothing is lost,
nothing is double, no binary is orphaned, no run stays Running or Pending for more than three minutes.

A fault that ends with a run in an unknown state waits for the automation that clears dead runs: 90 seconds and some.
"""

import sqlite3
import time
from datetime import datetime, timedelta, timezone

import pytest

from conftest import SECONDS, wait


@pytest.fixture(autouse=True)
def recovers(stack):
    """Every fault begins after a drained window and ends with one that begins after it."""
    wait(stack.windows, 300, lambda: "a first window is drained")
    yield
    stack.fast()
    stack.goes_on()
    stack.whole()
    stack.no_zombies()


@pytest.fixture
def draining(stack):
    """A run whose binary is alive and pauses: returns the run's ID."""
    stack.slow(25)
    wait(lambda: stack.processes("sleep 25") and stack.runs("RUNNING"), 90)
    return stack.runs("RUNNING")[0]["id"]


def test_kill_of_the_flow(stack, draining):
    stack.kill("prefect.engine")
    stack.fast()
    wait(lambda: not stack.processes("sleep 25"), 10, lambda: "the binary ends with its flow")
    assert stack.finished(draining)["type"] == "CRASHED"


def test_kill_of_the_worker(stack, draining):
    stack.kill("worker start")
    stack.fast()
    # The flow runs on without its worker and reports for itself.
    assert stack.finished(draining)["type"] in ("COMPLETED", "CRASHED")


def test_kill_of_server_worker_and_flow_together(stack, draining):
    stack.kill("prefect")
    stack.fast()
    wait(lambda: not stack.processes("sleep 25"), 10, lambda: "the binary ends with its flow")
    assert stack.finished(draining)["type"] == "CRASHED"


def test_worker_away_for_six_windows(stack):
    stack.supervisor("stop", "worker")
    left = datetime.now(timezone.utc)
    time.sleep(6 * SECONDS)
    stack.supervisor("start", "worker")
    stack.drained_up_to(left + timedelta(seconds=5 * SECONDS))
    # One run drained them all; those of the other slots need not begin.
    wait(lambda: any(run["state"]["name"] == "Skipped" for run in stack.runs("COMPLETED")), 60, lambda: "late runs are skipped")


def test_server_away_for_six_windows(stack):
    stack.supervisor("stop", "server")
    left = datetime.now(timezone.utc)
    time.sleep(6 * SECONDS)
    stack.supervisor("start", "server")
    stack.drained_up_to(left + timedelta(seconds=5 * SECONDS))


def test_cancel_by_the_api(stack, draining):
    stack.api(f"/flow_runs/{draining}/set_state", {"state": {"type": "CANCELLING"}})
    wait(lambda: not stack.processes("sleep 25"), 20, lambda: "the binary is stopped")
    stack.fast()
    assert stack.finished(draining)["type"] == "CANCELLED"


def test_a_manual_run_of_an_old_window_finds_nothing_to_do(stack):
    stem = stack.windows()[0]
    start = datetime.strptime(stem[:16], "%Y%m%dT%H%M%SZ")
    files = sorted(stack.data.glob(f"2*/*/*/*/*/{stem}*"))
    run = stack.run_now(window=f"{start:%Y-%m-%dT%H:%M:%SZ}")
    assert stack.finished(run)["type"] == "COMPLETED"
    assert sorted(stack.data.glob(f"2*/*/*/*/*/{stem}*")) == files


def test_two_manual_runs_of_one_window_at_once(stack):
    start = datetime.fromtimestamp(time.time() // SECONDS * SECONDS, timezone.utc) - timedelta(seconds=SECONDS)
    runs = [stack.run_now(window=f"{start:%Y-%m-%dT%H:%M:%SZ}") for _ in range(2)]
    assert [stack.finished(run)["type"] for run in runs] == ["COMPLETED", "COMPLETED"]


def test_redis_away_for_a_minute(stack):
    stack.supervisor("stop", "simulate", "redis")
    time.sleep(60)
    stack.supervisor("start", "redis", "simulate")


def test_a_busy_database_fails_no_run(stack, draining):
    """Another writer holds SQLite most of the time: what began as a read cannot become a write, "database is locked"."""
    since = datetime.now(timezone.utc)
    database = sqlite3.connect(stack.state / "prefect/prefect.db", isolation_level=None, timeout=60)
    while datetime.now(timezone.utc) - since < timedelta(seconds=60):
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE work_pool SET description = description")
        time.sleep(2)
        database.execute("COMMIT")
        time.sleep(0.1)
    database.close()
    stack.fast()
    assert stack.finished(draining)["type"] == "COMPLETED"
    stack.goes_on()
    ended = [run for run in stack.runs("FAILED", "CRASHED") if datetime.fromisoformat(run["end_time"]) > since]
    assert ended == []
    assert "database is locked" in (stack.state / "logs/server.log").read_text()


def test_a_crashed_process_is_started_again(stack):
    for words in (("redis-server",), ("simulate",), ("prefect/server.py",)):
        stack.kill(*words)
        wait(lambda: stack.processes(*words), 30, lambda: f"{words} is back")


def test_a_run_stranded_before_it_runs_is_cleared(stack):
    """A worker that dies between taking a run and starting it leaves the run Pending, and its slot taken."""
    stack.supervisor("stop", "worker")
    run = stack.run_now()

    def taken() -> bool:
        stack.api(f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}})
        return stack.state_of(run)["type"] == "PENDING"

    wait(taken, 120, lambda: "the run before it gives its slot back")
    stack.supervisor("restart", "server")  # it forgets which events it waits for
    stack.supervisor("start", "worker")
    assert stack.finished(run)["type"] == "CRASHED"


def test_a_run_that_the_worker_forgot_is_ended_by_the_next(stack):
    """Pending, and nothing of it anywhere. Without the automation, as Prefect may hold back for 15 minutes what that waits for."""
    automation = next(a["id"] for a in stack.api("/automations/filter", {}) if a["name"] == "clear dead runs")
    stack.api(f"/automations/{automation}", {"enabled": False}, method="PATCH")
    try:
        soon = (datetime.now(timezone.utc) + timedelta(seconds=30)).isoformat()  # so that no worker takes it before
        run = stack.run_now(state={"type": "SCHEDULED", "state_details": {"scheduled_time": soon}})
        stack.api(f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}, "force": True})
        assert stack.finished(run, 300)["name"] == "Skipped"
    finally:
        stack.api(f"/automations/{automation}", {"enabled": True}, method="PATCH")
