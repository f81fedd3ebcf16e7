// Package exporter owns the metrics of the whole pipeline for Prometheus. It
// reads the run log, the published files, Redis and the Prefect API, each in the
// background and for itself, so that none can delay or falsify another.
//
// It changes nothing it looks at, and knows nothing of alerts: thresholds stand
// with the rules.
package exporter
