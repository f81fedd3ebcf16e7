#!/bin/sh
# Writes the passwords of a stack. For docker compose, before its first start: below deployments/secrets, and .env.
# For `make up`, at each start: below STATE/secrets. Nothing that exists is changed; what is derived from a password
# follows it, so to change one, delete its file, run this again, and start again what uses it (all of the stack, or
# `docker compose up -d --force-recreate`).
#
#   SLACK_URL=… [SLACK_ESCALATION_URL=…] deployments/compose/secrets.sh [FOLDER]
#   LOCAL_REDIS=127.0.0.1:6379 deployments/compose/secrets.sh FOLDER
#
# The folder is closed to other users of the machine. So are the files of `make up`; those for compose are not, because
# containers read them as users of their own.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$here/secrets}
redis=${LOCAL_REDIS:-redis:6379}
if [ -n "${LOCAL_REDIS:-}" ]; then umask 077; else umask 022; fi

main() {
  mkdir -p "$folder"
  chmod 700 "$folder"
  cd "$folder"
  for name in redis_admin redis_producer redis_ingester redis_drainer redis_exporter redis_metrics redis_health \
              prefect_password prefect_postgres exporter_password alertmanager_password grafana_admin; do
    [ -s "$name" ] || random | write "$name"
  done
  redis_users
  redis_metrics
  prefect_logins
  alertmanager_logins
  web_login alertmanager admin
  [ -z "${LOCAL_REDIS:-}" ] || return 0
  web_login exporter prometheus
  slack
  [ $# -gt 0 ] || [ -e "$here/../.env" ] || cp "$here/../.env.example" "$here/../.env"
}

random() { od -An -tx1 -N24 /dev/urandom | tr -d ' \n'; }

# A file appears whole or not at all. Written in place where it exists: a running container has it mounted.
write() {
  content=$(cat)
  [ -e "$1" ] && [ "$(cat "$1")" = "$content" ] && return
  printf '%s' "$content" > ".$1.tmp"
  if [ -e "$1" ]; then cat ".$1.tmp" > "$1"; rm ".$1.tmp"; else mv ".$1.tmp" "$1"; fi
}

redis_users() {
  users=$(grep -v '^#' "$here/redis/users.acl")
  for name in redis_admin redis_producer redis_ingester redis_drainer redis_exporter redis_metrics redis_health; do
    users=$(printf '%s\n' "$users" | sed "s/@$name@/#$(sha256 < "$name")/")
  done
  printf '%s\n' "$users" | write redis_users.acl
}

# redis_exporter looks its password up by the address that it was given: newer ones with the user in it, older without.
redis_metrics() {
  password=$(cat redis_metrics)
  printf '{"redis://metrics@%s": "%s", "redis://%s": "%s"}' "$redis" "$password" "$redis" "$password" | write redis_metrics.json
}

sha256() {
  { sha256sum 2>/dev/null || shasum -a 256 2>/dev/null || openssl dgst -sha256 -r; } | cut -d' ' -f1
}

# One login in two forms: as Prefect reads its settings, and as the exporter does. The password of PostgreSQL is read
# only where deployments/compose/postgres.yml asks for that.
prefect_logins() {
  login="admin:$(cat prefect_password)"
  printf '%s' "$login" | write prefect_auth
  write prefect_profiles.toml <<END
active = "datawriter"
[profiles.datawriter]
PREFECT_API_AUTH_STRING = "$login"
PREFECT_SERVER_API_AUTH_STRING = "$login"
PREFECT_SERVER_DATABASE_PASSWORD = "$(cat prefect_postgres)"
END
}

# As datawriter ack and amtool read it.
alertmanager_logins() {
  printf 'admin:%s' "$(cat alertmanager_password)" | write alertmanager_auth
  printf 'basic_auth:\n  username: admin\n  password: %s\n' "$(cat alertmanager_password)" | write alertmanager_http.yml
}

# web_login NAME USER: the server's side of NAME_password, as exporters, Prometheus and Alertmanager read it. No other
# page may show theirs in a frame, where a person would click on it without seeing it. The salt makes every hash of a
# password another one, hence the look at the times.
web_login() {
  [ -s "$1_web.yml" ] && [ "$1_web.yml" -nt "$1_password" ] && return
  hash=$(bcrypt < "$1_password")
  case $hash in '$2'*) ;; *)
    echo "secrets.sh: no tool here makes a bcrypt hash: install htpasswd (package apache2-utils or httpd-tools), or perl on Linux" >&2
    exit 1 ;;
  esac
  printf 'basic_auth_users:\n  %s: %s\nhttp_server_config:\n  headers:\n    X-Frame-Options: deny\n' "$2" "$hash" | write "$1_web.yml"
}

bcrypt() {
  if command -v htpasswd > /dev/null; then
    htpasswd -niBC 10 '' | tr -d ':\n'
  else
    perl -e '$_ = <STDIN>; @c = ("a".."z", "A".."Z", 0..9); open R, "</dev/urandom"; read R, $r, 22;
             print crypt($_, "\$2b\$10\$" . join "", map { $c[ord($_) % @c] } split //, $r)'
  fi
}

# An empty file says that nobody is told by Slack.
slack() {
  for pair in "slack_url ${SLACK_URL:-}" "slack_escalation_url ${SLACK_ESCALATION_URL:-${SLACK_URL:-}}"; do
    name=${pair%% *} url=${pair#* }
    if [ -n "$url" ]; then printf '%s' "$url" | write "$name"; fi
    [ -e "$name" ] || : > "$name"
  done
}

main "$@"
