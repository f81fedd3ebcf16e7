"""Who may do what in the local stack: the passwords below STATE/secrets, and who is given which of them.

The passwords and the users of Redis are those of docker compose (compose/secrets.sh, redis/users.acl). Programs get
the names of files, so that no password stands in a command line or a log. Standard library only.
"""

import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "deployments/prefect"))
import api  # noqa: E402

# Which user of Redis a program is: supervisord.conf gives it the two variables of that name.
USERS = ("drainer", "ingester", "producer", "exporter")


class Failed(Exception):
    """The passwords could not be made."""


def settings(given, env: dict[str, str]) -> dict[str, str]:
    """Variables of the programs. A Redis of the caller's own has its login in its URL, or in the files of DATAWRITER_REDIS_*."""
    folder, url = Path(env["STATE"]) / "secrets", given.get("REDIS_URL")
    found = {
        "OWN_REDIS": "" if url else "yes",
        "PREFECT_PROFILES_PATH": str(folder / "prefect_profiles.toml"),
        "DATAWRITER_PREFECT_AUTH_FILE": str(folder / "prefect_auth"),
        "DATAWRITER_ALERTMANAGER_AUTH_FILE": str(folder / "alertmanager_auth"),
    }
    for user in USERS:
        found[f"REDIS_URL_{user.upper()}"] = url or f"redis://{user}@127.0.0.1:{env['REDIS_PORT']}/0"
        found[f"REDIS_PASSWORD_{user.upper()}"] = given.get("DATAWRITER_REDIS_PASSWORD_FILE", "") if url else str(folder / f"redis_{user}")
    # redis_exporter takes the user apart from the address.
    found["REDIS_ADDR"] = url.removesuffix("/0") if url else f"redis://127.0.0.1:{env['REDIS_PORT']}"
    if not url:
        found |= {"REDIS_USER": "metrics", "REDIS_PASSWORD_FILE": str(folder / "redis_metrics.json"), "REDIS_EXPORTER_CONFIG_COMMAND": "-"}
    return found


def prepare(env: dict[str, str]) -> None:
    """Makes the passwords that are missing, and the files that are derived from them."""
    folder = Path(env["STATE"]) / "secrets"
    script = [str(ROOT / "deployments/compose/secrets.sh"), str(folder)]
    made = subprocess.run(script, env=env | {"LOCAL_REDIS": f"127.0.0.1:{env['REDIS_PORT']}"}, capture_output=True, text=True)
    # The hash for Alertmanager comes last, and Alertmanager alone needs it.
    if made.returncode != 0 and not (folder / "alertmanager_http.yml").exists():
        raise Failed(f"no passwords could be made in {folder}: {made.stderr.strip()}")


def secret(env: dict[str, str], name: str) -> str:
    return (Path(env["STATE"]) / "secrets" / name).read_text()


def server(env: dict[str, str]) -> api.Server:
    return api.Server(env["PREFECT_API_URL"], secret(env, "prefect_auth"))


def login(env: dict[str, str]) -> str:
    """Where a person finds the login, without saying it."""
    return f"The Prefect UI, http://localhost:{env['PREFECT_SERVER_API_PORT']}, asks for what stands in {env['DATAWRITER_PREFECT_AUTH_FILE']}"


def exports(env: dict[str, str]) -> Path:
    """Writes what a person's shell needs to reach the stack, names of files in place of passwords, and returns its path."""
    folder = Path(env["STATE"]) / "secrets"
    values = {name: env[name] for name in ("DATAWRITER_DATA", "DATAWRITER_PREFECT_AUTH_FILE", "DATAWRITER_ALERTMANAGER_AUTH_FILE",
                                           "PREFECT_API_URL", "PREFECT_PROFILES_PATH")}
    values["DATAWRITER_ALERTMANAGER_URL"] = f"http://127.0.0.1:{env['ALERTMANAGER_PORT']}"
    values["DATAWRITER_EXPORTER_URL"] = f"http://127.0.0.1:{env['EXPORTER_PORT']}/readyz"
    if url := env.get("DATAWRITER_PROMETHEUS_URL"):
        values["DATAWRITER_PROMETHEUS_URL"] = url
    lines = ["# What a terminal needs to reach what `make up` started: source it.",
             f'amtool() {{ command amtool --http.config.file={shlex.quote(str(folder / "alertmanager_http.yml"))} "$@"; }}']
    if env["OWN_REDIS"]:
        password = str(folder / "redis_admin")
        values |= {"DATAWRITER_REDIS_URL": f"redis://admin@127.0.0.1:{env['REDIS_PORT']}/0", "DATAWRITER_REDIS_PASSWORD_FILE": password}
        lines.append(f'redis-cli() {{ REDISCLI_AUTH="$(cat {shlex.quote(password)})" command redis-cli --user admin -p {env["REDIS_PORT"]} "$@"; }}')
    else:
        lines.append("# Redis is your own: set DATAWRITER_REDIS_URL yourself.")
    lines += [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    lines.append(f'export PATH={shlex.quote(env["BIN"])}:{shlex.quote(str(Path(sys.prefix) / "bin"))}:"$PATH"')
    path = Path(env["STATE"]) / "env"
    path.write_text("\n".join(lines) + "\n")
    return path
