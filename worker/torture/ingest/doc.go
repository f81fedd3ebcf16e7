// Package ingest holds tests only: an hour of the live source at the network's
// peak through real processes, with a drain beside them (make ingest-soak).
package ingest
