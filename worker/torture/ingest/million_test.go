package ingest_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"datawriter/worker/ingest/ingesttest"
)

var (
	events = flag.Int("events", 20_000, "events of the torture, half of them on each wire")
	kills  = flag.Int("kills", 3, "how often the ingest is killed with kill -9, over both wires")
	seed   = flag.Uint64("seed", 1, "of the torture")
)

// million is the number of events from which on the torture takes its time.
const million = 1_000_000

// newPlan returns the share of one of two wires.
func newPlan(share int) plan {
	p := plan{
		seed: *seed, events: *events / 2, kills: (*kills + share) / 2, stall: time.Second, window: time.Second, calm: 50 * time.Millisecond,
		noise: ingesttest.Faults{
			Again: 0.01, Garbage: 0.001, Slow: 0.001, Strangers: 0.005, Long: 0.001, LongBytes: 1 << 17,
			JumpAhead: 400, JumpCut: 0.5, Pause: time.Millisecond,
		},
	}
	weight := float64(*events) / million
	p.times = func(f *fault) int {
		if f.often < 0 {
			return p.kills
		}
		return max(1, int(weight*float64(f.often)/2))
	}
	if weight > 0.1 {
		p.stall, p.window, p.calm = 2*time.Second, 10*time.Second, 14*time.Second
		p.noise.Cut, p.noise.Close, p.noise.JumpAhead = 0.00001, 0.00001, 1000
	}
	return p
}

// TestEachEventStandsInTheFilesOnce lets everything go wrong that can: every event
// that the source has kept is in exactly one row at the end, and every gap that
// it made is reported with its bounds, and no other.
func TestEachEventStandsInTheFilesOnce(t *testing.T) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to run it again: make ingest-torture SEED=%d EVENTS=%d KILLS=%d", *seed, *events, *kills)
		}
	})
	t.Run("v1", func(t *testing.T) {
		t.Parallel()
		weather(newStorm(t, "v1", newPlan(1), &ingesttest.Host{V1: true}, &ingesttest.Host{V1: true, Numbers: true, Base: 7_000, Skew: -700 * time.Millisecond}))
	})
	t.Run("v2", func(t *testing.T) { // and the older wire, where a host knows no other
		t.Parallel()
		weather(newStorm(t, "auto", newPlan(0), &ingesttest.Host{V2: true}, &ingesttest.Host{V1: true, V2: true, Base: 900_000_000, Skew: 400 * time.Millisecond},
			&ingesttest.Host{V1: true, Skew: -300 * time.Millisecond}))
	})
}

func weather(s *storm) {
	began := time.Now()
	catchUp := s.run(s.deck())
	s.drainAll(s.plan.window)
	s.feeder.stop()
	s.exact()
	s.gapsAreTold()
	s.everyFaultHappened()
	s.report(s.t.Name(), map[string]any{
		"seed": s.plan.seed, "events": len(s.made), "seconds": time.Since(began).Seconds(), "catch_up_per_s": catchUp,
		"gaps": len(s.gaps), "faults": s.all(), "ok": !s.t.Failed(),
	})
}

// exact compares the rows of all files with what was made.
func (s *storm) exact() {
	s.t.Helper()
	found := s.rows(ingesttest.Key)
	wrong := 0
	complain := func(format string, args ...any) {
		if wrong++; wrong <= 10 {
			s.t.Errorf(format, args...)
		}
	}
	for key := range s.made {
		if found[key] != 1 {
			complain("event %s stands in the files %d times", key, found[key])
		}
	}
	for key := range found {
		if s.made[key] == 0 {
			complain("event %s was lost by the source, or never made", key)
		}
	}
	if wrong > 0 {
		s.t.Errorf("%d of %d events are wrong; the log: %s", wrong, len(s.made), s.log.Name())
	}
	if len(s.made) != s.plan.events {
		s.t.Errorf("%d events were made, want %d", len(s.made), s.plan.events)
	}
	if out, err := s.command("verify", "--against-redis").Output(); err != nil {
		s.t.Errorf("verify: %v\n%s", err, out)
	}
}

// loose is how far before what is lost a gap may begin: what is settled lies ten
// seconds of receiving behind, and that is long when connections keep breaking.
const loose = 2 * time.Minute

// gapsAreTold compares the reported gaps with those that the hosts made.
func (s *storm) gapsAreTold() {
	s.t.Helper()
	gaps := s.recorded()
	if len(gaps) != len(s.gaps) {
		s.t.Errorf("%d gaps are reported, %d were made: %+v, %+v", len(gaps), len(s.gaps), gaps, s.gaps)
		return
	}
	for n, made := range s.gaps {
		g := gaps[n]
		var skew time.Duration // of the host that is asked now; the position may be another's
		for _, h := range s.hosts {
			if h.URL() == g.Host {
				skew = h.Skew
			}
		}
		first, next := time.UnixMicro(made.first), time.UnixMicro(made.next).Add(skew)
		if g.After.After(first.Add(time.Second)) || first.Sub(g.After) > loose {
			s.t.Errorf("gap %d begins after %s, and what is lost at %s", n, g.After, first)
		}
		if !g.Until.Equal(next) {
			s.t.Errorf("gap %d ends at %s, and the first event behind it is of %s", n, g.Until, next)
		}
		s.note("gap %d: begins %s before what is lost", n, first.Sub(g.After))
	}
}

// everyFaultHappened fails unless each kind of fault did its work.
func (s *storm) everyFaultHappened() {
	s.t.Helper()
	happened := s.all()
	names := ambient
	for _, f := range faults {
		names = append(names, f.name)
	}
	for _, name := range names {
		if happened[name] == 0 {
			s.t.Errorf("this fault did not happen once: %s", name)
		}
	}
	if n := happened[faults[0].name]; n < s.plan.kills {
		s.t.Errorf("the ingest was killed %d times, want %d", n, s.plan.kills)
	}
	fmt.Fprintln(s.log, happened)
}
