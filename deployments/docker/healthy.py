"""Health checks of the Prefect server and worker: exit 0 when ready, 1 with a sentence when not.

    healthy.py server     it answers, and where drain-window is to run by itself, it plans ahead
    healthy.py worker     a worker of the pool is online, and the server plans ahead

A port that answers is not enough: a server whose scheduler is dead looks fine and never runs anything.
"""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "prefect"))
from api import DEPLOYMENT, POOL, Server, login  # noqa: E402


def main(role: str) -> str:
    """What is not ready, or nothing."""
    server = Server("http://127.0.0.1:4200/api" if role == "server" else os.environ["PREFECT_API_URL"], login())
    try:
        server.ask("/ready")
        if role == "worker" and not server.worker_online():
            return f"no worker of the pool {POOL} is online"
        return "" if server.plans_ahead() or not server.scheduled() else f"no future run of {DEPLOYMENT} is scheduled"
    except (OSError, ValueError) as error:
        return f"{server.url}: {error}"


if __name__ == "__main__":
    if problem := main(sys.argv[1]):
        print(problem, file=sys.stderr)
        sys.exit(1)
