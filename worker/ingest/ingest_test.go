package ingest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/ingest"
	"datawriter/worker/ingest/ingesttest"
)

// wires are the hosts that there are: one of the first wire, a newer one that
// numbers it, and one that speaks both.
var wires = map[string]*ingesttest.Host{
	"v1":               {V1: true},
	"v1 with numbers":  {V1: true, Numbers: true, Base: 5_000_000},
	"v2 beside v1":     {V1: true, V2: true, Base: 9000},
	"v2 alone, skewed": {V2: true, Skew: -700 * time.Millisecond},
}

// onEachWire tries something on a host of each.
func onEachWire(t *testing.T, try func(t *testing.T, r *rig, h *ingesttest.Host)) {
	for name, shape := range wires {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			try(t, r, r.host(&ingesttest.Host{V1: shape.V1, V2: shape.V2, Numbers: shape.Numbers, Base: shape.Base, Skew: shape.Skew}))
		})
	}
}

func TestEachEventIsStoredOnceWhateverTheHostDoes(t *testing.T) {
	faults := ingesttest.Faults{
		Cut: 0.0002, Close: 0.0002, Again: 0.02, Garbage: 0.002, Slow: 0.001, Strangers: 0.01, Long: 0.0005, LongBytes: 1 << 17,
		Silent: 0.00005, Dead: 0.00005, Pause: time.Millisecond,
	}
	onEachWire(t, func(t *testing.T, r *rig, h *ingesttest.Host) {
		run := r.connect(r.options(h))
		r.make(10, 0)
		r.complete()
		h.Set(faults)
		for range 4 {
			r.make(1500, time.Second)
			r.complete()
		}
		run.end()
		r.exact(nil)
		r.noGap()
		if run.counter("duplicates_total") == 0 || run.counter("disconnections_total") < 2 {
			t.Error("nothing went wrong: the faults did not happen")
		}
	})
}

func TestARestartContinuesWhereTheLastOneEnded(t *testing.T) {
	r := newRig(t)
	h := r.host(&ingesttest.Host{V1: true})
	run := r.connect(r.options(h))
	r.make(500, time.Second)
	r.complete()
	run.end()
	r.make(3000, time.Second)
	r.start(r.options(h))
	r.complete()
	r.exact(nil)
	r.noGap()
}

func TestEventsThatTheServerNoLongerHasAreAGapWithItsBounds(t *testing.T) {
	onEachWire(t, func(t *testing.T, r *rig, h *ingesttest.Host) {
		run := r.connect(r.options(h))
		r.make(500, time.Second)
		r.complete()
		h.Refuse(true)
		lost := make(map[string]bool)
		made := r.source.Make(2000, 0)
		for _, m := range made {
			lost[m.Key] = true
		}
		r.source.Forget(0)
		r.make(100, 0)
		h.Refuse(false)
		r.complete()
		r.until("the gap is known", func() bool { return run.counter("gaps_total") > 0 })
		r.make(100, 0)
		r.complete()
		r.exact(nil)
		gaps := r.gaps()
		if len(gaps) != 1 {
			t.Fatalf("%d gaps, want one: %+v", len(gaps), gaps)
		}
		first, last := at(made[0], h.Skew), at(made[len(made)-1], h.Skew)
		if g := gaps[0]; g.After.After(first) || !g.Until.After(last) {
			t.Errorf("the gap %+v does not cover what was lost between %s and %s", g, first, last)
		}
		for key := range r.stored() {
			if lost[key] {
				t.Error("what was lost is there")
			}
		}
	})
}

// TestConnectionsThatAllBreakEarlyGetOn: none brings as many events as the next one
// begins before its position. All would begin at the same place, and end at the same.
func TestConnectionsThatAllBreakEarlyGetOn(t *testing.T) {
	onEachWire(t, func(t *testing.T, r *rig, h *ingesttest.Host) {
		o := r.options(h)
		run := r.connect(o)
		for _, m := range r.source.MakeUntil(time.Now().Add(-time.Minute), 10, 0) {
			r.made[m.Key]++
		}
		r.complete()
		h.Refuse(true)
		h.Set(ingesttest.Faults{Most: 2500})
		r.make(20_000, 50*time.Second)
		h.Refuse(false)
		r.complete()
		r.exact(nil)
		r.noGap()
		if run.counter("disconnections_total", "closed") < 8 {
			t.Error("the connections did not break")
		}
	})
}

// TestAGapThatIsShorterThanTheClocksOfTwoHostsDiffer: by the clocks it ends before it
// begins. It is reported, also after a restart.
func TestAGapThatIsShorterThanTheClocksOfTwoHostsDiffer(t *testing.T) {
	r := newRig(t)
	a, b := r.host(&ingesttest.Host{V1: true}), r.host(&ingesttest.Host{V1: true, Skew: -20 * time.Second})
	b.Refuse(true)
	run := r.connect(r.options(a, b))
	r.make(500, time.Second)
	r.complete()
	a.Refuse(true)
	r.source.Make(100, 0)
	r.source.Forget(0)
	r.make(100, 0)
	b.Refuse(false)
	r.until("the gap is known", func() bool { return run.counter("gaps_total") > 0 })
	r.complete()
	run.end()
	again := r.start(r.options(a, b))
	r.make(100, 0)
	r.complete()
	r.exact(nil)
	if n := again.counter("gaps_total"); n != 1 || len(r.gaps()) != 1 {
		t.Errorf("%v gaps are counted after a restart: %+v", n, r.gaps())
	}
}

// at is the time of an event on a host with that skew.
func at(m ingesttest.Made, skew time.Duration) time.Time {
	return time.UnixMicro(m.US).Add(skew)
}

func TestRedisThatIsAwayIsWaitedFor(t *testing.T) {
	r := newRig(t, "--appendonly", "yes", "--appendfsync", "always")
	h := r.host(&ingesttest.Host{V2: true})
	run := r.connect(r.options(h))
	for range 3 {
		r.make(500, time.Second)
		r.complete()
		r.make(300, time.Second)
		r.redis.Kill()
		r.make(300, time.Second)
		r.until("the ingest waits", func() bool { return run.counter("state", "no_redis") > 0 })
		r.redis.Restart()
		r.complete()
	}
	r.exact(nil)
	r.noGap()
}

// TestARedisThatLostItsLastSecondGetsItAgain: the position goes back with the
// entries, so a crash of Redis costs nothing that the server still has.
func TestARedisThatLostItsLastSecondGetsItAgain(t *testing.T) {
	r := newRig(t)
	h := r.host(&ingesttest.Host{V2: true})
	r.connect(r.options(h))
	r.make(500, time.Second)
	r.complete()
	redis := r.client.Redis()
	if err := redis.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	r.make(500, time.Second)
	r.complete()
	r.redis.Kill()
	r.redis.Restart() // with what was saved
	r.make(100, time.Second)
	r.complete()
	r.exact(nil)
	r.noGap()
}

func TestAFullRedisStopsTheReadingAndAnEmptyOneLetsItCatchUp(t *testing.T) {
	r := newRig(t, "--maxmemory-policy", "noeviction")
	h := r.host(&ingesttest.Host{V1: true})
	run := r.connect(r.options(h))
	r.make(500, time.Second)
	r.complete()
	redis := r.client.Redis()
	limit := func(bytes string) {
		if err := redis.ConfigSet(t.Context(), "maxmemory", bytes).Err(); err != nil {
			t.Fatal(err)
		}
	}
	limit("1")
	r.make(500, time.Second)
	r.until("it is paused", func() bool { return run.counter("state", "paused") > 0 })
	r.make(2000, time.Second)
	limit("0")
	r.complete()
	r.exact(nil)
	r.noGap()
}

// TestAClockThatStandsStillCostsNoMemory: nothing grows old, and so nothing would
// be forgotten. What is, is counted, for it would be stored again.
func TestAClockThatStandsStillCostsNoMemory(t *testing.T) {
	r := newRig(t)
	h := r.host(&ingesttest.Host{V1: true})
	o := r.options(h)
	o.Remember, o.Keep, o.Stall = 300, time.Hour, time.Minute
	run := r.connect(o)
	for range 8 {
		r.make(1000, time.Second)
		r.complete()
	}
	run.end()
	r.exact(nil)
	most := 1000.0 + 300*5 // the batch under way, and each stream's
	if n := run.counter("seen_identities"); n > most {
		t.Errorf("%v events are remembered, want at most %v", n, most)
	}
	if n := run.counter("forgotten_early_total"); n < 8000-2*most {
		t.Errorf("%v events are counted as forgotten", n)
	}
	again := r.start(o)
	r.until("it has loaded what redis holds", func() bool { return again.counter("state", "live") > 0 || again.counter("connections_total") > 0 })
	if n := again.counter("seen_identities"); n > most+1000 {
		t.Errorf("redis holds %v events as remembered", n)
	}
}

// TestAnEventOfAnotherCenturyDoesNotKeepAllBehindIt: remembered until its time has
// passed, it would hold on to everything that came after it.
func TestAnEventOfAnotherCenturyDoesNotKeepAllBehindIt(t *testing.T) {
	r := newRig(t)
	h := r.host(&ingesttest.Host{V1: true})
	o := r.options(h)
	o.Keep, o.Least, o.HostMargin, o.Stall = 100*time.Millisecond, 1, 50*time.Millisecond, time.Minute
	run := r.connect(o)
	r.make(100, time.Second)
	r.complete()
	for _, m := range r.source.Strange(time.Now().AddDate(100, 0, 0).UnixMicro()) {
		r.made[m.Key]++
	}
	r.make(5000, 0)
	r.complete()
	r.until("the rest is forgotten", func() bool {
		r.make(1, 0)
		return run.counter("seen_identities") < 500
	})
	r.complete()
	r.exact(nil)
}

func TestASecondIngestStandsByAndTakesOver(t *testing.T) {
	r := newRig(t)
	h := r.host(&ingesttest.Host{V1: true, V2: true})
	o := r.options(h)
	o.Standby = time.Minute // on a busy machine the first may be silent for a while
	first := r.connect(o)
	second := r.start(o)
	r.until("the second stands by", func() bool { return second.counter("state", "standing_by") > 0 })
	r.make(500, time.Second)
	r.complete()
	if second.counter("connections_total") > 0 {
		t.Error("the second is connected as well")
	}
	first.end()
	r.make(500, time.Second)
	r.complete()
	r.exact(nil)
	r.noGap()
}

func TestAnotherHostWithAnotherClockContinues(t *testing.T) {
	for name, skew := range map[string]time.Duration{"behind": -800 * time.Millisecond, "ahead": 800 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			a := r.host(&ingesttest.Host{V1: true, V2: true, Base: 1_000_000})
			b := r.host(&ingesttest.Host{V1: true, Skew: skew})
			o := r.options(a, b)
			run := r.connect(o)
			for range 2 {
				r.make(1000, time.Second)
				r.complete()
				a.Refuse(true)
				r.make(1000, time.Second)
				r.complete()
				r.until("the other is asked", func() bool { return run.counter("connections_total", b.URL()) > 0 })
				a.Refuse(false)
				b.Refuse(true)
				r.make(1000, time.Second)
				r.complete()
				b.Refuse(false)
			}
			r.exact(nil)
			r.noGap()
		})
	}
}

func TestAHostThatNumbersAnewIsAskedByTime(t *testing.T) {
	r := newRig(t)
	h := r.host(&ingesttest.Host{V2: true, Base: 1_000_000})
	run := r.connect(r.options(h))
	r.make(500, time.Second)
	r.complete()
	h.Refuse(true)
	h.Base = 0
	r.make(2000, time.Second)
	h.Refuse(false)
	r.until("it is noticed", func() bool {
		r.make(1, 0)
		return run.counter("disconnections_total", "renumbered") > 0
	})
	r.complete()
	r.exact(nil)
	r.noGap()
}

func TestAQuietNightIsNoDeadConnection(t *testing.T) {
	r := newRig(t)
	h := r.host(&ingesttest.Host{V1: true})
	o := r.options(h)
	o.Stall = 50 * time.Millisecond
	run := r.connect(o)
	r.make(200, time.Second)
	r.complete()
	silent := func() float64 { return run.counter("disconnections_total", "silent") }
	r.until("silence was doubted", func() bool { return silent() >= 4 })
	// 50, 100, 200, 400, … ms: four doubts need 0.75 s; without more patience there would be a doubt each 50 ms.
	r.make(200, time.Second)
	r.complete()
	h.Set(ingesttest.Faults{Silent: 1})
	r.make(10, 0)
	time.AfterFunc(200*time.Millisecond, func() { h.Set(ingesttest.Faults{}) })
	r.complete()
	r.exact(nil)
	r.noGap()
	if n := len(h.Connections()); n > 30 {
		t.Errorf("%d connections: it lost patience", n)
	}
}

func TestOtherClassesAreCountedAndKeptWhenAskedFor(t *testing.T) {
	for _, shape := range []*ingesttest.Host{{V1: true}, {V2: true}} {
		r := newRig(t)
		h := r.host(&ingesttest.Host{V1: shape.V1, V2: shape.V2})
		o := r.options(h)
		o.Also, o.Stall = []event.Kind{event.Identity}, time.Minute
		run := r.connect(o)
		r.source.Add([]byte(`{"did":"did:plc:a","time_us":1,"kind":"identity","identity":{"did":"did:plc:a","handle":"a.example","seq":7}}`),
			[]byte(`{"did":"did:plc:a","time_us":1,"kind":"account","account":{"active":true,"did":"did:plc:a","seq":8}}`))
		r.make(10, 0)
		r.complete()
		if n := r.client.Redis().XLen(t.Context(), "bluesky:{identity}").Val(); n != 1 {
			t.Errorf("%d identity events are kept, want 1", n)
		}
		if n := r.client.Redis().XLen(t.Context(), "bluesky:{account}").Val(); n != 0 {
			t.Errorf("%d account events are kept, want none", n)
		}
		if n := run.counter("messages_total", "account"); shape.V1 && n != 1 {
			t.Errorf("%v account events are counted, want 1", n)
		}
	}
}

func TestTheRecordedEventsOfTheNetworkComeThrough(t *testing.T) {
	recorded := sample(t)
	for _, shape := range []*ingesttest.Host{{V1: true}, {V2: true}} {
		r := newRig(t)
		h := r.host(&ingesttest.Host{V1: shape.V1, V2: shape.V2})
		r.connect(r.options(h))
		for _, m := range r.source.Add(recorded...) {
			if m.Key != "" {
				r.made[m.Key]++
			}
		}
		r.complete()
		r.exact(nil)
	}
}

func TestBadOptionsAreRefusedWithASentence(t *testing.T) {
	for says, o := range map[string]ingest.Options{
		"has a path":   {Hosts: []string{"wss://a.example/subscribe"}},
		"neither ws":   {Hosts: []string{"ftp://a.example"}},
		"none of auto": {Wire: "v3"},
	} {
		if _, err := ingest.New(nil, o); !errors.Is(err, ingest.ErrUsage) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want one that says %q", err, says)
		}
	}
}
