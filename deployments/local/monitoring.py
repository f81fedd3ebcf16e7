"""The watching half of `make up`: our exporter always; redis_exporter, Prometheus and Alertmanager where they are installed.

Chooses what is started and writes its configuration below STATE: links to what is shipped, targets with the ports in
use. supervisord.conf has the commands. Standard library only.
"""

import base64
import json
import shutil
import socket
import urllib.request
from pathlib import Path

import access

ROOT = Path(__file__).resolve().parents[2]

# Under the names of their projects, and of Debian's packages.
PROGRAMS = {
    "redis-exporter": ("redis_exporter", "prometheus-redis-exporter"),
    "prometheus": ("prometheus",),
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),
}
PORTS = {"exporter": "9402", "redis-exporter": "9121", "prometheus": "9090", "alertmanager": "9093"}
# Which program answers a job of prometheus.yml.
JOBS = {"datawriter": "exporter", "redis": "redis-exporter", "prometheus": "prometheus", "alertmanager": "alertmanager"}


def settings(given, env: dict[str, str]) -> dict[str, str]:
    """Variables of the programs; the paths of those that are not installed mean nothing, and are not used."""
    slack = Path(given.get("SLACK") or ROOT / "deployments/alertmanager/secrets").absolute()
    found = {port(name): given.get(port(name)) or default for name, default in PORTS.items()}
    for name, candidates in PROGRAMS.items():
        found[variable(name)] = next(filter(None, (shutil.which(program, path=given.get("PATH")) for program in candidates)), "none")
    found |= {
        "MONITORING": given.get("MONITORING") or "1", "SLACK": str(slack),
        "ALERTMANAGER_CONFIG": "alertmanager.yml" if told(slack) else str(ROOT / "deployments/compose/alertmanager/nobody.yml"),
        "DATAWRITER_WINDOW_LENGTH": env["WINDOW"],
    }
    if told(slack):  # the daily summary goes where the alerts go
        found["DATAWRITER_WEBHOOK_FILE"] = str(slack / "slack_url")
    if not refusal(found, "prometheus"):
        found["DATAWRITER_PROMETHEUS_URL"] = f"http://127.0.0.1:{found['PROMETHEUS_PORT']}"
    return found


def variable(name: str) -> str:
    return name.upper().replace("-", "_")


def port(name: str) -> str:
    return variable(name) + "_PORT"


def told(slack: Path) -> bool:
    """Somebody is told: there is the URL of a webhook."""
    url = slack / "slack_url"
    return url.is_file() and url.stat().st_size > 0


def refusal(env: dict[str, str], name: str) -> str:
    """Why a program is not to be started; nothing when it is."""
    if env["MONITORING"] == "0":
        return "MONITORING=0"
    if env[variable(name)] == "none":
        return f"{' or '.join(PROGRAMS[name])} is not installed"
    return ""


def choose(env: dict[str, str]) -> None:
    """Decides what is started, before anything is: what stands in the way of each of the others goes to the banner."""
    reasons = {name: refusal(env, name) or taken(env, name) for name in PROGRAMS}
    if not reasons["alertmanager"] and not (Path(env["STATE"]) / "secrets/alertmanager_web.yml").exists():
        reasons["alertmanager"] = "no tool here makes the hash of its password: install htpasswd (package apache2-utils or httpd-tools), or perl on Linux"
    env["WATCHING"] = " ".join(["exporter", *(name for name in PROGRAMS if not reasons[name])])
    env["NOT_WATCHING"] = json.dumps({name: reason for name, reason in reasons.items() if reason})
    if reasons["prometheus"]:
        env.pop("DATAWRITER_PROMETHEUS_URL", None)
    configure(env)


def taken(env: dict[str, str], name: str) -> str:
    number = env[port(name)]
    return "" if free(number) else f"port {number} is taken: {port(name)}={int(number) + 1} make up"


def free(number: str) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(number)))
            return True
        except OSError:
            return False


def configure(env: dict[str, str]) -> None:
    state, watching = Path(env["STATE"]), env["WATCHING"].split()
    shipped = ROOT / "deployments"
    for link, to in (
        ("prometheus/prometheus.yml", shipped / "prometheus/prometheus.yml"), ("prometheus/rules", shipped / "prometheus/rules"),
        ("alertmanager/alertmanager.yml", shipped / "alertmanager/alertmanager.yml"), ("alertmanager/templates", shipped / "alertmanager/templates"),
        ("prometheus/secrets", state / "secrets"),
        ("alertmanager/secrets/slack_url", Path(env["SLACK"]) / "slack_url"),
        ("alertmanager/secrets/slack_escalation_url", escalation(Path(env["SLACK"]))),
    ):
        point(state / link, to)
    targets = state / "prometheus/targets"
    targets.mkdir(exist_ok=True)
    answering = {job: env[port(name)] for job, name in JOBS.items() if name in watching} | {"prefect": env["PREFECT_SERVER_API_PORT"]}
    if env["SOURCE"] == "live":
        answering["ingest"] = "9403"
    for job in [*JOBS, "prefect", "ingest"]:
        found = [{"targets": [f"127.0.0.1:{answering[job]}"]}] if job in answering else []
        (targets / f"{job}.yml").write_text(json.dumps(found) + "\n")  # JSON is YAML


def escalation(slack: Path) -> Path:
    """The second channel; the first where there is none."""
    second = slack / "slack_escalation_url"
    return second if second.exists() else slack / "slack_url"


def point(link: Path, to: Path) -> None:
    """A link, so that what changes in the checkout or in a secret holds here too."""
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(to)


def ready(env: dict[str, str], name: str) -> bool:
    path = {"exporter": "/readyz", "redis-exporter": "/metrics"}.get(name, "/-/ready")
    login = base64.b64encode(access.secret(env, "alertmanager_auth").encode()).decode()  # the others ask for none
    request = urllib.request.Request(f"http://127.0.0.1:{env[port(name)]}{path}", headers={"Authorization": f"Basic {login}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.status == 200


def banner(env: dict[str, str]) -> str:
    missing = json.loads(env["NOT_WATCHING"])
    lines = [f"  metrics      http://localhost:{env['EXPORTER_PORT']}/metrics"]
    for name, title, what in (("prometheus", "Prometheus", "/alerts"), ("alertmanager", "Alertmanager", "   " + audience(env))):
        lines.append(f"  {title:<12} " + (f"not started: {missing[name]}" if name in missing else f"http://localhost:{env[port(name)]}{what}"))
    if "redis-exporter" in missing:
        lines.append(f"  redis_exporter not started: {missing['redis-exporter']}")
    return "\n".join(lines)


def audience(env: dict[str, str]) -> str:
    login = f"log in as admin, password in {env['STATE']}/secrets/alertmanager_password"
    if told(Path(env["SLACK"])):
        return f"tells Slack; {login}"
    return f"tells nobody: write the URL of a webhook to {Path(env['SLACK']) / 'slack_url'}; {login}"
