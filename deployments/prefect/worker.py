"""Starts the worker: `prefect worker start` for our pool, after having the runs watched that another one may have left.

What the server knew of a run's last sign of life can be lost with the server, and it holds the events of a run back
that was created shortly before its slot. So a worker that begins names every run that is under way: the automation
gives each 90 seconds. Runs of other workers answer in time.

    python deployments/prefect/worker.py --name local --limit 4
"""

import os
import sys
import time

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.events import Event

POOL = "datawriter"
WATCHED = "datawriter.flow-run.watched"

# A server that starts together with the worker; afterwards the worker itself says what is wrong.
PATIENCE_SECONDS = 120


def main() -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            watch()
            break
        except httpx.HTTPError:
            time.sleep(1)
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process", *sys.argv[1:]]
    os.execv(sys.executable, worker)


def watch() -> None:
    """An event for every run under way. It begins the automation's 90 seconds, and is no sign of life itself."""
    under_way = FlowRunFilter.model_validate({"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}})
    ours = WorkPoolFilter.model_validate({"name": {"any_": [POOL]}})
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=under_way, work_pool_filter=ours)
        events = [Event(event=WATCHED, resource={"prefect.resource.id": f"prefect.flow-run.{run.id}"}) for run in runs]
        if events:
            client.request("POST", "/events", json=[event.model_dump(mode="json") for event in events])


if __name__ == "__main__":
    main()
