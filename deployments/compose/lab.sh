#!/bin/bash
# A private Docker engine with stand-ins for the images that docker-compose.yml names, for machines that reach no
# image registry.
#   lab.sh LAB_DIR up | down | engine-stop | engine-kill | engine-start      LAB_DIR: folder of the lab's own scripts
# After `up`, the engine is where `. LAB_DIR/env.sh` says.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
lab=$1

if [ ! -f "$lab/env.sh" ]; then
  cat >&2 <<END
no compose lab at LAB_DIR=$lab.
Needed is a folder with env.sh, tools.sh, standins.sh, dockerd-up.sh and dockerd-down.sh that starts a private engine
with images tagged like the real ones. With a Docker engine and its registry at hand, test on those: make test-compose LAB_DIR=
END
  exit 2
fi
for tool in debootstrap iptables runc ip; do
  command -v "$tool" > /dev/null || { echo "the lab needs $tool: apt-get install debootstrap iptables runc iproute2" >&2; exit 2; }
done
. "$lab/env.sh"

# The lab tags some repositories as a compose file asks; what it leaves gets the tag of its stand-in.
tag() {
  local image repository standin
  for image in $(docker compose --project-directory "$root" -f "$root/docker-compose.yml" --profile '*' config --images) \
               $(sed -n 's/^FROM \([a-z]*:[^ ]*\).*/\1/p' "$root/deployments/docker/Dockerfile"); do
    case $image in datawriter*) continue ;; esac
    if docker image inspect "$image" > /dev/null 2>&1; then continue; fi
    repository=${image%%:*}
    standin=$(docker images --format '{{.Repository}}:{{.Tag}}' "$repository" | head -1)
    [ -n "$standin" ] || { echo "the lab has no stand-in for $image" >&2; exit 1; }
    docker tag "$standin" "$image"
  done
}

case $2 in
  up)
    "$lab/tools.sh"
    . "$lab/env.sh"
    "$lab/dockerd-up.sh" | tail -1
    STANDIN_FOR="$root/docker-compose.yml $root/deployments/docker/Dockerfile" \
      "$lab/standins.sh" redis prometheus alertmanager redis_exporter python golang grafana
    tag ;;
  down) "$lab/dockerd-down.sh" ;;
  # As at the shutdown of a host: the engine ends with all containers, and its start starts those that may restart.
  engine-stop)
    pid=$(cat "$LAB/run/docker.pid")
    kill "$pid"
    while kill -0 "$pid" 2> /dev/null; do sleep 0.2; done ;;
  # As at a power cut, but for what the kernel has not written yet.
  engine-kill)
    pid=$(cat "$LAB/run/docker.pid")
    containers=$(docker ps -q | xargs docker inspect --format '{{.State.Pid}}')
    kill -9 "$pid" $containers
    while kill -0 "$pid" 2> /dev/null; do sleep 0.2; done ;;
  engine-start) "$lab/dockerd-up.sh" | tail -1 ;;
  *) echo "lab.sh LAB_DIR up | down | engine-stop | engine-kill | engine-start" >&2; exit 2 ;;
esac
