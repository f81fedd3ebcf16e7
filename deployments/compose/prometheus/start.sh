# Starts Prometheus with the configuration that all share and the job that is found by its name here. scrape_configs is
# the last section of the one, the other continues it.
cat /run/prometheus/shared/prometheus.yml /run/prometheus/compose/jobs.yml > /run/prometheus/prometheus.yml || exit 1
exec prometheus --config.file=/run/prometheus/prometheus.yml "$@"
