"""What strangers can do to the local stack: pages of another origin in a browser in which somebody is logged in, and
other users of the machine. They change nothing and run nothing; what they may read is named here.
"""

import base64
import contextlib
import http.server
import itertools
import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from conftest import log_in

# Ways in which a page can send without being asked first (a "simple" request), and two that ask.
SENDING = {
    "a script, without a content type": "fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', body: new Blob([body])})",
    "a script, as plain text": "fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', headers: {'Content-Type': 'text/plain'}, body})",
    "a script, as a form": "fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams(JSON.parse(body))})",
    "a beacon": "navigator.sendBeacon(url, body)",
    "a form": """new Promise(sent => {
        const frame = document.createElement('iframe'), form = document.createElement('form'), field = document.createElement('input');
        frame.name = 'f' + Math.random(); frame.onload = sent;
        Object.assign(form, {method: 'POST', enctype: 'text/plain', action: url, target: frame.name});
        field.name = body.slice(0, -1) + ', "and": "'; field.value = '"}';
        form.append(field); document.body.append(frame, form); form.submit();
        setTimeout(sent, 3000);
    })""",
    "a script, as JSON": "fetch(url, {method: 'POST', credentials: 'include', headers: {'Content-Type': 'application/json'}, body})",
    "a script, with a token of its own": "fetch(url, {method: 'POST', headers: {'Prefect-Csrf-Token': 'x', 'Prefect-Csrf-Client': 'x'}, body})",
}

# Of an address: what a page gets to see of the answer, or nothing, also while the browser asks the person for a login.
READING = """async url => {
    const seen = []
    for (const how of [{}, {credentials: 'include'}, {mode: 'no-cors', credentials: 'include'}, {method: 'OPTIONS'}, {method: 'POST', body: '{}'}])
        try { const answer = await fetch(url, {signal: AbortSignal.timeout(5000), ...how}); const text = await answer.text(); if (text || answer.status) seen.push(text || answer.status) } catch {}
    return seen
}"""

# What a socket of the server says to a page that offers a login, a filter and an event; every message is a leak.
LISTENING = """([url, protocol, token]) => new Promise(done => {
    const said = [], socket = protocol ? new WebSocket(url, protocol) : new WebSocket(url)
    socket.onopen = () => {
        if (protocol) socket.send(JSON.stringify({type: 'auth', token}))
        socket.send(JSON.stringify({type: 'filter', filter: {}}))
        socket.send(JSON.stringify({event: 'stranger.was.here', resource: {'prefect.resource.id': 'stranger'}, occurred: new Date().toISOString(), id: crypto.randomUUID()}))
    }
    socket.onmessage = message => said.push(message.data)
    socket.onclose = () => done(said)
    setTimeout(() => { socket.close(); done(said) }, 3000)
})"""


@pytest.fixture(scope="module")
def context(browser, stack):
    """A browser in which a person is logged in to the Prefect UI."""
    context = browser.new_context(base_url=f"http://localhost:{stack.port}")
    context.set_default_timeout(60_000)
    page = context.new_page()
    log_in(page, stack.login)
    yield context
    context.close()


@pytest.fixture(scope="module", params=["another site", "another port of this machine"])
def stranger(request):
    """The address of a stranger's page."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{'stranger.example' if request.param == 'another site' else 'localhost'}:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def page(stranger, context):
    """A stranger's page in the same browser."""
    page = context.new_page()
    page.goto(stranger)
    yield page
    page.close()


class Stranger(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>A stranger</title><body>")

    def log_message(self, *_) -> None:
        pass


def addresses(stack) -> dict[str, str]:
    ports = {"prefect": stack.port} | {name.removesuffix("_PORT").lower(): port for name, port in stack.watching.items()}
    return {name: f"http://localhost:{port}" for name, port in ports.items()}


@pytest.mark.parametrize("service, paths", [
    ("prefect", ["/api/health", "/api/ready", "/api/admin/settings", "/api/admin/version", "/api/metrics", "/api/csrf-token?client=x",
                 "/api/flow_runs/filter", "/api/logs/filter", "/ui-settings", "/openapi.json", "/"]),
    ("prometheus", ["/api/v1/query?query=up", "/api/v1/status/config", "/api/v1/status/flags", "/api/v1/targets", "/metrics", "/-/ready"]),
    ("alertmanager", ["/api/v2/alerts", "/api/v2/silences", "/api/v2/status", "/api/v1/alerts", "/metrics", "/-/ready"]),
    ("exporter", ["/metrics", "/readyz"]),
    ("redis_exporter", ["/metrics", "/scrape?target=redis://localhost:1"]),
])
def test_a_page_reads_nothing(stack, page, service, paths):
    base = addresses(stack)[service]
    read = {path: seen for path in paths if (seen := page.evaluate(READING, base + path))}
    assert read == {}


@pytest.mark.parametrize("how", SENDING)
def test_a_page_changes_nothing_and_runs_nothing(stack, page, how):
    before = everything(stack)
    owned = stack.state / "owned"
    deployment = stack.api("/deployments/name/drain-window/drain-window")["id"]
    prefect, alertmanager = addresses(stack)["prefect"] + "/api", addresses(stack)["alertmanager"]
    silence = {"matchers": [{"name": "alertname", "value": ".+", "isRegex": True}], "startsAt": "2026-01-01T00:00:00Z",
               "endsAt": "2099-01-01T00:00:00Z", "createdBy": "stranger", "comment": "quiet"}
    for url, body in (
        (f"{prefect}/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}, "job_variables": {"command": f"touch {owned}"}}),
        (f"{prefect}/work_pools/", {"name": "stranger", "type": "process"}),
        (f"{prefect}/flows/", {"name": "stranger"}),
        (f"{prefect}/variables/", {"name": "stranger", "value": "x"}),
        (f"{prefect}/automations/", {"name": "stranger"}),
        (f"{prefect}/deployments/{deployment}/pause_deployment", {}),
        (f"{prefect}/events", {}),
        (f"{alertmanager}/api/v2/silences", silence), (f"{alertmanager}/api/v1/silences", silence), (f"{alertmanager}/-/reload", {}),
        (f"http://localhost:{stack.redis_port}/", {"SET stranger": "x\r\nSET stranger x\r\n"}),
        *((addresses(stack)["prometheus"] + path, {}) for path in ("/-/reload", "/-/quit", "/api/v1/admin/tsdb/delete_series?match[]=up", "/api/v1/write")),
    ):
        page.evaluate(f"([url, body]) => Promise.race([{SENDING[how]}, new Promise(late => setTimeout(late, 5000))]).catch(() => {{}})", [url, json.dumps(body)])
    page.evaluate("url => new Promise(done => { const image = new Image(); image.onload = image.onerror = done; image.src = url })", f"{prefect}/deployments/{deployment}")
    assert everything(stack) == before
    assert not owned.exists()


def everything(stack) -> dict:
    """All that a page might want to change."""
    kept = {"deployments": ("name", "paused", "schedules"), "work_pools": ("name", "is_paused"), "flows": ("name",), "variables": ("name",), "automations": ("name", "enabled")}
    found = {kind: sorted(json.dumps([one[name] for name in names]) for one in stack.api(f"/{kind}/filter", {})) for kind, names in kept.items()}
    by_hand = {"flow_runs": {"deployment_id": {"is_null_": False}}, "limit": 200}
    found["runs by hand"] = [run["id"] for run in stack.api("/flow_runs/filter", by_hand) if not run["auto_scheduled"]]
    found["silences"] = stack.sh("amtool --alertmanager.url=$DATAWRITER_ALERTMANAGER_URL silence query --quiet").stdout
    found["keys"] = sorted(key for key in stack.redis.scan_iter() if not key.startswith("bluesky:"))
    with urllib.request.urlopen(addresses(stack)["prometheus"] + "/-/ready", timeout=30) as ready:
        found["prometheus"] = ready.status
    return found


@pytest.mark.parametrize("path", ["/events/in", "/events/out", "/logs/out", "/task_runs/subscriptions/scheduled", "/work_pools/datawriter/workers/connect"])
@pytest.mark.parametrize("protocol, token", [("", ""), ("prefect", ""), ("prefect", "admin:admin")])
def test_a_page_hears_nothing_from_a_socket(stack, page, path, protocol, token):
    assert page.evaluate(LISTENING, [f"ws://localhost:{stack.port}/api{path}", protocol, token]) == []
    left = {"filter": {"event": {"name": ["stranger.was.here"]}, "occurred": {"since": "2026-01-01T00:00:00Z"}}}
    assert stack.api("/events/filter", left)["events"] == []


def test_a_page_shows_nothing_in_a_frame(stack, browser, stranger):
    """A click on a frame that nobody sees would be that of the person who is logged in."""
    context = browser.new_context()
    prefect, alertmanager = addresses(stack)["prefect"], addresses(stack)["alertmanager"]
    page = context.new_page()
    page.goto(prefect + "/login")
    page.evaluate("login => localStorage.setItem('prefect-password', btoa(login))", stack.login)
    assert page.goto(alertmanager.replace("//", f"//{stack.secret('alertmanager_auth')}@")).ok
    page.goto(stranger)
    for address in (prefect + "/runs", prefect + "/v2/runs", alertmanager + "/"):
        page.evaluate("""url => new Promise(done => {
            const frame = document.createElement('iframe')
            Object.assign(frame, {src: url, onload: done})
            document.body.replaceChildren(frame)
        })""", address)
        with contextlib.suppress(PlaywrightTimeout):
            page.frames[-1].wait_for_url("chrome-error:**", timeout=10_000)
        assert page.frames[-1].url == "chrome-error://chromewebdata/", address
    context.close()


def test_a_name_that_was_led_to_this_machine_opens_nothing(stack, context):
    """DNS rebinding: the page's own name points here, so that its origin is the server's, and no rule of the browser holds."""
    page = context.new_page()
    asking = """async ([method, path]) => (await fetch(path, {method, headers: {'Content-Type': 'application/json'}, body: method == 'GET' ? undefined : '{}'})).status"""
    page.goto(f"http://stranger.example:{stack.port}/ui-settings")
    for method, path in (("GET", "/api/admin/settings"), ("GET", "/api/csrf-token?client=x"), ("POST", "/api/flow_runs/filter"), ("POST", "/api/flows/"), ("GET", "/api/metrics")):
        assert page.evaluate(asking, [method, path]) in (401, 403), path
    page.close()
    for method, path in (("GET", "/"), ("GET", "/api/v2/alerts"), ("POST", "/api/v2/silences"), ("POST", "/-/reload")):
        assert status_of(addresses(stack)["alertmanager"] + path, method, {"Host": "stranger.example"}) == 401, path


def test_nothing_of_the_api_answers_without_the_login(stack):
    """Every route that Prefect documents, by every method."""
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.port}/openapi.json", timeout=60) as answer:
        paths = json.load(answer)["paths"]
    routes = [(method.upper(), "/api" + re.sub(r"{[^}]*}", "00000000-0000-0000-0000-000000000000", path.removeprefix("/api"))) for path, of in paths.items() for method in of]
    assert len(routes) > 150
    opened = {route for route in routes if status_of(f"http://127.0.0.1:{stack.port}{route[1]}", route[0]) not in (401, 403)}
    assert opened == {("GET", "/api/health"), ("GET", "/api/ready")}


def status_of(url: str, method: str, headers: dict[str, str] = {}) -> int:
    request = urllib.request.Request(url, None if method == "GET" else b"{}", {"Content-Type": "application/json"} | headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def test_redis_answers_nobody_without_a_password(stack):
    for command in ("PING", "CONFIG GET dir", "XLEN bluesky:{likes}", "AUTH default x", "SLAVEOF 127.0.0.1 1"):
        with socket.create_connection(("127.0.0.1", stack.redis_port), timeout=30) as connection:
            connection.sendall(command.encode() + b"\r\n")
            assert re.match(rb"-(NOAUTH|WRONGPASS)", connection.recv(200)), command


# Tries, as another user, what stands in its arguments; prints what it could do.
ANOTHER_USER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for path in sys.argv[1:]:
    try:
        if path.endswith(".sock"):
            socket.socket(socket.AF_UNIX).connect(path)
        elif os.path.isdir(path):
            os.listdir(path)
        else:
            open(path).read()
        print(path)
    except OSError:
        pass
"""


def test_what_is_secret_or_gives_orders_belongs_to_one_user(stack):
    secrets = stack.state / "secrets"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o600}
    assert stat.S_IMODE((stack.state / "supervisor.sock").stat().st_mode) == 0o700
    if os.geteuid() == 0:  # only root can become somebody else
        environs = [f"/proc/{pid}/environ" for pid in stack.processes()]
        tried = [str(path) for path in (secrets, *secrets.iterdir(), stack.state / "supervisor.sock")] + environs
        done = subprocess.run([sys.executable, "-c", ANOTHER_USER, *tried], capture_output=True, text=True, check=True)
        assert done.stdout == ""


def test_no_secret_is_seen_from_outside(stack):
    """Not in a process list, a file, a log, an artifact, an answer, an error."""
    passwords = {path.name: path.read_text() for path in (stack.state / "secrets").iterdir() if re.fullmatch("[0-9a-f]{48}", path.read_text())}
    assert len(passwords) >= 10
    commands = Commands()
    stack.goes_on()  # a whole run, from the worker to the binary
    places = {f"the command {command}": command for command in commands.seen()}
    places |= {str(path): path.read_text(errors="replace") for path in stack.state.rglob("*") if path.is_file() and path.parent.name != "secrets"}
    places |= answers(stack)
    for command in errors():
        done = stack.sh(command)
        assert done.returncode != 0, command
        places[command] = done.stdout + done.stderr
    seen = [(name, place) for (name, password), (place, text) in itertools.product(passwords.items(), places.items()) if password in text]
    assert seen == []


def answers(stack) -> dict[str, str]:
    """What every service tells those who may ask it."""
    told = {f"prefect {path}": json.dumps(stack.api(path, question)) for path, question in (
        ("/artifacts/filter", {}), ("/logs/filter", {}), ("/flow_runs/filter", {"limit": 200}), ("/deployments/filter", {}), ("/admin/settings", None))}
    for service, login, paths in (("prometheus", "", ["/api/v1/status/config", "/api/v1/status/flags", "/api/v1/targets", "/metrics"]),
                                  ("alertmanager", stack.secret("alertmanager_auth"), ["/api/v2/status", "/metrics"]),
                                  ("exporter", "", ["/metrics"]), ("redis_exporter", "", ["/metrics", "/"])):
        for path in paths:
            headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
            with urllib.request.urlopen(urllib.request.Request(addresses(stack)[service] + path, headers=headers), timeout=60) as answer:
                told[f"{service} {path}"] = answer.read().decode()
    assert all(told.values())
    return told


def errors() -> list[str]:
    """Commands that fail, each with a password at hand."""
    other = "DATAWRITER_REDIS_PASSWORD_FILE=$(dirname $DATAWRITER_PREFECT_AUTH_FILE)/redis_metrics"
    return [
        "datawriter run --window 2026-11-23T10:05Z/7m",
        f"{other} datawriter run --window 2026-11-23T10:05:00Z/5m --data /tmp/nowhere-$$",  # the password of another user
        "DATAWRITER_REDIS_URL=redis://drainer:$(cat $DATAWRITER_REDIS_PASSWORD_FILE)@127.0.0.1:1/0 datawriter run --window 5m --wait 0s",
        "datawriter doctor --host '' --prefect-auth-file $DATAWRITER_ALERTMANAGER_AUTH_FILE",
        "datawriter ack --alertmanager-auth-file $DATAWRITER_PREFECT_AUTH_FILE",
        "datawriter validate prefect --report '' --prefect-url $PREFECT_API_URL --prefect-auth-file $DATAWRITER_ALERTMANAGER_AUTH_FILE",
        "prefect --no-prompt deployment run nothing/nothing",
        "PREFECT_API_URL=http://127.0.0.1:1/api PREFECT_CLIENT_MAX_RETRIES=0 prefect --no-prompt deployment ls",
    ]


class Commands:
    """Every command line of this machine from here on, as any user of it sees them."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)
        self._looking.start()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self._seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    def seen(self) -> set[str]:
        self._ended.set()
        self._looking.join()
        return self._seen - {""}


def test_a_state_folder_of_an_older_version_gets_its_passwords(stack):
    """It holds a database and entries, and no password."""
    before = stack.secret("prefect_auth")
    stack.down()
    for path in (stack.state / "secrets").iterdir():
        path.unlink()
    (stack.state / "secrets").rmdir()
    (stack.state / "env").unlink()
    stack.forget()
    stack.up()
    assert stack.login == stack.secret("prefect_auth") != before
    stack.goes_on()
    stack.whole()
