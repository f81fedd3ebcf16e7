"""Summarise one day: events by kind, files, bytes, the slowest window, rejects, losses, beside the day before.

`datawriter report` counts, and posts to Slack where the worker names a webhook's file (DATAWRITER_WEBHOOK_FILE).
"""

from prefect import flow, get_run_logger, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed, State

import binary
from drain_window import WorthRetry, drain
from verify_day import Day, day_of


def run_name() -> str:
    return day_of(runtime.flow_run.parameters.get("day"))


@flow(name="daily-summary", flow_run_name=run_name, timeout_seconds=3600, description=__doc__)
def daily_summary(day: Day | None = None, data: str | None = None) -> State:
    """Summarise one day.

    Args:
        day: Day to summarise, in UTC, such as 2026-11-22. Left empty: the day before this run's scheduled time.
        data: Folder of the Parquet files. Left empty: DATAWRITER_DATA of the worker.
    """
    arguments = ["report", "--day", day_of(day), "--output", "slack"]
    if data:
        arguments += ["--data", data]
    try:
        outcome = drain.with_options(name="datawriter report")(arguments)
    except (WorthRetry, FileNotFoundError) as error:
        return Failed(message=str(error))
    if outcome.code != binary.OK:
        return Failed(message=outcome.reason)
    publish(outcome.document)
    return Completed(message=outcome.document["text"])


def publish(message: dict) -> None:
    """The message that Slack gets, as an artifact. One that cannot be written fails no summary that was sent."""
    text = "\n\n".join([f"# {message['text']}", *(block["text"] for block in message["attachments"])])
    try:
        create_markdown_artifact(text, key="daily-summary", description=message["text"])
    except Exception as error:
        get_run_logger().warning("no artifact: %s", error)
