package ingest_test

import (
	"flag"
	"fmt"
	"testing"
)

var seeds = flag.Int("seeds", 3, "how many seeds run against real servers, from -seed on")

// TestRealServers lets everything go wrong around real Jetstream servers: every
// event that they have is in exactly one row at the end, or in a gap that is
// told; and no gap is told that is none.
func TestRealServers(t *testing.T) {
	for n := range *seeds {
		this := *seed + uint64(n)
		t.Run(fmt.Sprintf("seed-%d", this), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("to run it again: make ingest-torture SEED=%d SEEDS=1 EVENTS=0", this)
				}
			})
			newCourse(t, this).run()
		})
	}
}
