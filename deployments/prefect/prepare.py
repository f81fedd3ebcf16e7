"""Makes a Prefect server ready for datawriter: work pool, deployments, the automation that clears dead runs.

Repeating it changes nothing. Run it from the root of the repository, where prefect.yaml lies:

    python deployments/prefect/prepare.py [--length 1m]
"""

import argparse
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import yaml
from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from prefect.states import StateType
from prefect.workers.process import ProcessWorker

from worker import POOL, WATCHED

UNITS = {"s": 1, "m": 60, "h": 3600}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--length", default="5m", help="window length and schedule of drain-window, such as 5m, 1m or 10s")
    length = parser.parse_args().length
    create_pool()
    clear_dead_runs()
    deploy(length)


def create_pool() -> None:
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(
                name=POOL, type="process", base_job_template=ProcessWorker.get_default_base_job_template()))


def clear_dead_runs() -> None:
    """A run on a worker that gives no sign of life for 90 seconds, three heartbeats, is dead: its slot is freed.

    Every change of state is a sign of life, also to a state whose name is our own (Skipped), hence the wildcard.
    """
    alive = {"prefect.flow-run.heartbeat", "prefect.flow-run.Pending", "prefect.flow-run.Submitting",
             "prefect.flow-run.pull-step.executed", "prefect.flow-run.Running", "prefect.flow-run.Retrying", WATCHED}
    wanted = Automation(
        name="clear dead runs",
        description="A run without a sign of life for 90 seconds becomes Crashed, so that the next one starts.",
        trigger=EventTrigger(
            posture=Posture.Proactive, after=alive, expect={"prefect.flow-run.*"},
            match={"prefect.resource.id": "prefect.flow-run.*"}, for_each={"prefect.resource.id"},
            threshold=1, within=timedelta(seconds=90)),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="No sign of life for 90 seconds")],
    )
    try:
        wanted.id = Automation.read(name=wanted.name).id
        wanted.update()
    except ValueError:
        wanted.create()


def deploy(length: str) -> None:
    """`prefect deploy --all`, of a prefect.yaml in which another window length stands where one is asked for."""
    content = yaml.safe_load(Path("prefect.yaml").read_text())
    for deployment in content["deployments"]:
        if deployment["name"] in ("drain-window", "backfill"):
            deployment["parameters"] = {"length": length}
    content["deployments"][0]["schedules"][0]["interval"] = int(length[:-1]) * UNITS[length[-1]]
    leave_off(content["deployments"])
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(content, file)
        file.flush()
        prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
        subprocess.run([*prefect, "deploy", "--all", "--prefect-file", file.name], check=True, stdout=subprocess.DEVNULL)


def leave_off(deployments: list[dict]) -> None:
    """What somebody paused or switched off stays so: `prefect deploy` would switch it on."""
    with get_client(sync_client=True) as client:
        present = {deployment.name: deployment for deployment in client.read_deployments()}
    for deployment in deployments:
        if found := present.get(deployment["name"]):
            deployment["paused"] = found.paused
            if found.schedules and not any(schedule.active for schedule in found.schedules):
                for schedule in deployment["schedules"]:
                    schedule["active"] = False


if __name__ == "__main__":
    main()
