"""A good Python writer of the same columns, to compare with.

One process per machine core would be unfair to neither side but is not what
people write; this is one process with a thread a stream, redis-py with the
hiredis parser, orjson, pyarrow builders column by column, zstd level 1. It reads
through a consumer group, writes one file a kind, acks, and deletes.

Usage: drain.py REDIS_URL FOLDER STREAM_PREFIX
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import redis
import xxhash

PAGE = 5000
ROW_GROUP = 122_880
STRING = pa.string()
COMMON = [
    ("ingested_at", pa.timestamp("ms", "UTC")),
    ("ingest_seq", pa.int64()),
    ("event_at", pa.timestamp("us", "UTC")),
    ("cursor", pa.int64()),
    ("operation", STRING),
    ("did", STRING),
    ("rkey", STRING),
    ("rev", STRING),
    ("cid", STRING),
    ("created_at", pa.timestamp("us", "UTC")),
    ("created_at_raw", STRING),
]
REFERENCE = [("subject_uri", STRING), ("subject_cid", STRING), ("via_uri", STRING), ("via_cid", STRING)]
OWN = {
    "posts": [
        ("text", STRING),
        ("langs", pa.list_(STRING)),
        ("reply_root_uri", STRING),
        ("reply_root_cid", STRING),
        ("reply_parent_uri", STRING),
        ("reply_parent_cid", STRING),
        ("embed_type", STRING),
        ("tags", pa.list_(STRING)),
    ],
    "likes": REFERENCE,
    "reposts": REFERENCE,
    "follows": [("subject_did", STRING), ("via_uri", STRING), ("via_cid", STRING)],
    "blocks": [("subject_did", STRING)],
}
LAST = [("event_json", STRING), ("entry_hash", pa.int64())]
PLAIN_POST = {"$type", "createdAt", "text", "langs", "reply", "tags"}


def schema(kind):
    return pa.schema(COMMON + OWN[kind] + LAST)


def microseconds(text):
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1_000_000)
    except ValueError:
        return None


def pair(value):
    return (value.get("uri"), value.get("cid")) if value else (None, None)


def own_columns(kind, record):
    """The kind's own columns, and whether the typed columns carry everything."""
    if kind == "posts":
        reply = record.get("reply") or {}
        embed = record.get("embed")
        row = (record.get("text"), record.get("langs"), *pair(reply.get("root")), *pair(reply.get("parent")),
               embed.get("$type") if embed else None, record.get("tags"))
        return row, record.keys() <= PLAIN_POST
    via = pair(record.get("via"))
    subject = record.get("subject")
    if kind in ("likes", "reposts"):
        return (*pair(subject), *via), True
    if kind == "follows":
        return (subject, *via), True
    return (subject,), True


def decode(kind, entry_id, payload):
    event = orjson.loads(payload)
    commit = event["commit"]
    record = commit.get("record") or {}
    ms, seq = entry_id.split(b"-")
    created = record.get("createdAt")
    exact = created is None or (len(created) == 24 and created[23] == "Z")
    own, plain = own_columns(kind, record)
    digest = xxhash.xxh64_intdigest(payload)
    return (
        int(ms), int(seq), event["time_us"], event.get("cursor"), commit["operation"], event["did"], commit["rkey"],
        commit.get("rev"), commit.get("cid"), microseconds(created) if created else None, None if exact else created,
        *own, None if plain else payload.decode(), digest - (1 << 64) if digest >> 63 else digest,
    )


def drain(client, kind, folder, prefix):
    stream, group = f"{prefix}{{{kind}}}", "peer"
    client.xgroup_create(stream, group, "0", mkstream=True)
    path = os.path.join(folder, kind + ".parquet")
    ids, tables = [], []

    def flush(writer):
        if tables:
            writer.write_table(pa.concat_tables(tables).combine_chunks(), row_group_size=ROW_GROUP)
            tables.clear()

    with pq.ParquetWriter(path + ".tmp", schema(kind), compression="zstd", compression_level=1) as writer:
        while True:
            reply = client.xreadgroup(group, "peer", {stream: ">"}, count=PAGE)
            if not reply:
                break
            rows = []
            for entry_id, fields in reply[0][1]:
                ids.append(entry_id)
                rows.append(decode(kind, entry_id, fields[b"event"]))
            columns = [pa.array(column, type=field.type) for column, field in zip(zip(*rows), schema(kind))]
            tables.append(pa.Table.from_arrays(columns, schema=schema(kind)))
            if sum(len(table) for table in tables) >= ROW_GROUP - PAGE:
                flush(writer)
        flush(writer)
    with open(path + ".tmp", "rb") as file:
        os.fsync(file.fileno())
    os.rename(path + ".tmp", path)
    for at in range(0, len(ids), 1000):
        page = ids[at : at + 1000]
        with client.pipeline(transaction=False) as pipe:
            pipe.xack(stream, group, *page)
            pipe.xdel(stream, *page)
            pipe.execute()


def main():
    url, folder, prefix = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    client = redis.Redis.from_url(url)
    with ThreadPoolExecutor(len(OWN)) as pool:
        for done in [pool.submit(drain, client, kind, folder, prefix) for kind in OWN]:
            done.result()


if __name__ == "__main__":
    main()
