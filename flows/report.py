"""What the Prefect UI shows of a run: a table of its windows, and a rolling table of the last ones."""

import json
import os

from prefect import get_run_logger
from prefect.artifacts import Artifact, create_table_artifact

LATEST, ROLLING = "drained-window", "recent-windows"  # artifact keys: Prefect keeps the versions of each
ROLLING_ROWS = 24  # two hours of five-minute windows

COUNTS = ("entries", "rows", "rejected", "late", "bytes", "seconds")


def publish(window: str, document: dict, data: str | None = None) -> None:
    """Write both tables. A table that cannot be written never fails a run that drained its window."""
    try:
        _publish(window, document, data)
    except Exception as error:
        get_run_logger().warning("no artifact for %s: %s", window, error)


def summary(document: dict) -> str:
    windows = document.get("windows") or []
    if not windows or document.get("status") == "nothing":
        return "Nothing left to do"
    total = [_total(window) for window in windows]
    rows, size = sum(t["rows"] for t in total), sum(t["bytes"] for t in total)
    return f"{rows:,} rows, {size:,} bytes in {len(windows)} window(s)"


def _publish(window: str, document: dict, data: str | None) -> None:
    windows = document.get("windows") or []
    rows = [_row(w["window"], kind) for w in windows for kind in w.get("kinds") or []]
    if not rows:
        return
    create_table_artifact(rows, key=LATEST, description=f"Drained for **{window}**. Files: {_files(windows, data)}")
    create_table_artifact(_recent(windows), key=ROLLING, description="The last windows, newest first.")


def _row(window: str, kind: dict) -> dict:
    return {"window": window, "kind": kind.get("kind"), **{name: round(kind.get(name) or 0, 2) for name in COUNTS},
            "parts": ", ".join(kind.get("parts") or [])}


def _files(windows: list[dict], data: str | None) -> str:
    """The folder that holds the parts, as a path on the worker's machine."""
    parts = [part for w in windows for kind in w.get("kinds") or [] for part in kind.get("parts") or []]
    root = data or os.environ.get("DATAWRITER_DATA", "data")
    # …/2026/11/23/10/likes/….parquet: the hour is what the five kinds share.
    return f"`{os.path.join(root, os.path.commonpath([os.path.dirname(os.path.dirname(part)) for part in parts]))}`" if parts else "none new"


def _recent(windows: list[dict]) -> list[dict]:
    """The windows of this run before those of the runs before it; a window drained again keeps its last row."""
    previous = Artifact.get(ROLLING)
    old = json.loads(previous.data) if previous and previous.data else []
    new = [_total(window) for window in reversed(windows)]
    seen = {row["window"] for row in new}
    return (new + [row for row in old if row.get("window") not in seen])[:ROLLING_ROWS]


def _total(window: dict) -> dict:
    kinds = window.get("kinds") or []
    total = {name: sum(kind.get(name) or 0 for kind in kinds) for name in COUNTS[:-1]}
    return {"window": window.get("window"), **total, "seconds": round(window.get("seconds") or 0, 2)}
