#!/bin/sh
# Saves a running docker compose stack into a folder, while it goes on:
#   prefect.db     runs, schedules, blocks, automations
#   redis.rdb      the entries that wait, with their groups
#   state.tar      the run log
#   data.tar       the Parquet files, but with --without-data
#   SHA256SUMS     of all these
# deployments/backup/backup.sh FOLDER [--without-data]
#
# The order matters. An entry leaves Redis when a file holds it, so Redis comes first: what is drained meanwhile
# stands in both, and the drain after a restore finds it in the files and settles it. The other way round it would
# stand in neither.
set -eu
cd "$(dirname "$0")/../.."

main() {
  [ $# -ge 1 ] || { echo "backup.sh FOLDER [--without-data]" >&2; exit 2; }
  target=$1
  mkdir -p "$target"
  target=$(cd "$target" && pwd)
  [ -z "$(ls -A "$target")" ] || { echo "backup.sh: $target is not empty: name a new folder" >&2; exit 2; }
  umask 077
  prefect > "$target/prefect.db"
  redis > "$target/redis.rdb"
  docker compose exec -T worker tar -C /state -cf - . > "$target/state.tar"
  [ "${2:-}" = --without-data ] || docker compose exec -T worker tar -C /data --exclude ./_tmp -cf - . > "$target/data.tar"
  # Last, so that its absence tells of a backup that was cut off.
  (cd "$target" && sha256sum -- * > .sums && mv .sums SHA256SUMS)
  (cd "$target" && du -ch -- * | sed 's/^/  /')
}

# SQLite's own way to copy a database that is being written.
prefect() {
  docker compose exec -T server python -c '
import os, shutil, sqlite3, sys
copy = "/var/lib/prefect/.backup.db"
try:
    with sqlite3.connect("/var/lib/prefect/prefect.db") as live, sqlite3.connect(copy) as to:
        live.backup(to)
    with open(copy, "rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
finally:
    os.path.exists(copy) and os.remove(copy)
'
}

# As a replica gets it: one moment of all streams. By way of a file, because to standard output redis-cli leaves the
# mark of the transfer's end behind the snapshot. The password goes in by standard input, not by an argument.
redis() {
  docker compose exec -T redis sh -c '
    REDISCLI_AUTH=$(cat) && export REDISCLI_AUTH
    trap "rm -f /data/.backup.rdb" EXIT
    redis-cli --user admin --rdb /data/.backup.rdb >&2 && cat /data/.backup.rdb' < deployments/secrets/redis_admin
}

main "$@"
