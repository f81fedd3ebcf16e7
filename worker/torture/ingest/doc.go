// Package ingest holds tests only: the live source through real processes, with
// a drain beside them. A million events while everything goes wrong (make
// ingest-torture), and an hour at the network's peak (make ingest-soak).
package ingest
