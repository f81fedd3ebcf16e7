// Package deployments owns the shipped configuration of Prometheus and
// Alertmanager as data, and writes copies of it in which time runs faster: what
// a rehearsal of alerts runs is what production runs, but for its durations
// and addresses.
//
// It knows nothing of what the rules mean.
package deployments
