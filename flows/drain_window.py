"""Drain one window of Bluesky events from Redis into Parquet.

Nothing of the data passes through Python: the flow names a window, starts
`datawriter run --window …`, and turns its exit code into a state and its
document into tables.
"""

import re
from datetime import datetime, timedelta, timezone
from typing import Annotated

from prefect import flow, get_run_logger, runtime, task
from prefect.states import Cancelled, Completed, Failed, State
from prefect.tasks import exponential_backoff
from pydantic import Field

import binary
import overdue
import report

LENGTH = r"^[1-9][0-9]*[smh]$"
WINDOW = r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z(/\S+)?$"
UNITS = {"s": 1, "m": 60, "h": 3600}

Window = Annotated[str, Field(pattern=WINDOW, examples=["2026-11-23T10:05Z"])]
Length = Annotated[str, Field(pattern=LENGTH)]


class WorthRetry(Exception):
    """The binary asked for another try: Redis away, disk full, window not closed yet."""


def run_name() -> str:
    parameters = runtime.flow_run.parameters
    return label(window_of(parameters.get("window"), parameters.get("length", "5m")))


def label(window: str) -> str:
    return window.partition("/")[0].replace(":00Z", "Z")


# Twice the slowest window that an alert tolerates; the window after it drains what a timeout left.
@flow(name="drain-window", flow_run_name=run_name, timeout_seconds=480, description=__doc__)
def drain_window(window: Window | None = None, length: Length = "5m", data: str | None = None, noack: bool = False) -> State:
    """Drain one window.

    Args:
        window: Start of the window to drain (again), in UTC, such as 2026-11-23T10:05Z or 2026-11-23T10:05:00Z/5m.
            Left empty: the last window that closed before this run's scheduled time.
        length: Length of a window, a divisor of one hour: 1m, 5m, 15m. An archive keeps the length it began with.
        data: Folder of the Parquet files. Left empty: DATAWRITER_DATA of the worker.
        noack: Read without a pending list: less work for Redis, the same guarantees.
    """
    window = window_of(window, length)
    arguments = ["run", "--window", window]
    if data:
        arguments += ["--data", data]
    if noack:
        arguments += ["--noack"]
    try:
        outcome = drain(arguments)
    except (WorthRetry, FileNotFoundError) as error:
        return Failed(message=str(error))
    report.publish(window, outcome.document, data)
    if outcome.code == binary.OK:
        overdue.end(slots_end(window), {"length": length, "data": data}, {"length": "5m"}, lambda slot: label(closed_before(slot, length)))
    return state_of(outcome)


def slots_end(window: str) -> datetime:
    """The end of the slots whose runs this one spares: their windows are this one and older, which it drained as well."""
    start, _, length = window.partition("/")
    return datetime.fromisoformat(start) + 2 * timedelta(seconds=seconds_of(length))


def window_of(window: str | None, length: str) -> str:
    """The window asked for, or the last one that closed before the scheduled start, which a retry keeps."""
    if window:
        return window if "/" in window else f"{window}/{length}"
    if not re.match(LENGTH, length):
        raise ValueError(f"length {length!r} is not a window length: write 1m, 5m or 15m")
    return closed_before(runtime.flow_run.scheduled_start_time, length)


def closed_before(slot: datetime, length: str) -> str:
    """The last window of that length that had closed at that moment."""
    seconds, at = seconds_of(length), int(slot.timestamp())
    start = datetime.fromtimestamp(at - at % seconds - seconds, timezone.utc)
    return f"{start:%Y-%m-%dT%H:%M:%SZ}/{length}"


def seconds_of(length: str) -> int:
    return int(length[:-1]) * UNITS[length[-1]]


# 5, 10, … 160 seconds: five minutes in all, longer than a restart of Redis takes.
@task(name="datawriter run", retries=6, retry_delay_seconds=exponential_backoff(backoff_factor=5),
      retry_condition_fn=lambda task, run, state: isinstance(state.result(raise_on_failure=False), WorthRetry))
def drain(arguments: list[str]) -> binary.Outcome:
    outcome = binary.run(arguments, get_run_logger())
    if outcome.worth_retry:
        raise WorthRetry(outcome.reason)
    return outcome


def state_of(outcome: binary.Outcome) -> State:
    if outcome.code == binary.OK:
        return Completed(message=report.summary(outcome.document))
    if outcome.code == binary.HELD:
        return Completed(name="Skipped", message=f"Another run holds the window: {outcome.reason}")
    if outcome.code in binary.STOPPED:
        return Cancelled(message=f"Stopped by a signal at a safe point: {outcome.reason}")
    if outcome.code == binary.INTEGRITY:
        return Failed(message=f"INTEGRITY: {outcome.reason}. Do not rerun before reading the runbook.")
    return Failed(message=outcome.reason)
