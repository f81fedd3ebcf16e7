"""The flows against a stand-in for the binary, without a Prefect server."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect.states import Late, Pending, State

sys.path.insert(0, str(Path(__file__).parent))

import backfill
import binary
import daily_summary
import drain_window
import overdue
import report
import verify_day

KIND = {"kind": "likes", "stream": "bluesky:{likes}", "entries": 12, "rows": 11, "rejected": 1, "late": 0,
        "parts": ["2026/11/23/10/likes/20261123T100500Z-5m-00.parquet"], "bytes": 4096, "seconds": 0.5}
DOCUMENT = {"version": "test", "status": "drained",
            "windows": [{"window": "2026-11-23T10:05:00Z/5m", "kinds": [KIND], "seconds": 0.75}]}
LOG = logging.getLogger("test")


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a `datawriter` on PATH that does what its script says; returns a function that writes it."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def write(script: str) -> Path:
        path = tmp_path / "datawriter"
        path.write_text(f"#!{sys.executable}\nimport json, os, signal, sys, time\n{script}\n")
        path.chmod(0o755)
        return tmp_path

    return write


@pytest.fixture
def slot(monkeypatch):
    """Sets the scheduled start of the run."""
    def set_slot(text: str, **parameters) -> None:
        run = SimpleNamespace(scheduled_start_time=datetime.fromisoformat(text), parameters=parameters)
        monkeypatch.setattr(drain_window.runtime, "flow_run", run)
    set_slot("2026-11-23T10:10:00+00:00")
    return set_slot


@pytest.fixture
def tables(monkeypatch):
    """The artifacts that would have been written, by key."""
    written = {}
    monkeypatch.setattr(report, "create_table_artifact", lambda rows, key, description: written.update({key: rows}))
    monkeypatch.setattr(report.Artifact, "get", lambda key: None)
    return written


@pytest.fixture
def flow(monkeypatch, tables, slot):
    """The body of the flow, with its task as a plain function and logging to Python's own."""
    monkeypatch.setattr(drain_window, "get_run_logger", lambda: LOG)
    monkeypatch.setattr(drain_window, "drain", drain_window.drain.fn)
    return drain_window.drain_window.fn


def answer(code: int, document: dict | None = None, stderr: str = "") -> str:
    return f"sys.stderr.write({stderr!r}); print(json.dumps({document!r})) if {document is not None} else None; sys.exit({code})"


@pytest.mark.parametrize("at, length, window", [
    ("2026-11-23T10:10:00+00:00", "5m", "2026-11-23T10:05:00Z/5m"),
    ("2026-11-23T10:14:59+00:00", "5m", "2026-11-23T10:05:00Z/5m"),
    ("2026-11-23T00:00:00+00:00", "5m", "2026-11-22T23:55:00Z/5m"),
    ("2026-11-23T11:10:00+01:00", "5m", "2026-11-23T10:05:00Z/5m"),
    ("2026-11-23T10:10:07+00:00", "10s", "2026-11-23T10:09:50Z/10s"),
    ("2026-11-23T10:10:00+00:00", "1h", "2026-11-23T09:00:00Z/1h"),
])
def test_without_a_window_it_is_the_last_one_closed_before_the_slot(slot, at, length, window):
    slot(at)
    assert drain_window.window_of(None, length) == window


@pytest.mark.parametrize("asked, window", [
    ("2026-11-23T10:05Z", "2026-11-23T10:05Z/5m"),
    ("2026-11-23T10:05:00Z/1m", "2026-11-23T10:05:00Z/1m"),
])
def test_a_window_that_a_person_picks_goes_to_the_binary_as_it_is(asked, window):
    assert drain_window.window_of(asked, "5m") == window


@pytest.mark.parametrize("at, length, name", [
    ("2026-11-23T10:10:00+00:00", "5m", "2026-11-23T10:05Z"),
    ("2026-11-23T10:10:20+00:00", "10s", "2026-11-23T10:10:10Z"),
])
def test_a_run_is_named_after_its_window(slot, at, length, name):
    slot(at, length=length)
    assert drain_window.run_name() == name


@pytest.mark.parametrize("code, document, type, name, says", [
    (0, DOCUMENT, "COMPLETED", "Completed", "11 rows, 4,096 bytes"),
    (0, {"status": "nothing", "windows": []}, "COMPLETED", "Completed", "Nothing left to do"),
    (2, None, "FAILED", "Failed", "bad flag"),
    (3, {"status": "skipped", "error": "held by run 7", "windows": []}, "COMPLETED", "Skipped", "held by run 7"),
    (4, {"status": "failed", "error": "row outside its window", "windows": []}, "FAILED", "Failed", "INTEGRITY: row outside"),
    (75, {"status": "failed", "error": "redis is away", "windows": []}, "FAILED", "Failed", "redis is away"),
    (130, None, "CANCELLED", "Cancelled", "Stopped by a signal"),
    (143, None, "CANCELLED", "Cancelled", "Stopped by a signal"),
    (99, None, "FAILED", "Failed", "bad flag"),
])
def test_exit_codes_become_states(fake, flow, code, document, type, name, says):
    fake(answer(code, document, "datawriter: bad flag\n"))
    state = flow()
    assert (state.type.value, state.name) == (type, name)
    assert says in state.message


def test_the_settings_reach_the_binary(fake, flow, tmp_path):
    fake(f"open({str(tmp_path / 'arguments')!r}, 'w').write(' '.join(sys.argv[1:]))")
    flow(window="2026-11-23T10:05Z", data="/data", noack=True)
    assert (tmp_path / "arguments").read_text() == "run --window 2026-11-23T10:05Z/5m --data /data --noack"


def test_a_missing_binary_fails_with_the_way_out(flow, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "make build" in flow().message


@pytest.mark.parametrize("code, again", [(75, True), (-signal.SIGKILL, True), (-signal.SIGTERM, False), (0, False), (2, False), (3, False), (4, False)])
def test_only_exit_75_and_a_killed_child_are_worth_another_try(code, again):
    assert binary.Outcome(code).worth_retry is again


@pytest.mark.parametrize("window, end", [
    ("2026-11-23T10:05Z/5m", "2026-11-23T10:15:00+00:00"),  # the slot of 10:10 drains the window of 10:05
    ("2026-11-23T10:05:00Z/10s", "2026-11-23T10:05:20+00:00"),
])
def test_the_slots_of_older_windows_end_with_the_slot_behind_this_ones(window, end):
    assert drain_window.slots_end(window) == datetime.fromisoformat(end)


@pytest.fixture
def waiting(monkeypatch):
    """Runs that wait, by slot and parameters; returns the function that ends some, which returns the new names of those, by slot."""
    def ended(runs: dict[str, dict], before: str, settings: dict, states: dict[str, State] | None = None) -> dict[str, str]:
        server = Server(runs)
        server.states = states or {}
        monkeypatch.setattr(overdue, "get_client", lambda sync_client: server)
        monkeypatch.setattr(overdue, "runtime", SimpleNamespace(deployment=SimpleNamespace(id=str(uuid4())), flow_run=SimpleNamespace(name="this")))
        overdue.end(at(before), settings, {"length": "5m"}, lambda slot: f"named {slot:%H:%M}")
        return server.ended
    return ended


class Server:
    """Stands in for Prefect's client."""

    def __init__(self, runs: dict[str, dict]) -> None:
        self.runs, self.ended = runs, {}
        self.states = {}

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass

    def read_flow_runs(self, **_) -> list:
        return [SimpleNamespace(id=slot, expected_start_time=at(slot), parameters=parameters, state=self.states.get(slot, Late()))
                for slot, parameters in self.runs.items()]

    def set_flow_run_state(self, run, state) -> None:
        assert (state.type.value, state.name, state.message) == ("COMPLETED", "Skipped", "Drained by the run this")
        self.ended[run] = "unnamed"

    def update_flow_run(self, run, name) -> None:
        assert run in self.ended
        self.ended[run] = name


def at(time_of_day: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-23T{time_of_day}:00+00:00")


def test_runs_that_wait_for_a_drained_window_are_skipped(waiting):
    runs = {
        "10:00": {}, "10:05": {"window": None, "length": "5m", "data": None}, "10:10": {},  # as the schedule makes them
        "10:01": {"window": "2026-11-22T00:00Z"}, "10:02": {"length": "1m"}, "10:03": {"data": "/elsewhere"},
        "10:15": {},
    }
    assert waiting(runs, "10:15", {"length": "5m", "data": None}) == {slot: f"named {slot}" for slot in ("10:00", "10:05", "10:10")}
    assert waiting(runs, "10:15", {"length": "5m", "data": "/elsewhere"}) == {"10:03": "named 10:03"}


def test_runs_on_their_way_are_left_alone_until_they_were_forgotten(waiting):
    now = datetime.now(timezone.utc)
    states = {"10:00": Pending(timestamp=now - timedelta(seconds=110)), "10:05": Pending(timestamp=now - timedelta(seconds=130))}
    assert waiting({"10:00": {}, "10:05": {}}, "10:15", {}, states) == {"10:05": "named 10:05"}


def test_runs_that_cannot_be_skipped_do_not_fail_a_drained_window(waiting, monkeypatch):
    monkeypatch.setattr(overdue, "get_run_logger", lambda: LOG)
    monkeypatch.setattr(Server, "read_flow_runs", lambda *_, **__: 1 / 0)
    assert waiting({"10:00": {}}, "10:15", {}) == {}


@pytest.mark.parametrize("code, ended", [(0, 1), (3, 0), (4, 0), (75, 0)])
def test_only_a_drained_window_ends_what_waits_for_it(fake, flow, monkeypatch, code, ended):
    calls = []
    monkeypatch.setattr(overdue, "end", lambda *arguments: calls.append(arguments))
    fake(answer(code, DOCUMENT))
    flow(data="/data")
    assert [call[:3] for call in calls] == [(at("10:15"), {"length": "5m", "data": "/data"}, {"length": "5m"})] * ended
    assert [call[3](at("10:10")) for call in calls] == ["2026-11-23T10:05Z"] * ended


def test_the_artifacts_hold_every_kind_and_the_last_windows(fake, flow, tables, monkeypatch):
    fake(answer(0, DOCUMENT))
    before = [{"window": f"2026-11-23T{hour:02}:00:00Z/5m", "rows": hour} for hour in range(24)]
    before.insert(0, {"window": "2026-11-23T10:05:00Z/5m", "rows": 1})
    monkeypatch.setattr(report.Artifact, "get", lambda key: SimpleNamespace(data=json.dumps(before)))
    flow()
    assert tables["drained-window"][0] | {"parts": ""} == {
        "window": "2026-11-23T10:05:00Z/5m", "kind": "likes", "entries": 12, "rows": 11, "rejected": 1, "late": 0,
        "bytes": 4096, "seconds": 0.5, "parts": ""}
    recent = tables["recent-windows"]
    assert len(recent) == report.ROLLING_ROWS
    assert recent[0] == {"window": "2026-11-23T10:05:00Z/5m", "entries": 12, "rows": 11, "rejected": 1, "late": 0,
                         "bytes": 4096, "seconds": 0.75}
    assert [row["window"] for row in recent].count("2026-11-23T10:05:00Z/5m") == 1


def test_a_table_that_cannot_be_written_does_not_fail_a_drained_window(fake, flow, monkeypatch):
    fake(answer(0, DOCUMENT))
    monkeypatch.setattr(report, "get_run_logger", lambda: LOG)
    monkeypatch.setattr(report, "create_table_artifact", lambda *_, **__: 1 / 0)
    assert flow().is_completed()


def test_info_and_above_is_forwarded_and_bounded(fake, caplog):
    fake("""
for n in range(500):
    sys.stderr.write(json.dumps({"level": "debug", "msg": "detail"}) + "\\n")
    sys.stderr.write(json.dumps({"level": "info", "ts": 1, "msg": "window drained", "rows": n}) + "\\n")
sys.stderr.write(json.dumps({"level": "error", "msg": "disk full"}) + "\\n")
sys.exit(75)""")
    with caplog.at_level(logging.DEBUG):
        outcome = binary.run(["run"], LOG)
    assert caplog.messages[0] == "window drained rows=0"
    assert len(caplog.messages) == binary.MAX_LINES + 1
    assert outcome.reason == "disk full"


SLOW = """
def stop(number, frame):
    time.sleep(0.2)
    open("stopped", "w").close()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
open("started", "w").write(str(os.getpid()))
time.sleep(60)"""


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, TimeoutError, SystemExit])
def test_whatever_interrupts_the_flow_stops_the_child_and_waits(fake, monkeypatch, interruption):
    monkeypatch.chdir(fake(SLOW))

    def interrupt(number, frame):
        if Path("started").exists() and Path("started").read_text():  # a busy machine takes its time
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise interruption

    monkeypatch.setattr(signal, "alarm_handler", signal.signal(signal.SIGALRM, interrupt), raising=False)
    signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
    with pytest.raises(interruption):
        binary.run(["run"], LOG)
    assert Path("stopped").exists(), "the child was not waited for until its safe point"
    assert not alive(int(Path("started").read_text()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child that its parent died")
def test_the_child_ends_when_its_parent_is_killed(fake, monkeypatch):
    folder = fake(SLOW)
    monkeypatch.chdir(folder)
    script = f"import sys, logging; sys.path.insert(0, {str(Path(__file__).parent)!r}); import binary; binary.run(['run'], logging.getLogger())"
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=folder)
    wait(lambda: (folder / "started").exists() and (folder / "started").read_text())
    parent.kill()
    parent.wait()
    wait(lambda: (folder / "stopped").exists())


def test_verify_day_asks_for_the_day_before_its_slot(fake, slot, monkeypatch, tmp_path):
    slot("2026-11-23T01:20:00+00:00")
    written = {}
    monkeypatch.setattr(verify_day, "get_run_logger", lambda: LOG)
    monkeypatch.setattr(verify_day, "create_markdown_artifact", lambda text, key, description: written.update({key: text}))
    document = {"status": "broken", "rows": 1200, "checks": [{"check": "hash", "promise": "hashes fit", "asked": True, "violations": 1}],
                "violations": [{"check": "hash", "file": "a.parquet", "count": 1, "detail": "row 7 differs"}]}
    fake(f"open({str(tmp_path / 'arguments')!r}, 'w').write(' '.join(sys.argv[1:])); {answer(4, document)}")
    state = verify_day.verify_day.fn()
    assert state.is_failed()
    assert (tmp_path / "arguments").read_text() == "verify --window 2026-11-22T00:00:00Z/24h --output json"
    assert "| 1,200 |" in written["verified-day"]
    assert "- hash: a.parquet row 7 differs" in written["verified-day"]


SUMMARY = {"text": "Daily summary of 2026-11-22: 1,200 rows", "attachments": [{"text": "```\nkind   rows\n```\nslowest window: 1.2 s"}]}


@pytest.fixture
def summary(monkeypatch, flow):
    """The body of daily-summary; returns its state and the artifacts that it wrote."""
    written = {}
    task = SimpleNamespace(with_options=lambda name: drain_window.drain)  # which is a plain function here
    monkeypatch.setattr(daily_summary, "drain", task)
    monkeypatch.setattr(daily_summary, "get_run_logger", lambda: LOG)
    monkeypatch.setattr(daily_summary, "create_markdown_artifact", lambda text, key, description: written.update({key: text}))
    return lambda **parameters: (daily_summary.daily_summary.fn(**parameters), written)


def test_the_summary_is_of_the_day_before_its_slot(fake, slot, summary, tmp_path):
    slot("2026-11-23T00:30:00+00:00")
    fake(f"open({str(tmp_path / 'arguments')!r}, 'w').write(' '.join(sys.argv[1:])); {answer(0, SUMMARY)}")
    state, written = summary(data="/data")
    assert (state.is_completed(), state.message) == (True, SUMMARY["text"])
    assert (tmp_path / "arguments").read_text() == "report --day 2026-11-22 --output slack --data /data"
    assert written == {"daily-summary": f"# {SUMMARY['text']}\n\n{SUMMARY['attachments'][0]['text']}"}


@pytest.mark.parametrize("code, says", [(2, "there is no archive"), (75, "Slack is away")])
def test_a_summary_that_was_not_sent_fails(fake, summary, code, says):
    fake(answer(code, None, f"datawriter: {says}\n"))
    state, written = summary(day="2026-11-22")
    assert state.is_failed() and says in state.message
    assert written == {}


def test_a_summary_that_was_sent_needs_no_artifact(fake, summary, monkeypatch):
    fake(answer(0, SUMMARY))
    monkeypatch.setattr(daily_summary, "create_markdown_artifact", lambda *_, **__: 1 / 0)
    assert summary(day="2026-11-22")[0].is_completed()


def test_backfill_names_every_window_of_the_range():
    assert list(backfill.windows("2026-11-22T23:50Z", "2026-11-23T00:05Z", "5m")) == [
        "2026-11-22T23:50:00Z/5m", "2026-11-22T23:55:00Z/5m", "2026-11-23T00:00:00Z/5m"]


@pytest.mark.parametrize("start, end, says", [
    ("2026-11-23T00:00Z", "2026-11-23T00:00Z", "is empty"),
    ("2026-11-23T00:00Z", "2026-11-22T00:00Z", "is empty"),
    ("2026-11-20T00:00Z", "2026-11-23T00:00Z", "more than 300 windows"),
    ("2026-11-20T00:00Z", "2062-11-20T01:00Z", "in the future"),
    ("2062-11-20T00:00Z", "2062-11-20T01:00Z", "in the future"),
])
def test_backfill_refuses_a_range_that_cannot_be_meant(start, end, says):
    with pytest.raises(ValueError, match=says):
        list(backfill.windows(start, end, "5m"))


def test_what_the_binary_refuses_is_asked_once_and_said_in_one_sentence(fake, flow, tables, tmp_path):
    """A typo in the form, such as a window of the next century: the binary knows, and the schedule is not held up by retries."""
    refusal = {"status": "failed", "error": "--window 2126-11-23T10:05Z/5m cannot close soon: it is in the future", "class": "configuration", "windows": []}
    fake(f"open({str(tmp_path / 'asked')!r}, 'a').write('once ')\n{answer(2, refusal)}")
    state = flow(window="2126-11-23T10:05Z")
    assert (state.type.value, state.message) == ("FAILED", refusal["error"])
    assert (tmp_path / "asked").read_text() == "once "
    assert tables == {}


@pytest.mark.parametrize("flow, wrong", [
    (drain_window.drain_window, {"window": "yesterday"}),
    (drain_window.drain_window, {"window": "2026-11-23 10:05"}),
    (drain_window.drain_window, {"length": "five minutes"}),
    (verify_day.verify_day, {"day": "23.11.2026"}),
    (daily_summary.daily_summary, {"day": "yesterday"}),
    (backfill.backfill, {"start": "2026-11-23", "end": "2026-11-23T00:00Z"}),
])
def test_the_run_form_refuses_what_the_flow_cannot_use(flow, wrong):
    with pytest.raises(Exception, match="pattern|validation"):
        flow.validate_parameters(wrong)


def test_every_parameter_is_described_in_the_run_form():
    for flow in (drain_window.drain_window, verify_day.verify_day, daily_summary.daily_summary, backfill.backfill):
        for name, schema in flow.parameters.model_dump()["properties"].items():
            assert schema.get("description"), f"{flow.name}: {name}"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait(ready, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)
