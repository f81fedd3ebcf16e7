"""The `datawriter` binary as a child process.

Starts it, forwards the few log lines that matter, reads the one JSON document
of its standard output and its exit code, and never leaves it behind: whatever
ends the flow (a cancel, a timeout, a kill) ends the child first.
It knows nothing of windows or of Prefect.
"""

import ctypes
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

# Exit codes that the binary promises; every other one is a failure without retry.
OK, HELD, INTEGRITY, RETRY = 0, 3, 4, 75
STOPPED = (130, 143, -signal.SIGINT, -signal.SIGTERM)

# A drain stops at the next safe point after SIGTERM, within a page of entries.
GRACE_SECONDS = 30

# Every forwarded line costs Prefect a row in its database; the rest stays in the child's own log.
MAX_LINES = 100

LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR,
          "dpanic": logging.CRITICAL, "panic": logging.CRITICAL, "fatal": logging.CRITICAL}


@dataclass
class Outcome:
    """What one run of the binary left: its exit code, its document, its last error line."""

    code: int
    document: dict = field(default_factory=dict)
    last_error: str = ""

    @property
    def reason(self) -> str:
        """Why it ended like this, in one sentence for a person."""
        return self.document.get("error") or self.last_error or f"datawriter ended with exit code {self.code}"

    @property
    def worth_retry(self) -> bool:
        """True for exit 75 and for a child killed from outside: draining again is always safe."""
        killed = self.code < 0 and self.code not in STOPPED
        return self.code == RETRY or killed


def run(arguments: list[str], log: logging.Logger) -> Outcome:
    """Run `datawriter ARGUMENTS` to its end. FileNotFoundError if it is not on PATH."""
    program = shutil.which("datawriter")
    if program is None:
        raise FileNotFoundError("no `datawriter` on the worker's PATH: run `make build` and put bin/ on PATH")
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=output,
                                 stderr=subprocess.PIPE, text=True, errors="replace",
                                 preexec_fn=_die_with_parent(os.getpid()))
        try:
            last_error = _forward(child.stderr, log)
            code = child.wait()
        except BaseException:  # a cancel and a timeout arrive as exceptions that Exception does not cover
            _stop(child)
            raise
        output.seek(0)
        return Outcome(code, _document(output.read()), last_error)


def _die_with_parent(parent: int):
    """Returns what the child calls before exec, so that the kernel ends it when a `kill -9` ends us (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, set_death_signal = ctypes.CDLL(None).prctl, 1  # looked up here: nothing but calls after the fork

    def ask() -> None:
        prctl(set_death_signal, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(128 + signal.SIGTERM)

    return ask


def _stop(child: subprocess.Popen) -> None:
    child.terminate()
    try:
        child.communicate(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()


def _forward(lines, log: logging.Logger) -> str:
    """Forward info and above; returns the last error line, or the last line of a child that wrote no JSON."""
    last_error, sent = "", 0
    for line in filter(None, map(str.strip, lines)):
        level, text = _parse(line)
        if level >= logging.ERROR:
            last_error = text
        if level < logging.INFO or (sent >= MAX_LINES and level < logging.ERROR):
            continue
        sent += 1
        log.log(level, "%s", text)
    return last_error


def _parse(line: str) -> tuple[int, str]:
    """The level of a log line and its text: the message, then its fields."""
    try:
        entry = json.loads(line)
        level = LEVELS.get(str(entry.pop("level")).lower(), logging.DEBUG)
    except (ValueError, KeyError, AttributeError, TypeError):
        return logging.ERROR, line  # not the log: a usage message, a panic
    message = entry.pop("msg", "")
    for noise in ("ts", "caller", "stacktrace"):
        entry.pop(noise, None)
    return level, " ".join([str(message), *(f"{name}={value}" for name, value in entry.items())])


def _document(output: bytes) -> dict:
    try:
        document = json.loads(output)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
