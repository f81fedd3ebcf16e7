"""Each service killed and paused, the engine restarted and killed, the host shut down in the middle of a window: all
recovers by itself, a window that closes afterwards comes to files, every promise is kept.

What alerted and what was told in Slack is written to faults.md in the folder of the stack, and printed at the end. It is
noted, not asserted, but for two things: a lie (a loss or a violation that was none), and silence about Redis.
"""

import calendar
import os
import re
import time
from functools import partial
from urllib.parse import quote

import pytest

from conftest import LAB, LONG_RUNNING, engine, wait_for

# An alert may wait for a minute, be seen 15 seconds later, and wait 30 more for others of its kind.
TOLD_AFTER = 60

LIES = {"IntegrityViolation", "EntriesLost", "StreamWentBack"}


def kill(stack, service: str) -> None:
    before = stack.inspect(service)["RestartCount"]
    stack.kill(service)
    wait_for(f"a restart of {service}", lambda: stack.inspect(service)["RestartCount"] > before, 120)


def pause(stack, service: str) -> None:
    stack.compose("pause", service)
    time.sleep(60)
    stack.compose("unpause", service)


def restart(_) -> None:
    engine("stop")
    engine("start")


def shut_down(_) -> None:
    """In the middle of a window, and past the end of the one after it."""
    time.sleep((30 - time.time()) % 60)
    engine("stop")
    time.sleep(120)
    engine("start")


def power_cut(_) -> None:
    time.sleep((30 - time.time()) % 60)
    engine("kill")
    engine("start")


FAULTS = {f"`kill -9` of {service}": partial(kill, service=service) for service in LONG_RUNNING}
FAULTS |= {f"{service} paused for a minute": partial(pause, service=service) for service in LONG_RUNNING}
if LAB:  # somebody else's engine is left alone
    FAULTS |= {"restart of the engine": restart, "host shut down in the middle of a window, for two minutes": shut_down,
               "engine and all containers killed in the middle of a window": power_cut}

# Nothing of the drain waits for these.
WATCHING = ("exporter", "redis-exporter", "prometheus", "alertmanager", "grafana")

MUST_ALERT = {"redis paused for a minute": {"RedisNotAnswering"}}


@pytest.fixture(scope="module")
def table(stack):
    """The file that takes a line for each fault, beside a stack that runs."""
    if not os.environ.get("TREE"):
        stack.compose("build", "--quiet")
        stack.up()
    stack.receive_slack()
    wait_for("files", stack.files)
    path = stack.folder / "faults.md"
    if not path.exists():
        path.write_text("| fault | all healthy after | window that closed later in files after | alerts, those in bold told in Slack |\n|---|---|---|---|\n")
    yield path
    print("\n" + path.read_text())


@pytest.mark.parametrize("name", FAULTS)
def test_it_recovers_by_itself(stack, table, name):
    began = time.time()
    FAULTS[name](stack)
    ended = time.time()
    healthy = wait_for("health", stack.all_healthy)
    drained = "as ever"
    if not any(f"{service} " in name + " " for service in WATCHING):
        drained = f"{healthy + wait_for('a window that closed afterwards', lambda: newest(stack) > ended):.0f} s"
    time.sleep(max(0.0, ended + TOLD_AFTER - time.time()))
    fired, told = alerts_since(stack, began), stack.told(since=began)
    with open(table, "a") as lines:
        print(f"| {name} | {healthy:.0f} s | {drained} |", ", ".join(f"**{of}**" if of in told else of for of in fired) or "none", "|", file=lines)
    assert not LIES & set(fired)
    assert MUST_ALERT.get(name, set()) <= set(fired)


def test_after_all_that_nothing_is_lost_or_twice(stack):
    found = stack.verify()
    print(f"\n    {found['rows']} rows in {found['files']} files: every promise is kept")


def alerts_since(stack, began: float) -> list[str]:
    """All that fired at some moment, also those that are over, but not those that had their cause before."""
    over = f"&start={began:.0f}&end={time.time():.0f}&step=5"
    fired = stack.prometheus("query_range?query=" + quote('ALERTS{alertstate="firing"}') + over)["result"]
    causes = stack.prometheus("query_range?query=" + quote("ALERTS_FOR_STATE >= " + str(began)) + over)["result"]
    new = {of["metric"]["alertname"] for of in causes}
    return sorted({of["metric"]["alertname"] for of in fired} & new - {"Watchdog"})


def newest(stack) -> float:
    """The end of the newest window in files."""
    starts = [re.search(r"/(\d{8}T\d{6})Z-", name)[1] for name in stack.files()]
    return max(calendar.timegm(time.strptime(start, "%Y%m%dT%H%M%S")) for start in starts) + 60
