#!/bin/sh
# Fills the empty volumes of a docker compose stack that is down from a folder that backup.sh wrote. Afterwards:
# docker compose up -d --wait
# deployments/backup/restore.sh FOLDER
#
# Passwords are not part of a backup: bring deployments/secrets along, or make new ones with `make secrets`.
set -eu
cd "$(dirname "$0")/../.."

main() {
  [ $# -eq 1 ] || { echo "restore.sh FOLDER" >&2; exit 2; }
  from=$(cd "$1" && pwd)
  [ -f "$from/SHA256SUMS" ] || { echo "restore.sh: $from has no SHA256SUMS: that backup was cut off" >&2; exit 1; }
  (cd "$from" && sha256sum --check --quiet SHA256SUMS)
  if [ -n "$(docker compose ps -q)" ]; then
    echo "restore.sh: the stack is running: docker compose down first" >&2
    exit 1
  fi
  for place in redis:/data server:/var/lib/prefect worker:/state worker:/data; do
    into "${place%%:*}" "[ -z \"\$(ls -A '${place#*:}')\" ]" < /dev/null || {
      echo "restore.sh: the volume at ${place#*:} of ${place%%:*} is not empty: docker compose down -v deletes what is in all volumes" >&2
      exit 1
    }
  done
  # Redis loads its append-only file and nothing else; a snapshot is one, as its base.
  into redis 'mkdir /data/appendonlydir && cat > /data/appendonlydir/appendonly.aof.1.base.rdb &&
    echo "file appendonly.aof.1.base.rdb seq 1 type b" > /data/appendonlydir/appendonly.aof.manifest' < "$from/redis.rdb"
  into server 'cat > /var/lib/prefect/prefect.db' < "$from/prefect.db"
  into worker 'tar -C /state -xf -' < "$from/state.tar"
  [ ! -f "$from/data.tar" ] || into worker 'tar -C /data -xf -' < "$from/data.tar"
}

# into SERVICE COMMAND: runs it where that service's volumes are, and nothing else of it.
into() { docker compose run --rm -T --no-deps --entrypoint sh "$1" -c "$2"; }

main "$@"
