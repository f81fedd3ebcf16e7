#!/usr/bin/env bash
# Installs the servers that the tests run for real, where they are missing and
# this is Debian with root; elsewhere it says what to install.
set -euo pipefail

# command:package
parts=(
  redis-server:redis-server
  prometheus:prometheus
  promtool:prometheus
  prometheus-alertmanager:prometheus-alertmanager
  amtool:prometheus-alertmanager
  prometheus-redis-exporter:prometheus-redis-exporter
  npm:npm
)
lacking=()
for part in "${parts[@]}"; do
  command -v "${part%%:*}" >/dev/null || lacking+=("${part##*:}")
done
[ ${#lacking[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "The tests need these Debian packages, or the programs that they hold, on the PATH: ${lacking[*]}" >&2
  echo "Without them, \`make test-go\` and \`make test-flows\` test everything but the monitoring." >&2
  exit 1
fi
apt-get update -qq
# A package's service must not start: the tests bring up their own servers.
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${lacking[@]}" >/dev/null
