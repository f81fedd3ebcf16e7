"""Starts the server: `prefect server start`, with a shorter wait for SQLite, and a UI that no other page can frame.

Services of the server can wait for each other's lock until one of them gives up. Prefect lets each wait for a minute
and has no setting for that (`PREFECT_SERVER_DATABASE_TIMEOUT` is overruled at each connection): so long that a run
which begins loses its slot meanwhile. Whoever gives up tries again, clients up to PREFECT_CLIENT_MAX_RETRIES times,
services at their next round.

In a frame of another page, a person who is logged in would click on the UI without seeing it.

    python deployments/prefect/server.py --host 127.0.0.1 --port 4200
"""

import runpy
import sys

import uvicorn
from prefect.server.database.configurations import AioSqliteConfiguration

# As long as a busy disk may take for a commit, and a sixth of what costs a run its slot.
BUSY_MILLISECONDS = 10_000

prefects_setup = AioSqliteConfiguration.setup_sqlite
uvicorns_run = uvicorn.run


def setup_sqlite(configuration: AioSqliteConfiguration, connection, record) -> None:
    """What Prefect does with each new connection, and then the wait."""
    prefects_setup(configuration, connection, record)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    cursor.close()


def run(app, **options) -> None:
    """uvicorn.run, of the app with one more header in every answer."""

    async def unframed(scope, receive, send) -> None:
        async def send_with_header(message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"content-security-policy", b"frame-ancestors 'none'")]
            await send(message)

        await app(scope, receive, send_with_header)

    uvicorns_run(unframed, **options)


if __name__ == "__main__":
    AioSqliteConfiguration.setup_sqlite = setup_sqlite
    uvicorn.run = run
    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)
