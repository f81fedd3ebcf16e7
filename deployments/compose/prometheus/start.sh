# Starts Prometheus with the configuration that all share and the jobs that need a password here. scrape_configs is
# the last section of the one, the other continues it.
cat /etc/prometheus/shared/prometheus.yml /etc/prometheus/compose/jobs.yml > /etc/prometheus/prometheus.yml || exit 1
exec prometheus --config.file=/etc/prometheus/prometheus.yml "$@"
