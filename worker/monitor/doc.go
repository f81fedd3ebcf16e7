// Package monitor owns what is asked of Prometheus and Alertmanager: instant
// queries, targets, rules, alerts and silences, by their HTTP APIs.
//
// It knows nothing of which metrics or alerts there are.
package monitor
