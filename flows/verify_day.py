"""Verify one day of files: every event exactly once, nothing lost, nothing double."""

from datetime import datetime, timedelta, timezone
from typing import Annotated

from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed, State
from pydantic import Field

import binary

Day = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$", examples=["2026-11-22"])]


def run_name() -> str:
    return day_of(runtime.flow_run.parameters.get("day"))


@flow(name="verify-day", flow_run_name=run_name, timeout_seconds=3600, description=__doc__)
def verify_day(day: Day | None = None, data: str | None = None) -> State:
    """Verify one day.

    Args:
        day: Day to verify, in UTC, such as 2026-11-22. Left empty: the day before this run's scheduled time.
        data: Folder of the Parquet files. Left empty: DATAWRITER_DATA of the worker.
    """
    day = day_of(day)
    arguments = ["verify", "--window", f"{day}T00:00:00Z/{next_day(day)}T00:00:00Z"]
    if data:
        arguments += ["--data", data]
    try:
        outcome = binary.run(arguments, get_run_logger())
    except FileNotFoundError as error:
        return Failed(message=str(error))
    publish(day, outcome)
    if outcome.code == binary.OK:
        return Completed(message=f"{day} is whole")
    return Failed(message=f"{day}: {outcome.reason}")


def day_of(day: str | None) -> str:
    if day:
        return day
    return f"{runtime.flow_run.scheduled_start_time.astimezone(timezone.utc) - timedelta(days=1):%Y-%m-%d}"


def next_day(day: str) -> str:
    return f"{datetime.fromisoformat(day) + timedelta(days=1):%Y-%m-%d}"


def publish(day: str, outcome: binary.Outcome) -> None:
    """The report of the day: its verdict, and the document of `datawriter verify` line by line."""
    verdict = "whole" if outcome.code == binary.OK else f"**not whole**: {outcome.reason}"
    lines = [f"# {day}", "", f"The day is {verdict}.", "", "| what | value |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in outcome.document.items()]
    create_markdown_artifact("\n".join(lines), key="verified-day", description=f"Verification of {day}")


def _cell(value: object) -> str:
    text = f"{value:,}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")[:500]
