"""docker-compose.yml as it is: up, safe, watched, down and up again, moved; nothing lost, nothing twice.

The tests stand in the order in which they run, on one stack.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import urllib.error
from pathlib import Path

import pytest

from conftest import KNOBS, LAB, LONG_RUNNING, ROOT, ask, wait_for

OURS = ("datawriter:local", "datawriter-prefect:local")


def say(text: str) -> None:
    print(f"\n    {text}", flush=True)


@pytest.mark.parametrize("override", ["", "own-redis", "postgres", "tls"])
def test_the_file_and_its_overrides_are_clean(stack, override):
    """With OLD_COMPOSE=…/docker-compose also by that version."""
    files = ["-f", "docker-compose.yml"] + (["-f", f"deployments/compose/{override}.yml"] if override else [])
    for compose in filter(None, ("docker compose", os.environ.get("OLD_COMPOSE"))):
        done = subprocess.run([*compose.split(), *files, "--profile", "*", "config", "--quiet"], cwd=stack.folder,
                              env=stack.environ | {"DOMAIN": "example.org", "EMAIL": "me@example.org"}, capture_output=True, text=True)
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), compose


def test_one_command_brings_everything_up(stack):
    stack.compose("build", "--quiet")
    say(f"cold, images built: ready after {stack.up():.0f} s")
    stack.receive_slack()
    wait_for("files", lambda: len(stack.files()) >= 5)
    say("images: " + ", ".join(stack.sh("docker", "images", "--format", "{{.Repository}} {{.Size}}", image).strip() for image in OURS))


def test_prefect_plans_and_runs(stack):
    def states() -> set[str]:
        return {run["state_type"] for run in stack.prefect("/flow_runs/filter", {"deployments": {"name": {"any_": ["drain-window"]}}})}
    assert "SCHEDULED" in states()
    wait_for("a run that completed", lambda: "COMPLETED" in states())  # its files come before its end
    with_page = stack.sh("curl", "-sf", f"http://127.0.0.1:{KNOBS['PREFECT_PORT']}/")
    assert "<html" in with_page.lower()


def test_every_target_is_up_and_every_dashboard_is_there(stack):
    def down():
        return [t["scrapePool"] for t in stack.prometheus("targets")["activeTargets"] if t["health"] != "up"]

    wait_for("targets that are up", lambda: not down(), 120)
    jobs = {t["labels"]["job"] for t in stack.prometheus("targets")["activeTargets"]}
    assert jobs == {"prometheus", "alertmanager", "redis", "datawriter", "prefect"}
    grafana = f"http://127.0.0.1:{KNOBS['GRAFANA_PORT']}"
    boards = sorted(path.stem for path in (ROOT / "deployments/grafana/dashboards").glob("*.json"))
    login = base64.b64encode(("admin:" + stack.secret("grafana_admin")).encode()).decode()
    assert len(ask(grafana + "/api/search", headers={"Authorization": "Basic " + login})) == len(boards)


def test_only_loopback_listens(stack):
    for service, container in stack.ids().items():
        for bindings in (stack.inspect(service)["NetworkSettings"]["Ports"] or {}).values():
            assert all(of["HostIp"] == "127.0.0.1" for of in bindings or []), service
    listening = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    for port in (value for name, value in KNOBS.items() if name.endswith("_PORT")):
        assert re.findall(rf"(\S+):{port} ", listening) == ["127.0.0.1"], listening


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_a_service_is_nobody_and_writes_to_volumes_only(stack, service):
    found = stack.inspect(service)
    host = found["HostConfig"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"] and not host["Privileged"]
    assert host["Memory"] > 0 and host["NanoCpus"] > 0 and host["LogConfig"]["Config"]["max-size"] == "10m"
    processes = stack.sh("docker", "top", stack.ids()[service], "-eo", "pid").split()[1:]
    for pid in processes:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except FileNotFoundError:
            continue  # a health check that has ended
        assert 0 not in map(int, re.search(r"^Uid:\s(.*)", status, re.M)[1].split()), f"{service} {pid} is root"
        assert int(re.search(r"^CapEff:\s(\w+)", status, re.M)[1], 16) == 0
        assert re.search(r"^NoNewPrivs:\s1", status, re.M)


def test_redis_and_what_stands_behind_it_cannot_leave_the_host(stack):
    for network, internal in (("redis", True), ("back", True), ("front", False)):
        assert json.loads(stack.sh("docker", "network", "inspect", "datawriter_" + network))[0]["Internal"] is internal
    assert set(stack.inspect("redis")["NetworkSettings"]["Networks"]) == {"datawriter_redis"}
    assert set(stack.inspect("simulate")["NetworkSettings"]["Networks"]) == {"datawriter_redis"}


def test_nobody_answers_without_the_password(stack):
    for password in ("", "wrong"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            stack.prefect("/flow_runs/filter", {}, password=password)
    for address in ("http://exporter:9402/metrics", "http://alertmanager:9093/api/v2/silences"):
        look = f"import urllib.request; urllib.request.urlopen('{address}')"
        said = subprocess.run(["docker", "compose", "exec", "-T", "worker", "python", "-c", look], cwd=stack.folder, env=stack.environ, capture_output=True, text=True)
        assert "401" in said.stderr, address
    assert "NOAUTH" in stack.compose("exec", "-T", "redis", "redis-cli", "ping")
    grafana = stack.inspect("grafana")
    if "not-grafana" not in grafana["Config"]["Labels"].values():
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(f"http://127.0.0.1:{KNOBS['GRAFANA_PORT']}/api/search")


@pytest.mark.parametrize("user, may, may_not", [
    ("producer", "XADD bluesky:{posts} 1-1 event x", "XRANGE bluesky:{posts} - + COUNT 1"),
    ("drainer", "XLEN bluesky:{posts}", "XADD bluesky:{posts} * event x"),
    ("exporter", "XINFO STREAM bluesky:{posts}", "XDEL bluesky:{posts} 1-1"),
    ("metrics", "INFO memory", "XRANGE bluesky:{posts} - + COUNT 1"),
    ("health", "PING", "INFO memory"),
    ("admin", "CONFIG GET maxmemory", None),
])
def test_a_user_of_redis_does_its_work_and_no_more(stack, user, may, may_not):
    """That the server knows its users (an entry as old as 1-1 is refused for that alone); TestNoUserOfRedisCanDoMore tries everything that each must not."""
    login = ["exec", "-T", "-e", "REDISCLI_AUTH=" + stack.secret("redis_" + user).strip(), "redis", "redis-cli", "--user", user]
    assert not re.search("NOPERM|WRONGPASS|NOAUTH", stack.compose(*login, *may.split()))
    if may_not:
        for command in (may_not, "CONFIG GET requirepass", "FLUSHALL", "ACL LIST"):
            assert "NOPERM" in stack.compose(*login, *command.split()), command


def test_no_secret_is_seen_from_outside(stack):
    secrets = {path.name: path.read_text() for path in (stack.folder / "deployments/secrets").iterdir()
               if path.suffix == "" and path.name.startswith(("redis_", "prefect_", "exporter_", "alertmanager_", "grafana_", "slack_"))}
    assert len(secrets) == 16
    places = {"inspect": stack.sh("docker", "inspect", *stack.ids().values()), "logs": stack.compose("logs", "--no-color"),
              "processes": subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True).stdout}
    for image in OURS:
        places["history of " + image] = stack.sh("docker", "history", "--no-trunc", image)
        save = subprocess.run(["docker", "save", image], env=stack.environ, capture_output=True, check=True)
        places["layers of " + image] = save.stdout.decode("latin-1")
    for place, text in places.items():
        for name, secret in secrets.items():
            assert secret not in text, f"{name} in {place}"


def test_an_alert_reaches_slack_and_ends(stack):
    def told(colour: str) -> bool:
        titles = [of["attachments"][0]["title"] for of in stack.slack()[before:]]
        return any(re.search("RedisDown|RedisNotAnswering", title) and colour in title for title in titles)

    before = len(stack.slack())
    stack.compose("pause", "redis")
    try:
        took = wait_for("message about Redis", lambda: told("Critical"), 300)
        say(f"Redis paused: a message in Slack after {took:.0f} s")
    finally:
        stack.compose("unpause", "redis")
    say(f"and that it is over, {wait_for('message that it is over', lambda: told('esolved'), 300):.0f} s after it goes on")


@pytest.mark.parametrize("step, login, arguments", [
    ("prefect", "prefect_auth", ["--prefect-url", "http://server:4200/api", "--prefect-auth-file", "/tmp/auth"]),
    ("monitoring", "alertmanager_auth", ["--alertmanager-url", "http://alertmanager:9093", "--alertmanager-auth-file", "/tmp/auth",
                                         "--exporter-url", "", "--grafana-url", "http://grafana:3000"]),
])
def test_the_programme_passes(stack, step, login, arguments):
    """From inside, where every address is at hand. Waits, because rates need a few minutes of history."""
    stack.compose("exec", "-T", "worker", "sh", "-c", "cat > /tmp/auth", input=stack.secret(login))
    command = ["exec", "-T", "worker", "datawriter", "validate", step, "--prometheus-url", "http://prometheus:9090", *arguments]
    wait_for(f"a good validation of {step}", lambda: stack.compose(*command))


def test_the_live_source_comes_beside_the_mock_one(stack):
    stack.be_jetstream()
    with open(stack.folder / ".env", "a") as knobs:
        knobs.write("COMPOSE_PROFILES=mock,live\nINGEST_HOSTS=ws://jetstream:6008\n")
    say(f"ingest: ready after {stack.up():.0f} s")

    def added() -> float:
        return sum(float(of["value"][1]) for of in stack.prometheus("query?query=datawriter_ingest_events_total")["result"])

    wait_for("events of the live source", lambda: added() > 1000)
    stack.sh("docker", "restart", "-t", "1", "jetstream")
    before = added()
    wait_for("events after the source came back", lambda: added() > before + 1000)


@pytest.mark.skipif(not LAB, reason="asks Grafana without a login, as its stand-in allows; validate monitoring asks Prometheus itself")
def test_every_panel_answers(stack):
    grafana = f"http://127.0.0.1:{KNOBS['GRAFANA_PORT']}"
    check = ["python3", str((ROOT / LAB).resolve() / "check_dashboards.py"), grafana, *map(str, (ROOT / "deployments/grafana/dashboards").glob("*.json"))]
    wait_for("a panel query that answers, of each", lambda: stack.sh(*check), 300)
    say(stack.sh(*check).strip().splitlines()[-1])


def test_down_and_up_again_goes_on(stack):
    schedules = stack.prefect("/deployments/filter", {})
    rows = stack.verify()["rows"]
    stack.compose("down")
    stack.sh("docker", "rm", "-f", "slack", "jetstream", check=False)
    say(f"warm: ready after {stack.up():.0f} s")
    assert {d["id"] for d in stack.prefect("/deployments/filter", {})} == {d["id"] for d in schedules}
    stack.wait_for_files(len(stack.files()))
    assert stack.verify()["rows"] > rows


def test_what_somebody_switched_off_stays_off(stack):
    """A deployment that is paused, and one of which the schedule alone is off."""
    of = {d["name"]: d for d in stack.prefect("/deployments/filter", {})}
    paused, unscheduled = (f"/deployments/{of[name]['id']}" for name in ("drain-window", "verify-day"))
    schedule = f"{unscheduled}/schedules/{of['verify-day']['schedules'][0]['id']}"
    stack.prefect_call("POST", paused + "/pause_deployment")
    stack.prefect_call("PATCH", schedule, {"active": False})
    stack.up()
    assert stack.prefect_call("GET", paused)["paused"] and not stack.prefect_call("GET", unscheduled)["paused"]
    assert [s["active"] for s in stack.prefect_call("GET", unscheduled)["schedules"]] == [False]
    stack.prefect_call("POST", paused + "/resume_deployment")
    for now in stack.prefect_call("GET", unscheduled)["schedules"]:
        stack.prefect_call("PATCH", f"{unscheduled}/schedules/{now['id']}", {"active": True})


def test_an_upgrade_keeps_data_runs_and_schedules(stack, monkeypatch):
    deployments, finished, rows = stack.prefect("/deployments/filter", {}), completed(stack), stack.verify()["rows"]
    monkeypatch.setitem(stack.environ, "VERSION", "next")
    stack.compose("build", "--quiet")
    say(f"upgraded in {stack.up():.0f} s")
    for service in ("server", "worker", "simulate", "exporter"):
        assert stack.inspect(service)["Config"]["Image"].endswith(":next")
    assert {d["id"] for d in stack.prefect("/deployments/filter", {})} == {d["id"] for d in deployments}
    assert {run["id"] for run in finished} <= {run["id"] for run in completed(stack)}
    stack.wait_for_files(len(stack.files()))
    assert stack.verify()["rows"] > rows


def test_a_backup_moves_to_another_host(stack, tmp_path):
    backup, finished = tmp_path / "backup", completed(stack)
    stack.sh("deployments/backup/backup.sh", str(backup))
    rows = stack.verify()["rows"]
    assert "is running" in refused(stack, backup)
    stack.compose("--profile", "*", "down")
    assert "is not empty" in refused(stack, backup)
    stack.compose("--profile", "*", "down", "-v")
    cut_off = tmp_path / "cut off"
    shutil.copytree(backup, cut_off, ignore=shutil.ignore_patterns("SHA256SUMS"))
    assert "was cut off" in refused(stack, cut_off)
    stack.sh("deployments/backup/restore.sh", str(backup))
    stack.up()
    # What was drained while the backup was made stands in Redis too, until the next run has settled it.
    wait_for("an archive that is whole", lambda: stack.verify()["rows"] > 0)
    stack.wait_for_files(len(stack.files()))
    found = stack.verify()
    say(f"restored: {found['rows']} rows, {rows} before")
    assert {run["id"] for run in finished} <= {run["id"] for run in completed(stack)}


def refused(stack, backup: Path) -> str:
    done = subprocess.run(["deployments/backup/restore.sh", backup], cwd=stack.folder, env=stack.environ, capture_output=True, text=True)
    assert done.returncode != 0
    return done.stderr


def completed(stack) -> list[dict]:
    return stack.prefect("/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
