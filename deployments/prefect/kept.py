"""What a person changed in the UI stays as it is: which settings of a deployment are theirs, and which are ours to update.

A setting is ours while it is what prepare.py last made it. That is remembered in the Prefect variable `datawriter_prepared`,
as a hash of each setting. Without the variable (an older version prepared the server, or somebody deleted it) a setting
is ours where it is what prefect.yaml says now.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.events.schemas.automations import AutomationCore
from prefect.variables import Variable

VARIABLE = "datawriter_prepared"


class Memory:
    """What prepare.py last made of each thing: {name: {setting: hash}}."""

    def __init__(self) -> None:
        self._hashes: dict[str, dict[str, str]] = Variable.get(VARIABLE, {})

    def ours(self, name: str, found: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
        """The settings that nobody changed, and that are to become something else."""
        last, now = self._hashes.get(name, {}), {}
        for setting, value in wanted.items():
            base = last.get(setting, digest(value))
            now[setting] = base
            if digest(found[setting]) == base:
                now[setting] = digest(value)
                if base != digest(value):
                    yield setting
        self._hashes[name] = now

    def made(self, name: str, wanted: dict[str, Any]) -> None:
        """It was not there, and is now as wanted."""
        self._hashes[name] = {setting: digest(value) for setting, value in wanted.items()}

    def save(self) -> None:
        Variable.set(VARIABLE, self._hashes, overwrite=True)


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def wanted(config: dict) -> dict[str, Any]:
    """The settings of a deployment in prefect.yaml, each in the form that found gives them."""
    limit, pool = config["concurrency_limit"], config["work_pool"]
    return {
        "description": config["description"], "tags": sorted(config["tags"]), "parameters": config.get("parameters", {}),
        "schedules": [[schedule(one).model_dump(mode="json"), {}, None] for one in config.get("schedules", [])],
        "concurrency_limit": limit["limit"],
        "concurrency_options": {"collision_strategy": limit["collision_strategy"], "grace_period_seconds": limit["grace_period_seconds"]},
        "job_variables": pool["job_variables"],
    }


def found(deployment: DeploymentResponse) -> dict[str, Any]:
    limit, options = deployment.global_concurrency_limit, deployment.concurrency_options
    return {
        "description": deployment.description, "tags": sorted(deployment.tags), "parameters": deployment.parameters,
        # Whether they are switched on is always a person's.
        "schedules": [[one.schedule.model_dump(mode="json"), one.parameters, one.slug] for one in deployment.schedules],
        "concurrency_limit": limit.limit if limit else None,
        "concurrency_options": options.model_dump(mode="json") if options else None,
        "job_variables": deployment.job_variables,
    }


def schedule(config: dict) -> CronSchedule | IntervalSchedule:
    if cron := config.get("cron"):
        return CronSchedule(cron=cron, timezone=config["timezone"])
    return IntervalSchedule(interval=timedelta(seconds=config["interval"]), anchor_date=config["anchor_date"], timezone=config["timezone"])


def automation(core: AutomationCore) -> dict[str, Any]:
    """All of it as one setting. Whether it is enabled is always a person's."""
    return {"definition": in_order(core.model_dump(mode="json", include={"description", "trigger", "actions"}))}


def in_order(value: Any) -> Any:
    """Sets come as lists in any order."""
    if isinstance(value, dict):
        return {name: in_order(one) for name, one in value.items() if name != "id"}
    if isinstance(value, list):
        return sorted(map(in_order, value), key=str)
    return value
