#!/usr/bin/env bash
# Installs what the tests run and this machine lacks, from Debian's packages. Where that cannot be done, one sentence
# says what is missing and how to get it.
set -euo pipefail

# command|as another project names it:packages
parts=(
  "gcc:gcc libc6-dev" # the race detector is linked with it
  "curl:curl"         # the runbook's commands are run as they stand there
  "redis-server|valkey-server:redis-server"
  "redis-cli:redis-tools"
  "prometheus:prometheus"
  "promtool:prometheus"
  "alertmanager|prometheus-alertmanager:prometheus-alertmanager"
  "amtool:prometheus-alertmanager"
  "redis_exporter|prometheus-redis-exporter:prometheus-redis-exporter"
  "npm:npm" # Grafana's published types, and a compiler that checks the dashboards against them
)
# Their servers are installed for the tests, which start them by themselves.
services=" redis-server prometheus prometheus-alertmanager prometheus-redis-exporter "

main() {
  local names=() packages=() part package
  for part in "${parts[@]}"; do
    works "${part%%:*}" && continue
    names+=("${part%%[|:]*}")
    for package in ${part##*:}; do
      [[ " ${packages[*]-} " == *" $package "* ]] || packages+=("$package")
    done
  done
  [ ${#names[@]} -gt 0 ] || exit 0
  refuse_where_nothing_can_be_installed
  install
}

# A compiler is of use with the headers of the C library alone.
works() {
  local name
  for name in ${1//|/ }; do
    command -v "$name" >/dev/null || continue
    [ "$name" != gcc ] || gcc -E - <<< '#include <stdlib.h>' >/dev/null 2>&1 || continue
    return 0
  done
  return 1
}

refuse_where_nothing_can_be_installed() {
  local missing=${names[*]}
  if ! command -v apt-get >/dev/null; then
    echo "The tests need ${missing// /, }, which this machine lacks and this script can install on Debian alone: put them on the PATH with the package manager of this system, or from the releases of their projects." >&2
    exit 1
  elif [ "$(id -u)" != 0 ]; then
    echo "The tests need ${missing// /, }, which this machine lacks and only root can install: sudo apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 1
  fi
}

install() {
  "$(dirname "$0")/say.sh" "installs Debian's packages ${packages[*]} (usually a minute)"
  local apt=(env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
  if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${packages[@]}" >/dev/null; }; then
    echo "apt-get could not install what the tests need, for the reason above: ${packages[*]}" >&2
    exit 1
  fi
  ! command -v systemctl >/dev/null || keep_services_down
}

# A port that the service of a package takes, now or after the next boot, is one that `make up` lacks.
keep_services_down() {
  local package
  for package in "${packages[@]}"; do
    [[ $services != *" $package "* ]] || systemctl disable --quiet --now "$package" 2>/dev/null || true
  done
}

main
