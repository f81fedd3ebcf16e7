package ingest_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"datawriter/worker/event"
)

var long = flag.Bool("long", false, "let the courses that are laid out take their minutes")

var seeds = flag.Int("seeds", 0, "how many seeds run against real servers, from -seed on; 0 is the few that every test run has")

// coreSeeds are short: two legacy hosts, and one of each.
var coreSeeds = []uint64{13, 39}

func chosenSeeds() []uint64 {
	if *seeds == 0 {
		return coreSeeds
	}
	var chosen []uint64
	for n := range *seeds {
		chosen = append(chosen, *seed+uint64(n))
	}
	return chosen
}

// TestRealServers lets everything go wrong around real Jetstream servers: every
// event that they have is in exactly one row at the end, or in a gap that is
// told; and no gap is told that is none.
func TestRealServers(t *testing.T) {
	for _, this := range chosenSeeds() {
		t.Run(fmt.Sprintf("seed-%d", this), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("to run it again: make ingest-torture SEED=%d SEEDS=1 EVENTS=0", this)
				}
			})
			newCourse(t, this, drawPlan(this)).run()
		})
	}
}

// laidOut are courses for what a seed does not often meet: many breaks in a row
// at a high speed, and breaks that are further apart than identities are
// remembered by event time.
var laidOut = []struct {
	name string
	plan coursePlan
}{
	{"a legacy server at 800 events a second and ten kills of the ingest", coursePlan{hosts: []version{legacy}, wire: "v1", steady: 800, faults: 10, only: []string{"kill -9 of the ingest"}}},
	{"ten reconnects on the older wire of two newer hosts", coursePlan{
		hosts: []version{current, current}, wire: "v1", also: event.RawKinds(), steady: 90, faults: 10, only: []string{"another host", "kill -9 of a server", "kill -9 of the ingest"}, calm: 20 * time.Second,
	}},
	{"ten reconnects between two newer hosts", coursePlan{
		hosts: []version{current, current}, wire: "auto", also: event.RawKinds(), steady: 90, faults: 10, only: []string{"another host", "kill -9 of a server", "cut connections"}, calm: 20 * time.Second,
	}},
	{"an upgrade in place", coursePlan{
		hosts: []version{legacy}, wire: "auto", also: event.RawKinds(), steady: 90, faults: 9, only: []string{"cut connections", "an upgrade in place", "kill -9 of the ingest"}, calm: 20 * time.Second,
	}},
	{"imported times and a server that loses all it has", coursePlan{
		hosts: []version{current}, wire: "auto", steady: 300, faults: 6, only: []string{"imported times", "a server begins with an empty store"},
	}},
}

// TestLaidOutCourses is TestRealServers with mishaps that are chosen, not drawn.
func TestLaidOutCourses(t *testing.T) {
	for n, course := range laidOut {
		t.Run(course.name, func(t *testing.T) {
			t.Parallel()
			if !*long {
				course.plan.faults, course.plan.calm = 3, min(course.plan.calm, time.Second)
			}
			newCourse(t, uint64(1000+n), course.plan).run()
		})
	}
}
