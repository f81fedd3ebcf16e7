"""Verify one day of files: every event exactly once, nothing lost, nothing double."""

from datetime import timedelta, timezone
from typing import Annotated

from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed, State
from pydantic import Field

import binary

# More violations than that have one cause; `datawriter verify` lists them all.
MAX_SHOWN = 100

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
    arguments = ["verify", "--window", f"{day}T00:00:00Z/24h", "--output", "json"]
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


def publish(day: str, outcome: binary.Outcome) -> None:
    """The report of the day: its numbers, what was checked, and every violation."""
    found = outcome.document
    verdict = "Every promise is kept." if outcome.code == binary.OK else f"**Not kept**: {outcome.reason}"
    lines = [f"# {day}", "", verdict, "", *_table(found, ["windows", "files", "rows", "rejects", "late", "bytes", "seconds"])]
    lines += ["", "| check | promise | violations |", "|---|---|---|"]
    lines += [f"| {c['check']} | {c['promise']} | {c['violations'] if c['asked'] else 'not asked'} |" for c in found.get("checks") or []]
    if violations := found.get("violations"):
        lines += ["", "## Violations", ""]
        lines += [f"- {v['check']}: {v.get('file') or v.get('stream') or v.get('window') or ''} {v['detail']}" for v in violations[:MAX_SHOWN]]
    create_markdown_artifact("\n".join(lines), key="verified-day", description=f"Verification of {day}")


def _table(found: dict, names: list[str]) -> list[str]:
    cells = [f"{found[name]:,}" if isinstance(found.get(name), (int, float)) else "" for name in names]
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|", f"| {' | '.join(cells)} |"]
