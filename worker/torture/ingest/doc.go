// Package ingest holds tests only: a million events through real processes that
// are killed, cut off, starved and misled while a drain runs beside them
// (make ingest-torture), and an hour at the network's peak (make ingest-soak).
package ingest
