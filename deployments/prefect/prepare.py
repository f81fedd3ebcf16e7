"""Makes a Prefect server ready for datawriter: work pool, deployments, the automation that clears dead runs.

Repeating it brings what is there up to date, and leaves as it is what a person changed (kept.py). Run it from the root
of the repository, where prefect.yaml lies:

    python deployments/prefect/prepare.py [--length 1m]
"""

import argparse
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from prefect.automations import Automation
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleUpdate, DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.flows import load_flow_from_entrypoint
from prefect.states import StateType
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

import kept
from worker import POOL, WATCHED

UNITS = {"s": 1, "m": 60, "h": 3600}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--length", default="5m", help="window length and schedule of drain-window, such as 5m, 1m or 10s")
    length = parser.parse_args().length
    create_pool()
    memory = kept.Memory()
    clear_dead_runs(memory)
    deploy(length, memory)
    memory.save()


def create_pool() -> None:
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
        except ObjectNotFound:
            client.create_work_pool(WorkPoolCreate(
                name=POOL, type="process", base_job_template=ProcessWorker.get_default_base_job_template()))


def clear_dead_runs(memory: kept.Memory) -> None:
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
        found = Automation.read(name=wanted.name)
    except ValueError:
        wanted.create()
        memory.made(wanted.name, kept.automation(wanted))
        return
    if list(memory.ours(wanted.name, kept.automation(found), kept.automation(wanted))):
        wanted.id, wanted.enabled = found.id, found.enabled
        wanted.update()


def deploy(length: str, memory: kept.Memory) -> None:
    """What prefect.yaml says, with another window length where one is asked for."""
    content = yaml.safe_load(Path("prefect.yaml").read_text())
    for config in content["deployments"]:
        if config["name"] in ("drain-window", "backfill"):
            config["parameters"] = {"length": length}
    content["deployments"][0]["schedules"][0]["interval"] = int(length[:-1]) * UNITS[length[-1]]
    with get_client(sync_client=True) as client:
        present = {found.name: found for found in client.read_deployments()}
        for config in content["deployments"]:
            if config["name"] in present:
                update(client, present[config["name"]], config, memory)
    missing = [config for config in content["deployments"] if config["name"] not in present]
    if missing:
        create(content | {"deployments": missing})
    for config in missing:
        memory.made(config["name"], kept.wanted(config))


def create(content: dict) -> None:
    """`prefect deploy --all`, of that content of prefect.yaml."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(content, file)
        file.flush()
        prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
        subprocess.run([*prefect, "deploy", "--all", "--prefect-file", file.name], check=True, stdout=subprocess.DEVNULL)


def update(client: SyncPrefectClient, found: DeploymentResponse, config: dict, memory: kept.Memory) -> None:
    """What the code needs, and the settings that nobody changed. What is left out of an update stays as it is."""
    changes = needed(found, config)
    wanted = kept.wanted(config)
    for setting in memory.ours(found.name, kept.found(found), wanted):
        changes[setting] = wanted[setting] if setting != "schedules" else switched(found, config)
    if not changes:
        return
    try:
        client.update_deployment(found.id, DeploymentUpdate(**changes))
    except PrefectHTTPStatusError as error:
        if error.response.status_code != 409:
            raise
        # The only conflict that an update of ours can have: parameters that the flow does not take any more.
        print(f"parameters of {found.name} do not fit its flow any more and are reset: {found.parameters}", file=sys.stderr)
        client.update_deployment(found.id, DeploymentUpdate(**changes | {"parameters": wanted["parameters"]}))


def needed(found: DeploymentResponse, config: dict) -> dict[str, Any]:
    """Where the code lies, and which parameters it takes."""
    flow = load_flow_from_entrypoint(config["entrypoint"])
    code = {
        "entrypoint": config["entrypoint"],
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(Path.cwd().resolve())}}],
        "parameter_openapi_schema": parameter_schema(flow).model_dump(exclude_unset=True),
    }
    return {name: value for name, value in code.items() if getattr(found, name) != value}


def switched(found: DeploymentResponse, config: dict) -> list[DeploymentScheduleUpdate]:
    """The schedules of prefect.yaml, switched off where somebody had switched theirs off."""
    active = all(one.active for one in found.schedules)
    return [DeploymentScheduleUpdate(schedule=kept.schedule(one), active=active) for one in config.get("schedules", [])]


if __name__ == "__main__":
    main()
