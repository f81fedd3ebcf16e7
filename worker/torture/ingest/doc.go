// Package ingest holds tests only: the live source through real processes, with
// a drain beside them. Seeds on real Jetstream servers and a million events on a
// stand-in, while everything goes wrong (make ingest-torture), and an hour at the
// network's peak (make ingest-soak).
//
// Where what stands: network_test.go the recorded network, relay_test.go who sends
// it, server_test.go the servers, passage_test.go the addresses they stand behind,
// dump_test.go what they have; course_test.go and mishaps_test.go a seed,
// tally_test.go its end. million_test.go, storm_test.go and faults_test.go are the
// stand-in's.
package ingest
