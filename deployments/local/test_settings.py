"""What a person changed in the UI outlives a second `make up`, another `prepare.py` and an upgrade, and what nobody
changed follows prefect.yaml: on a real server, asked as the UI asks it.
"""

import contextlib
import copy
import os
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import access
import stack as stack_py
from conftest import ROOT, free_port, wait


class Prefect:
    """A server of its own, and a checkout in which prefect.yaml can be another."""

    def __init__(self, folder: Path) -> None:
        self.env = stack_py.settings(os.environ | {"STATE": str(folder / "state"), "PREFECT_PORT": str(free_port())})
        self.root = folder / "checkout"
        self.root.mkdir()
        (self.root / "flows").symlink_to(ROOT / "flows")
        (folder / "state/prefect").mkdir(parents=True)
        access.prepare(self.env)
        self.server = access.server(self.env)
        self.log = open(folder / "server.log", "w")

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, ROOT / "deployments/prefect/server.py"], env=self.env, cwd=self.root, stdout=self.log, stderr=self.log)
        wait(lambda: stack_py.answers(lambda: self.ask("/health")), 300, lambda: f"the server answers, see {self.log.name}")

    def ask(self, path: str, question=None, method: str | None = None):
        """Again where SQLite is busy, as a person presses the button again."""
        for _ in range(30):
            with contextlib.suppress(TimeoutError):
                try:
                    return self.server.ask(path, question, method)
                except urllib.error.HTTPError as refused:
                    if refused.code != 503:
                        raise
            time.sleep(1)
        raise AssertionError(f"the server is too busy for {path}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def prepare(self, length: str = "5m", change: Callable[[dict], None] = lambda deployments: None) -> str:
        content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
        change({one["name"]: one for one in content["deployments"]})
        (self.root / "prefect.yaml").write_text(yaml.safe_dump(content))
        done = subprocess.run([sys.executable, ROOT / "deployments/prefect/prepare.py", "--length", length], env=self.env, cwd=self.root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def deployment(self, name: str) -> dict:
        return self.ask(f"/deployments/name/{name}/{name}")

    def patch(self, name: str, **changes) -> None:
        self.ask(f"/deployments/{self.deployment(name)['id']}", changes, "PATCH")

    def schedule(self, name: str, changes: dict | None, method: str = "PATCH") -> None:
        found = self.deployment(name)
        self.ask(f"/deployments/{found['id']}/schedules/{found['schedules'][0]['id']}", changes, method)

    def automation(self) -> dict:
        return next(one for one in self.ask("/automations/filter", {}) if one["name"] == "clear dead runs")

    def slower(self) -> None:
        """The automation waits for twice as long."""
        found = self.automation()
        core = {name: found[name] for name in ("name", "description", "enabled", "actions", "actions_on_trigger", "actions_on_resolve")}
        self.ask(f"/automations/{found['id']}", core | {"trigger": found["trigger"] | {"within": 180}}, "PUT")

    def queue(self) -> dict:
        return self.ask("/work_pools/datawriter/queues/default")


@pytest.fixture(scope="module")
def prefect(tmp_path_factory) -> Iterator[Prefect]:
    server = Prefect(tmp_path_factory.mktemp("prefect"))
    server.start()
    try:
        server.prepare()
        yield server
    finally:
        server.stop()


@dataclass
class Change:
    """What a person does in the UI, and where it shows."""

    what: str
    do: Callable[[Prefect], object]
    see: Callable[[Prefect], object]


def of(name: str, *fields: str) -> Callable[[Prefect], object]:
    return lambda p: [p.deployment(name)[field] for field in fields]


def schedules(name: str) -> Callable[[Prefect], object]:
    return lambda p: [[one["id"], one["active"], one["schedule"], one["parameters"]] for one in p.deployment(name)["schedules"]]


WEEKLY = {"schedule": {"cron": "0 3 * * 1", "timezone": "Europe/Berlin"}, "active": True, "parameters": {"day": "2026-11-23"}}

CHANGES = [
    Change("a deployment is paused", lambda p: p.patch("verify-day", paused=True), of("verify-day", "paused")),
    Change("a schedule is switched off", lambda p: p.schedule("drain-window", {"active": False}), lambda p: [one["active"] for one in p.deployment("drain-window")["schedules"]]),
    Change("a schedule has another time", lambda p: p.schedule("verify-day", {"schedule": {"cron": "5 5 * * *", "timezone": "UTC"}}), schedules("verify-day")),
    Change("a deployment gets a schedule", lambda p: p.ask(f"/deployments/{p.deployment('backfill')['id']}/schedules", [WEEKLY]), schedules("backfill")),
    Change("a schedule is deleted", lambda p: p.schedule("daily-summary", None, "DELETE"), schedules("daily-summary")),
    Change("a parameter has another value", lambda p: p.patch("drain-window", parameters={"length": "5m", "noack": True}), of("drain-window", "parameters")),
    Change("a parameter has a value where there was none", lambda p: p.patch("verify-day", parameters={"data": "/elsewhere"}), of("verify-day", "parameters")),
    Change("more runs may go at once", lambda p: p.patch("verify-day", concurrency_limit=3), lambda p: p.deployment("verify-day")["global_concurrency_limit"]["limit"]),
    Change("any number of runs may go at once", lambda p: p.patch("daily-summary", concurrency_limit=None), of("daily-summary", "global_concurrency_limit")),
    Change("runs beyond the limit are cancelled", lambda p: p.patch("backfill", concurrency_options={"collision_strategy": "CANCEL_NEW"}), of("backfill", "concurrency_options")),
    Change("the limit is switched off", lambda p: p.ask(f"/v2/concurrency_limits/{p.deployment('backfill')['global_concurrency_limit']['id']}", {"active": False}, "PATCH"),
           lambda p: p.deployment("backfill")["global_concurrency_limit"]["active"]),
    Change("a tag is added", lambda p: p.patch("verify-day", tags=["datawriter", "verify", "mine"]), of("verify-day", "tags")),
    Change("every tag is taken away", lambda p: p.patch("backfill", tags=[]), of("backfill", "tags")),
    Change("a description is another", lambda p: p.patch("verify-day", description="Ask Ann. {{ braces }}"), of("verify-day", "description")),
    Change("a description is emptied", lambda p: p.patch("daily-summary", description=""), of("daily-summary", "description")),
    Change("job variables are others", lambda p: p.patch("verify-day", job_variables={"env": {"TZ": "UTC"}}), of("verify-day", "job_variables")),
    Change("parameters are not checked", lambda p: p.patch("verify-day", enforce_parameter_schema=False), of("verify-day", "enforce_parameter_schema")),
    Change("a deployment goes through another queue", lambda p: p.patch("backfill", work_pool_name="datawriter", work_queue_name="slow"), of("backfill", "work_queue_name")),
    Change("the work pool is paused", lambda p: p.ask("/work_pools/datawriter", {"is_paused": True}, "PATCH"), lambda p: p.ask("/work_pools/datawriter")["is_paused"]),
    Change("the work pool has a limit", lambda p: p.ask("/work_pools/datawriter", {"concurrency_limit": 2}, "PATCH"), lambda p: p.ask("/work_pools/datawriter")["concurrency_limit"]),
    Change("the work pool has a description", lambda p: p.ask("/work_pools/datawriter", {"description": "ours"}, "PATCH"), lambda p: p.ask("/work_pools/datawriter")["description"]),
    Change("the job template is another", lambda p: p.ask("/work_pools/datawriter", {"base_job_template": niced(p)}, "PATCH"), lambda p: p.ask("/work_pools/datawriter")["base_job_template"]),
    Change("the work queue is paused", lambda p: p.ask("/work_pools/datawriter/queues/default", {"is_paused": True}, "PATCH"), lambda p: p.queue()["is_paused"]),
    Change("the work queue has a limit", lambda p: p.ask("/work_pools/datawriter/queues/default", {"concurrency_limit": 1}, "PATCH"), lambda p: p.queue()["concurrency_limit"]),
    Change("the automation is edited", lambda p: p.slower(), lambda p: p.automation()["trigger"]["within"]),
    Change("the automation is switched off", lambda p: p.ask(f"/automations/{p.automation()['id']}", {"enabled": False}, "PATCH"), lambda p: p.automation()["enabled"]),
]


def niced(prefect: Prefect) -> dict:
    template = copy.deepcopy(prefect.ask("/work_pools/datawriter")["base_job_template"])
    template["variables"]["properties"]["command"]["default"] = "nice python -m prefect.engine"
    return template


def upgrade(deployments: dict[str, dict]) -> None:
    """prefect.yaml of a later version: every setting of every deployment is another."""
    for one in deployments.values():
        one["description"] = "Of a later version."
        one["tags"] = one["tags"] + ["later"]
        one["concurrency_limit"] = {"limit": 2, "collision_strategy": "ENQUEUE", "grace_period_seconds": 120}
        one["work_pool"] = one["work_pool"] | {"job_variables": {"command": "python -m prefect.engine", "env": {"LATER": "1"}}}
        for schedule in one.get("schedules", []):
            schedule["timezone"] = "Europe/Paris"


# How a server may meet prepare.py again.
AGAIN = {
    "make up again": lambda p: p.prepare(),
    "another window length": lambda p: p.prepare("1m"),
    "an upgrade": lambda p: p.prepare("1m", upgrade),
    "an upgrade of a server that an older version prepared": lambda p: (p.ask("/variables/name/datawriter_prepared", method="DELETE"), p.prepare("5m", upgrade)),
}


@pytest.fixture(scope="module")
def seen(prefect) -> dict[str, dict[str, object]]:
    """Of each change what it shows: once it was made, and after each way of preparing the server again."""
    for change in CHANGES:
        change.do(prefect)
    found = {"": {change.what: change.see(prefect) for change in CHANGES}}
    for how, again in AGAIN.items():
        again(prefect)
        found[how] = {change.what: change.see(prefect) for change in CHANGES}
    return found


@pytest.mark.parametrize("how", AGAIN)
@pytest.mark.parametrize("what", [change.what for change in CHANGES])
def test_what_a_person_changed_stays(seen, what, how):
    assert seen[how][what] == seen[""][what]


@pytest.fixture
def fresh(prefect) -> Prefect:
    """The server as it is after a first `make up`."""
    for one in prefect.ask("/deployments/filter", {}):
        prefect.ask(f"/deployments/{one['id']}", method="DELETE")
    prefect.ask(f"/automations/{prefect.automation()['id']}", method="DELETE")
    prefect.prepare()
    return prefect


def test_what_nobody_changed_follows_a_later_version(fresh):
    fresh.prepare("1m", upgrade)
    for name in ("drain-window", "verify-day", "daily-summary", "backfill"):
        found = fresh.deployment(name)
        assert (found["description"], "later" in found["tags"], found["global_concurrency_limit"]["limit"]) == ("Of a later version.", True, 2)
        assert found["concurrency_options"]["grace_period_seconds"] == 120 and found["job_variables"]["env"] == {"LATER": "1"}
        assert {one["schedule"]["timezone"] for one in found["schedules"]} <= {"Europe/Paris"}
    assert fresh.deployment("drain-window")["schedules"][0]["schedule"]["interval"] == 60
    assert fresh.deployment("backfill")["parameters"] == {"length": "1m"}


def test_a_schedule_that_is_off_takes_another_length_and_stays_off(fresh):
    fresh.schedule("drain-window", {"active": False})
    fresh.prepare("1m")
    assert [(one["active"], one["schedule"]["interval"]) for one in fresh.deployment("drain-window")["schedules"]] == [(False, 60)]


def test_what_is_as_it_should_be_is_not_touched(fresh):
    """Each update of a deployment deletes its planned runs."""
    before = fresh.ask("/deployments/filter", {})
    fresh.prepare()
    assert fresh.ask("/deployments/filter", {}) == before


def test_what_the_code_needs_is_set_again(fresh):
    fresh.patch("drain-window", entrypoint="flows/elsewhere.py:drain_window", parameter_openapi_schema={"type": "object", "properties": {}}, pull_steps=[])
    before = fresh.deployment("verify-day")
    fresh.prepare()
    found = fresh.deployment("drain-window")
    assert found["entrypoint"] == "flows/drain_window.py:drain_window" and "window" in found["parameter_openapi_schema"]["properties"]
    assert found["pull_steps"] == before["pull_steps"]


def test_parameters_that_the_flow_does_not_take_any_more_are_reset_and_named(fresh):
    fresh.patch("drain-window", enforce_parameter_schema=False)
    fresh.patch("drain-window", parameters={"length": "five minutes"}, parameter_openapi_schema={"type": "object", "properties": {}})
    fresh.patch("drain-window", enforce_parameter_schema=True)
    said = fresh.prepare()
    assert "five minutes" in said and "drain-window" in said
    assert fresh.deployment("drain-window")["parameters"] == {"length": "5m"}


def test_what_was_deleted_is_made_again(fresh):
    fresh.ask(f"/deployments/{fresh.deployment('verify-day')['id']}", method="DELETE")
    fresh.ask(f"/automations/{fresh.automation()['id']}", method="DELETE")
    fresh.prepare()
    assert fresh.deployment("verify-day")["schedules"] and fresh.automation()["enabled"]


def test_prefect_deploy_by_hand_puts_everything_back(fresh):
    """What the documentation says of it: prepare.py is the one that leaves settings alone."""
    fresh.patch("verify-day", paused=True, description="mine")
    fresh.schedule("drain-window", {"active": False})
    subprocess.run([sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"], env=fresh.env, cwd=fresh.root, check=True, capture_output=True)
    found = fresh.deployment("verify-day")
    assert not found["paused"] and found["description"] != "mine" and fresh.deployment("drain-window")["schedules"][0]["active"]
