"""Drain every window of a range, oldest first; the windows that are drained already stay as they are."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Annotated

from prefect import flow, runtime
from prefect.states import Completed, Failed, State
from pydantic import Field

import report
from drain_window import Length, WorthRetry, drain, seconds_of, state_of

# A day of five-minute windows and some: more than that is better asked for day by day.
MAX_WINDOWS = 300

Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z$", examples=["2026-11-23T00:00Z"])]


def run_name() -> str:
    return "{start} to {end}".format(**runtime.flow_run.parameters)


@flow(name="backfill", flow_run_name=run_name, description=__doc__)
def backfill(start: Moment, end: Moment, length: Length = "5m", data: str | None = None) -> State:
    """Drain every window of a range.

    Args:
        start: Start of the first window, in UTC, such as 2026-11-22T00:00Z.
        end: End of the last window, in UTC; it must have passed.
        length: Length of a window, a divisor of one hour: 1m, 5m, 15m. An archive keeps the length it began with.
        data: Folder of the Parquet files. Left empty: DATAWRITER_DATA of the worker.
    """
    try:
        wanted = list(windows(start, end, length))
    except ValueError as error:
        return Failed(message=str(error))
    place = ["--data", data] if data else []
    for window in wanted:
        try:
            outcome = drain(["run", "--window", window, *place])
        except (WorthRetry, FileNotFoundError) as error:
            return Failed(message=f"{window}: {error}")
        report.publish(window, outcome.document, data)
        state = state_of(outcome)
        if not state.is_completed() or state.name == "Skipped":
            return Failed(message=f"{window}: {state.message}")
    return Completed(message=f"{len(wanted)} window(s) from {start} to {end}")


def windows(start: str, end: str, length: str) -> Iterator[str]:
    """Every window of that length in [start, end), as the binary reads it. ValueError names what does not fit."""
    at, stop = datetime.fromisoformat(start), datetime.fromisoformat(end)
    step = timedelta(seconds=seconds_of(length))
    if at >= stop:
        raise ValueError(f"the range {start} to {end} is empty: its end must come after its start")
    if stop > datetime.now(timezone.utc):
        raise ValueError(f"the range {start} to {end} ends in the future: its last window has not closed yet")
    if (stop - at) / step > MAX_WINDOWS:
        raise ValueError(f"{start} to {end} is more than {MAX_WINDOWS} windows of {length}: ask for a shorter range")
    while at < stop:
        yield f"{at:%Y-%m-%dT%H:%M:%SZ}/{length}"
        at += step
