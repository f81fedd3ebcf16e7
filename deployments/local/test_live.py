"""`SOURCE=live make up`: the whole stack on a Jetstream server, which is a stand-in here."""

import json
import subprocess
import urllib.request
from datetime import datetime, timedelta, timezone

import duckdb
import pytest

from conftest import KINDS, ROOT, SECONDS, Stack, wait


@pytest.fixture(scope="module")
def jetstream(tmp_path_factory):
    """A server of 1,500 events a second; its address."""
    program = tmp_path_factory.mktemp("jetstream") / "jetstream"
    subprocess.run(["go", "build", "-o", program, "./worker/ingest/ingesttest/jetstream"], cwd=ROOT, check=True)
    server = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
    yield server.stdout.readline().strip()
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def stack(tmp_path_factory, jetstream):
    stack = Stack(tmp_path_factory.mktemp("s"), SOURCE="live", DATAWRITER_HOST=jetstream)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
    assert stack.processes() == []


def test_what_the_source_sends_is_in_files_without_a_hole(stack):
    drained(stack, windows=2)
    stack.kill("datawriter", "ingest")
    drained(stack, windows=2)
    stack.supervisor("stop", "ingest")
    stack.drained_up_to(datetime.now(timezone.utc))
    stack.verify()
    files = ", ".join(f"'{stack.data}/2*/*/*/*/{kind}/*.parquet'" for kind in KINDS)
    rows, first, last, distinct = duckdb.sql(
        f"SELECT count(*), min(cursor), max(cursor), count(DISTINCT cursor) FROM read_parquet([{files}], union_by_name = true)").fetchall()[0]
    # The source numbers its events, so that a hole or a double would show.
    assert rows == distinct == last - first + 1
    assert rows > 3 * SECONDS * 1000
    assert not list(stack.state.rglob("ingest-gaps.jsonl")), "a gap was told that was none"


def test_the_ingest_is_watched(stack):
    address = f"http://127.0.0.1:{stack.watching['PROMETHEUS_PORT']}/api/v1/query?query=max_over_time(datawriter_ingest_events_total[5m])"
    with urllib.request.urlopen(address, timeout=30) as answer:
        series = json.load(answer)["data"]["result"]
    assert {one["metric"]["stream"] for one in series} >= set(KINDS)


def drained(stack, windows: int) -> None:
    stack.drained_up_to(datetime.now(timezone.utc) + timedelta(seconds=windows * SECONDS))
