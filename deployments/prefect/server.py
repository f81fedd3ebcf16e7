"""Starts the server: `prefect server start`, with a shorter wait for SQLite.

Services of the server can wait for each other's lock until one of them gives up. Prefect lets each wait for a minute
and has no setting for that (`PREFECT_SERVER_DATABASE_TIMEOUT` is overruled at each connection): so long that a run
which begins loses its slot meanwhile. Whoever gives up tries again, clients up to PREFECT_CLIENT_MAX_RETRIES times,
services at their next round.

    python deployments/prefect/server.py --host 127.0.0.1 --port 4200
"""

import runpy
import sys

from prefect.server.database.configurations import AioSqliteConfiguration

# As long as a busy disk may take for a commit, and a sixth of what costs a run its slot.
BUSY_MILLISECONDS = 10_000

prefects_setup = AioSqliteConfiguration.setup_sqlite


def setup_sqlite(configuration: AioSqliteConfiguration, connection, record) -> None:
    """What Prefect does with each new connection, and then the wait."""
    prefects_setup(configuration, connection, record)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    cursor.close()


if __name__ == "__main__":
    AioSqliteConfiguration.setup_sqlite = setup_sqlite
    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)
