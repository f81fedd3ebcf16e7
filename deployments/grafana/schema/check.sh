#!/usr/bin/env bash
# Checks every dashboard against Grafana's published types (@grafana/schema) with the TypeScript compiler.
# Usage: check.sh CACHE [DASHBOARD.json …]; needs node and npm.
set -euo pipefail
mkdir -p "$1"
cache=$(cd "$1" && pwd -P) # npm loses its way in a folder that is a link
shift
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- "$here"/../dashboards/*.json

if ! cmp -s "$here/package-lock.json" "$cache/package-lock.json"; then
  cp "$here/package.json" "$here/package-lock.json" "$cache/"
  npm ci --prefix "$cache" --no-audit --no-fund --loglevel=error >&2 || { rm -f "$cache/package-lock.json"; exit 1; }
fi

# One folder a call: calls may run side by side.
work=$(mktemp -d "$cache/check-XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$here/types.ts" "$work/"
for file in "$@"; do
  # An object literal, unlike imported JSON, may have no property that its type lacks.
  { echo "import type { Dashboard } from './types';"; echo "export const dashboard: Dashboard ="; cat "$file"; } > "$work/$(basename "$file" .json).ts"
done
cd "$work"
"$cache/node_modules/.bin/tsc" --noEmit --strict --skipLibCheck --target es2022 --module esnext --moduleResolution node10 --ignoreDeprecations 5.0 ./*.ts
echo "$# dashboards conform to @grafana/schema $(sed -nE 's/.*"version": "(.*)".*/\1/p' "$cache/node_modules/@grafana/schema/package.json")"
