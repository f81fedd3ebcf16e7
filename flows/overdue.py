"""Ends the runs that wait for their turn, or were forgotten on their way, although their window is drained.

After an outage one run drains every window that has closed. Without this the run of each of their slots would still
start, one after the other, to find nothing: some seconds each, for as long as the outage was.
"""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from prefect import get_run_logger, runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed

# The states of a run that has not begun and that no person has asked to be tried again.
WAITING = ["Late", "AwaitingConcurrencySlot"]

# A worker takes seconds from here to a process. One that forgets a run leaves it so for ever, where Prefect holds back
# the events that the automation waits for.
ON_ITS_WAY = ["Pending", "Submitting"]
FORGOTTEN = timedelta(minutes=2)


def end(before: datetime, settings: dict, defaults: dict, name_of: Callable[[datetime], str]) -> None:
    """Completes, as Skipped, the waiting runs of this deployment whose slot lies before that moment.

    Only those that name no window and have these settings. name_of gives a run its name, from its slot, as if it had
    begun. One that cannot be ended will run and find nothing.
    """
    if not runtime.deployment.id:
        return  # a flow that a person started as a script has no runs that wait
    try:
        _end(before, settings, defaults, name_of)
    except Exception as error:
        get_run_logger().warning("runs whose window is drained still wait: %s", error)


def _end(before: datetime, settings: dict, defaults: dict, name_of: Callable[[datetime], str]) -> None:
    waiting = FlowRunFilter.model_validate({
        "state": {"name": {"any_": WAITING + ON_ITS_WAY}},
        "expected_start_time": {"before_": min(before, datetime.now(timezone.utc)).isoformat()},
    })
    ours = DeploymentFilter.model_validate({"id": {"any_": [runtime.deployment.id]}})
    skipped = Completed(name="Skipped", message=f"Drained by the run {runtime.flow_run.name}")
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=waiting, deployment_filter=ours):
            if run.expected_start_time < before and _same(run, settings, defaults) and not _on_its_way(run):
                client.set_flow_run_state(run.id, skipped)
                client.update_flow_run(run.id, name=name_of(run.expected_start_time))


def _on_its_way(run: FlowRun) -> bool:
    return run.state.name in ON_ITS_WAY and datetime.now(timezone.utc) - run.state.timestamp < FORGOTTEN


def _same(run: FlowRun, settings: dict, defaults: dict) -> bool:
    theirs = defaults | run.parameters
    return not theirs.get("window") and all(theirs.get(name) == value for name, value in settings.items())
