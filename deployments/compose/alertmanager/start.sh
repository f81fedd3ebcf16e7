# Starts Alertmanager with the routes to Slack, or without anybody to tell where no URL was given.
cd /etc/alertmanager
config=alertmanager.yml
if [ ! -s secrets/slack_url ]; then
  echo "no Slack URL: alerts are shown here and in Grafana, and nobody is told (SLACK_URL=… make secrets)" >&2
  config=nobody.yml
fi
exec alertmanager --config.file="$config" "$@"
