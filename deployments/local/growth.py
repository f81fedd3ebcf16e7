"""How large Prefect's database gets: `make growth`. Takes the database of a stack that has run, and lives through
days of it: the rows of real runs are copied as 288 runs a day, and at each day's end Prefect's own vacuum is called
with the project's settings and that day's date.
"""

import asyncio
import itertools
import os
import re
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from stack import ROOT, read_env

RUNS_A_DAY = 288
TEMPLATES = 20
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
COUNTED = ("flow_run", "task_run", "flow_run_state", "log", "artifact", "events", "event_resources")

# What belongs to a run: of each table, the rows that this condition finds for its ID.
BELONGS = {
    "flow_run": "id = :run",
    "flow_run_state": "flow_run_id = :run",
    "task_run": "flow_run_id = :run",
    "task_run_state": "task_run_id IN (SELECT id FROM task_run WHERE flow_run_id = :run)",
    "log": "flow_run_id = :run",
    "artifact": "flow_run_id = :run",
    "events": "resource_id LIKE '%' || :run OR related_resource_ids LIKE '%' || :run || '%'",
    "event_resources": "event_id IN (SELECT id FROM events WHERE resource_id LIKE '%' || :run OR related_resource_ids LIKE '%' || :run || '%')",
}


def main() -> None:
    source, days = Path(sys.argv[1]), int(os.environ.get("DAYS") or 30)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prefect.db"
        with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as original, sqlite3.connect(path) as copy:
            original.backup(copy)
        os.environ.update(read_env(ROOT / "deployments/prefect/settings.env"))
        os.environ.update(PREFECT_HOME=folder, PREFECT_SERVER_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{path}",
                          PREFECT_LOGGING_SERVER_LEVEL="WARNING")
        asyncio.run(live(path, days))


async def live(path: Path, days: int) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    runs = templates(database)
    print(f"{len(runs)} real runs as templates, {sum(map(len, runs))} rows; {RUNS_A_DAY} runs a day")
    print("day   MB in use   MB of the file   vacuum s   " + "   ".join(COUNTED))
    today = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    for day in range(1, days + 1):
        today += timedelta(days=1)
        add_day(database, itertools.cycle(runs), today)
        began = time.monotonic()
        await vacuum(today + timedelta(days=1))
        took = time.monotonic() - began
        counts = [database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in COUNTED]
        print(f"{day:3}   {in_use(database):9.1f}   {path.stat().st_size / 1e6:14.1f}   {took:8.1f}   {'   '.join(map(str, counts))}", flush=True)


def templates(database: sqlite3.Connection) -> list[list[tuple[str, dict]]]:
    """Of the last runs of drain-window that completed: their rows, as (table, columns)."""
    ids = [row[0] for row in database.execute(
        "SELECT flow_run.id FROM flow_run JOIN flow ON flow.id = flow_id WHERE flow.name = 'drain-window' "
        "AND state_type = 'COMPLETED' ORDER BY end_time DESC LIMIT ?", (TEMPLATES,))]
    return [list(rows_of(database, run)) for run in ids]


def rows_of(database: sqlite3.Connection, run: str) -> Iterator[tuple[str, dict]]:
    for table, condition in BELONGS.items():
        found = database.execute(f"SELECT * FROM {table} WHERE {condition}", {"run": run})
        names = [column[0] for column in found.description]
        yield from ((table, dict(zip(names, row))) for row in found)


def add_day(database: sqlite3.Connection, runs: Iterator[list[tuple[str, dict]]], day: datetime) -> None:
    database.execute("BEGIN")
    for number in range(RUNS_A_DAY):
        slot = day + timedelta(days=1) * number / RUNS_A_DAY
        for table, columns in moved(next(runs), slot):
            marks = ", ".join("?" * len(columns))
            names = ", ".join(f'"{name}"' for name in columns)
            database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(columns.values()))
    database.execute("COMMIT")


def moved(rows: list[tuple[str, dict]], slot: datetime) -> Iterator[tuple[str, dict]]:
    """A run's rows under new IDs, as if its slot had been that one."""
    new = {columns["id"]: str(uuid.uuid4()) for _, columns in rows}
    shift = slot.replace(tzinfo=None) - datetime.fromisoformat(rows[0][1]["expected_start_time"])
    for table, columns in rows:
        changed = {name: move(value, new, shift) for name, value in columns.items()}
        if table == "flow_run":
            changed["idempotency_key"] = changed["id"]
        yield table, changed


def move(value, new: dict[str, str], shift: timedelta):
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", value):
        return f"{datetime.fromisoformat(value) + shift:%Y-%m-%d %H:%M:%S.%f}"
    return UUID.sub(lambda found: new.get(found[0], found[0]), value)


async def vacuum(moment: datetime) -> None:
    """All that the server's vacuum does, at that moment."""
    from prefect.server.database import provide_database_interface
    from prefect.server.services import db_vacuum
    from prefect.settings.context import get_current_settings

    db_vacuum.now = lambda zone: moment
    wanted = get_current_settings().server.services.db_vacuum.enabled_vacuum_types
    steps = {"flow_runs": [db_vacuum.vacuum_old_flow_runs],
             "events": [db_vacuum.vacuum_events_with_retention_overrides, db_vacuum.vacuum_old_events],
             "orphans": [db_vacuum.vacuum_orphaned_logs, db_vacuum.vacuum_orphaned_artifacts, db_vacuum.vacuum_stale_artifact_collections]}
    for kind in sorted(wanted):
        for step in steps[kind]:
            await step(db=provide_database_interface())


def in_use(database: sqlite3.Connection) -> float:
    """Megabytes of the file that hold something."""
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages, free, size = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
    return (pages - free) * size / 1e6


if __name__ == "__main__":
    main()
