"""`make up` and `make down`: the whole stack on one machine, without containers.

supervisor runs the processes (supervisord.conf); this script chooses the settings, checks the ports, starts one
process after the other, each when the one before it is ready, and says what to open. Standard library only.
"""

import glob
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import access
import monitoring

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
VENV = Path(sys.prefix)

# The longest path of a Unix socket that Linux and macOS both take.
MAX_SOCKET_PATH = 100


class Refused(Exception):
    """Something to tell the person who typed the command; nothing was started."""


def main() -> int:
    try:
        env = settings(os.environ)
        return {"up": up, "down": down, "status": status}[sys.argv[1]](env)
    except (Refused, access.Failed) as error:
        print(f"datawriter: {error}", file=sys.stderr)
        return 1


def settings(given) -> dict[str, str]:
    """The environment of every process: what the caller set, ours on top."""
    state = Path(given.get("STATE") or ROOT / ".local").absolute()
    port, bin = given.get("PREFECT_PORT") or "4200", given.get("BIN_DIR") or str(ROOT / "bin")
    env = {name: value for name, value in given.items() if not name.startswith("PREFECT_")}
    env.update(read_env(ROOT / "deployments/prefect/settings.env"))
    env.update({name: given[name] for name in given if name.startswith(("PREFECT_SERVER_SERVICES_", "PREFECT_WORKER_"))})
    env.update(
        STATE=str(state), ROOT=str(ROOT), VENV=str(VENV),
        SOURCE=given.get("SOURCE") or "mock", WINDOW=given.get("WINDOW") or "5m", RATE=given.get("RATE") or "350",
        REDIS_PORT=given.get("REDIS_PORT") or "6379", REDIS_SERVER=given.get("REDIS_SERVER") or "",
        BIN=bin, PATH=os.pathsep.join([bin, str(VENV / "bin"), given.get("PATH", os.defpath)]),
        PREFECT_HOME=str(state / "prefect"),
        PREFECT_SERVER_API_HOST="127.0.0.1", PREFECT_SERVER_API_PORT=port,
        PREFECT_API_URL=f"http://127.0.0.1:{port}/api",
        DATAWRITER_DATA=str(Path(given.get("DATA") or state / "data").absolute()),
    )
    env |= access.settings(given, env)
    return env | monitoring.settings(given, env)


def read_env(path: Path) -> dict[str, str]:
    lines = (line.strip() for line in path.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def up(env: dict[str, str]) -> int:
    check(env)
    started = time.monotonic()
    runner = start_runner(env)
    try:
        start_all(env)
        print(banner(env, time.monotonic() - started), flush=True)
        if os.environ.get("DETACH"):
            return 0
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        runner.wait()
        print("the stack has ended (make down, or see the logs)")
        return 0
    except KeyboardInterrupt:
        print("\nstopping …", flush=True)
        return down(env)
    except BaseException:
        down(env)
        raise


def check(env: dict[str, str]) -> None:
    if env["SOURCE"] not in ("mock", "live"):
        raise Refused(f"SOURCE={env['SOURCE']} is neither mock (made-up events) nor live (Jetstream, the network's own)")
    state = Path(env["STATE"])
    if len(str(state / "supervisor.sock")) > MAX_SOCKET_PATH:
        raise Refused(f"the path of STATE={state} is too long for a socket: choose one of less than 80 characters")
    if supervisor(env, "pid", check=False).returncode == 0:
        raise Refused(f"already running with STATE={state}: `make down` ends it, or choose another STATE and other ports")
    refuse_taken(env["PREFECT_SERVER_API_PORT"], "the Prefect UI", "PREFECT_PORT=4201 make up")
    if env["OWN_REDIS"]:
        refuse_taken(env["REDIS_PORT"], "Redis", "REDIS_PORT=6380 make up, or use the one that runs there: "
                     f"REDIS_URL=redis://127.0.0.1:{env['REDIS_PORT']}/0 make up")
    refuse_taken(env["EXPORTER_PORT"], "the exporter", "EXPORTER_PORT=9403 make up")
    for folder in (state / "logs", state / "redis", state / "prefect", Path(env["DATAWRITER_DATA"])):
        folder.mkdir(parents=True, exist_ok=True)
    access.prepare(env)
    monitoring.choose(env)


def refuse_taken(port: str, what: str, way_out: str) -> None:
    if not monitoring.free(port):
        raise Refused(f"port {port} of {what} is taken. Choose another: {way_out}")


def start_runner(env: dict[str, str]) -> subprocess.Popen:
    """supervisord in a session of its own: Ctrl-C reaches only us, and we end it in order."""
    log = open(Path(env["STATE"]) / "logs" / "supervisord.out", "ab")
    command = [str(VENV / "bin/supervisord"), "--configuration", str(HERE / "supervisord.conf")]
    runner = subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    wait_for("supervisord", lambda: supervisor(env, "pid", check=False).returncode == 0, env, 20)
    return runner


def start_all(env: dict[str, str]) -> None:
    if env["OWN_REDIS"]:
        supervisor(env, "start", "redis")
    wait_for("redis", lambda: redis_answers(env), env, 60)
    supervisor(env, "start", "server")
    watching = env["WATCHING"].split()
    supervisor(env, "start", *watching)  # they take seconds of the server's minute
    server = access.server(env)
    wait_for("server", lambda: server.ask("/health"), env, 600)
    prepare = [str(VENV / "bin/python"), str(ROOT / "deployments/prefect/prepare.py"), "--length", env["WINDOW"]]
    subprocess.run(prepare, env=env, cwd=ROOT, check=True)
    supervisor(env, "start", "worker")
    wait_for("worker", server.worker_online, env, 300)
    if env["SOURCE"] == "live":
        supervisor(env, "start", "ingest")
    elif env["RATE"] != "0":
        supervisor(env, "start", "simulate")
    for name in watching:
        wait_for(name, lambda: monitoring.ready(env, name), env, 120)
    # A healthy port is not enough: a server whose scheduler is dead never runs anything.
    wait_for("server", lambda: plans_what_it_should(server, env), env, 300)


def plans_what_it_should(server: access.api.Server, env: dict[str, str]) -> bool:
    env["SCHEDULED"] = "yes" if server.scheduled() else ""
    return not env["SCHEDULED"] or server.plans_ahead()


def wait_for(program: str, ready, env: dict[str, str], seconds: int) -> None:
    deadline = time.monotonic() + seconds
    while not answers(ready):
        if time.monotonic() > deadline:
            log = Path(env["STATE"]) / "logs" / f"{program}.log"
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise Refused(f"{program} is not ready after {seconds} seconds. The end of {log}:\n{tail}")
        time.sleep(0.2)


def answers(ready) -> bool:
    """False also where nobody answers yet, or what answers is not ready to."""
    try:
        return bool(ready())
    except (OSError, ValueError):
        return False


def redis_answers(env: dict[str, str]) -> bool:
    """It has loaded its files. Of a Redis that is not ours: something answers; the programs say what else is wrong."""
    parts = urlsplit(env["REDIS_URL_DRAINER"])
    if parts.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(parts.path)
        return True
    with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), timeout=2) as connection:
        if not env["OWN_REDIS"]:
            return True
        connection.sendall(f"AUTH health {access.secret(env, 'redis_health')}\r\nPING\r\n".encode())
        return b"+PONG" in connection.recv(100)  # PING is refused until then, and AUTH is not


def supervisor(env: dict[str, str], *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    command = [str(VENV / "bin/supervisorctl"), "--configuration", str(HERE / "supervisord.conf"), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise Refused(f"supervisorctl {' '.join(arguments)}: {done.stdout}{done.stderr}".strip())
    return done


def down(env: dict[str, str]) -> int:
    pid = supervisor(env, "pid", check=False)
    if pid.returncode == 0:
        supervisor(env, "shutdown", check=False)
        wait_gone(int(pid.stdout), 90)
    end_strays(env)
    print("stopped; files and database stay below", env["STATE"])
    return 0


def status(env: dict[str, str]) -> int:
    """What of the stack runs; 1 where something of it does not."""
    if supervisor(env, "pid", check=False).returncode != 0:
        raise Refused(f"nothing runs here, or its state is not below {env['STATE']}: make up")
    # What was never started belongs to another source, or is not installed.
    lines = [line for line in supervisor(env, "status", check=False).stdout.splitlines() if not line.endswith("Not started")]
    print(*lines, sep="\n")
    print(access.login(env))
    return 0 if all(line.split()[1] == "RUNNING" for line in lines) else 1


def wait_gone(pid: int, seconds: int) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            os.waitpid(pid, os.WNOHANG)  # it may be our own child
        except ProcessLookupError:
            return
        except ChildProcessError:
            pass
        time.sleep(0.1)


def end_strays(env: dict[str, str]) -> None:
    """Ends flow runs whose worker was killed from outside: nobody else knows them any more (Linux only)."""
    for attempt in (signal.SIGTERM, signal.SIGKILL):
        strays = [pid for pid in stray_pids(env)]
        for pid in strays:
            try:
                os.kill(pid, attempt)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + 40
        while strays and time.monotonic() < deadline and stray_pids(env):
            time.sleep(0.2)


def stray_pids(env: dict[str, str]) -> list[int]:
    """Processes that were started with this PREFECT_HOME, but for this one and those it runs in."""
    mark = f"\0PREFECT_HOME={env['PREFECT_HOME']}\0".encode()
    found = []
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            content = Path(path).read_bytes()
        except OSError:
            continue
        if mark in b"\0" + content and b"\0ROOT=" in b"\0" + content:
            found.append(int(path.split("/")[2]))
    return [pid for pid in found if pid != os.getpid()]


def banner(env: dict[str, str], seconds: float) -> str:
    data, port = env["DATAWRITER_DATA"], env["PREFECT_SERVER_API_PORT"]
    redis = env["REDIS_URL_DRAINER"].rpartition("@")[2].removeprefix("redis://")
    every = f"Every {env['WINDOW']} a window of events becomes Parquet files."
    if not env["SCHEDULED"]:
        every = "The schedule of drain-window is switched off, as somebody left it: nothing is drained until it is on again."
    return f"""
datawriter is up after {seconds:.0f} seconds. {every}

  Prefect UI   http://localhost:{port}/deployments   log in with  {access.secret(env, "prefect_auth")}
  files        {data}
  logs         {env['STATE']}/logs
  Redis        {redis}   {'the live events of Jetstream' if env['SOURCE'] == 'live' else env['RATE'] + ' mock events a second'}
{monitoring.banner(env)}

In another terminal, for {ROOT}/bin/datawriter, prefect and redis-cli to find all this and log in:
  . {shlex.quote(str(access.exports(env)))}

Ask the files, after the first window (once: {VENV}/bin/pip install duckdb):
  {VENV}/bin/python -c "import duckdb; duckdb.sql('SELECT lang, count(*) AS posts FROM (SELECT unnest(langs) AS lang FROM \\'{data}/2*/*/*/*/posts/*.parquet\\') GROUP BY lang ORDER BY posts DESC').show()"

Ctrl-C here, or `make down` in another terminal, ends everything; the files stay.
"""


if __name__ == "__main__":
    sys.exit(main())
