"""What a run costs before its binary starts: `make cost`. The stack runs on a 10-second schedule; a script in the
binary's place notes the time, and what the kernel counts for its parent, the flow run's process. KEEP=file keeps the
server's database, for `make growth`.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from conftest import SECONDS, Stack, wait

RUNS = int(os.environ.get("RUNS") or 20)
TICKS = os.sysconf("SC_CLK_TCK")

# Fields 14 to 17 of stat: CPU of the process and of the children it has waited for, in ticks.
NOTE = """#!/bin/sh
if [ "$1" = run ]; then
  echo "$(date +%s.%N) $3 $(cut -d' ' -f14-17 /proc/$PPID/stat) $(sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/$PPID/status)" >> {notes}
fi
exec {binary} "$@"
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        notes = Path(folder) / "notes"
        wrapper = Path(stack.env["BIN_DIR"]) / "datawriter"
        wrapper.write_text(NOTE.format(notes=notes, binary=stack.binary))
        try:
            stack.up()
            wait(lambda: len(lines(notes)) >= 2, 300)  # what the start left behind is not measured
            report(stack, notes)
        finally:
            stack.down()
            if keep := os.environ.get("KEEP"):
                shutil.copy(stack.state / "prefect/prefect.db", keep)


def report(stack: Stack, notes: Path) -> None:
    known, servers = len(lines(notes)), {name: stack.processes(name)[0] for name in ("prefect/server.py", "worker start")}
    before, began = {name: cpu(pid) for name, pid in servers.items()}, time.monotonic()
    wait(lambda: len(lines(notes)) >= known + RUNS, RUNS * SECONDS * 2)
    runs, elapsed = lines(notes)[known:known + RUNS], time.monotonic() - began
    print(f"{RUNS} runs in {elapsed:.0f} seconds, load average {' '.join(map(str, os.getloadavg()))}")
    spread("seconds from slot to binary start", [at - slot for at, slot, _, _ in runs])
    spread("CPU-seconds of the flow run until then", [used for _, _, used, _ in runs])
    spread("resident MB of the flow run then", [memory for _, _, _, memory in runs])
    for name, pid in servers.items():
        own, children = (after - earlier for after, earlier in zip(cpu(pid), before[name]))
        print(f"{name}: {own / RUNS:.2f} CPU-seconds a run, its ended children {children / RUNS:.2f}; {resident(pid)} MB resident")


def lines(notes: Path) -> list[tuple[float, float, float, float]]:
    """Of each binary's start: its time, its slot, CPU-seconds and resident MB of its flow run."""
    found = []
    for line in notes.read_text().splitlines() if notes.exists() else []:
        at, window, *ticks, kilobytes = line.split()
        start = datetime.fromisoformat(window.partition("/")[0])
        found.append((float(at), start.timestamp() + SECONDS, sum(map(int, ticks)) / TICKS, int(kilobytes) / 1024))
    return found


def cpu(pid: int) -> tuple[float, float]:
    """CPU-seconds of a process, and of its children that have ended."""
    ticks = [int(field) for field in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]
    return (ticks[0] + ticks[1]) / TICKS, (ticks[2] + ticks[3]) / TICKS


def resident(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def spread(what: str, values: list[float]) -> None:
    print(f"{what}: median {statistics.median(values):.2f}, {min(values):.2f} to {max(values):.2f}")


if __name__ == "__main__":
    sys.exit(main())
