package ingest_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
	"datawriter/worker/ingest/ingesttest"
)

// storm is a source and its hosts, an ingest and a drain as processes, and what
// goes wrong among them.
type storm struct {
	*rig
	plan   plan
	wire   string
	rng    *rand.Rand // of the driver alone
	source *ingesttest.Source
	hosts  []*ingesttest.Host
	feeder *process
	admin  *redis.Client

	mu    sync.Mutex // of what follows: held by who makes events
	made  map[string]int
	left  int // still to be made
	gaps  []stretch
	fired map[string]int
}

// plan is how long a storm lasts and how hard it blows.
type plan struct {
	seed   uint64
	events int
	kills  int
	times  func(f *fault) int // how often a fault happens
	calm   time.Duration      // longest pause between two faults
	stall  time.Duration
	window time.Duration
	noise  ingesttest.Faults // all the time
}

// stretch is what the hosts forgot before it was read.
type stretch struct {
	first, last, next int64 // microseconds: of what is lost, and of the first event after it
}

func newStorm(t *testing.T, wire string, p plan, hosts ...*ingesttest.Host) *storm {
	s := &storm{
		rig:  newRig(t, "--maxmemory-policy", "noeviction", "--appendonly", "yes", "--appendfsync", "always"),
		plan: p, wire: wire, rng: rand.New(rand.NewPCG(p.seed, uint64(len(wire)))), source: ingesttest.NewSource(p.seed, 0),
		made: make(map[string]int), left: p.events, fired: make(map[string]int), hosts: hosts,
	}
	s.admin = s.redis.Client()
	for n, h := range hosts {
		h.Source = s.source
		h.Start(p.seed + uint64(n))
		t.Cleanup(h.Stop)
	}
	s.noise()
	return s
}

// noise lets the hosts do what they do all the time, and no more.
func (s *storm) noise() {
	for _, h := range s.hosts {
		h.Set(s.plan.noise)
	}
}

func (s *storm) start() {
	args := []string{"--wire", s.wire, "--stall", s.plan.stall.String(), "--max-message", "65536"}
	for _, h := range s.hosts {
		args = append(args, "--host", h.URL())
	}
	s.feeder = s.ingest(args...)
}

// run lets the faults of the deck happen while events are made and drained, and
// returns how many events a second it caught up with at the end.
func (s *storm) run(deck []*fault) (catchUp float64) {
	ctx, stop := context.WithCancel(s.t.Context())
	defer stop()
	var helpers sync.WaitGroup
	s.start()
	s.until("it is connected", func() bool { return s.live() != nil })
	s.mu.Lock()
	s.make(100) // before the first event there is no position, and so no gap
	s.mu.Unlock()
	s.caughtUp()
	helpers.Go(func() { s.drain(ctx, s.plan.window) })
	making, still := context.WithCancel(ctx)
	defer still()
	expected := float64(len(deck)) * (s.plan.calm.Seconds()/2 + 4)
	helpers.Go(func() { s.produce(making, 0.75*float64(s.plan.events)/expected) })
	for _, f := range deck {
		time.Sleep(time.Duration(s.rng.Int64N(int64(s.plan.calm))))
		began := time.Now()
		f.do(s)
		s.fired[f.name]++
		if s.rng.IntN(3) > 0 { // else the next one comes before it has recovered
			s.caughtUp()
		}
		s.note("fault %s: %.1f s, %d events left to make", f.name, time.Since(began).Seconds(), s.leftToMake())
	}
	still()
	catchUp = s.catchUp()
	stop()
	helpers.Wait()
	return catchUp
}

// produce makes events at a rate until ctx ends; the last fifth it lets drip.
func (s *storm) produce(ctx context.Context, rate float64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last, due := time.Now(), 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		due += min(1, now.Sub(last).Seconds()) * rate
		last = now
		s.mu.Lock()
		if s.left < s.plan.events/5 {
			due = min(due, 0.2)
			due += 0.2
		}
		s.make(int(due))
		s.mu.Unlock()
		due -= float64(int(due))
	}
}

// make lets n events happen, of those that are left. The caller holds mu.
func (s *storm) make(n int) {
	n = min(n, s.left)
	s.left -= n
	for _, m := range s.source.Make(n, 20*time.Millisecond) {
		s.made[m.Key]++
	}
}

func (s *storm) leftToMake() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}

// catchUp makes what is left while no host answers, and waits until it is stored.
func (s *storm) catchUp() (perSecond float64) {
	s.caughtUp()
	for _, h := range s.hosts {
		h.Refuse(true)
	}
	s.mu.Lock()
	n := s.left
	for s.left > 0 {
		s.make(min(1000, s.left))
	}
	s.mu.Unlock()
	for _, h := range s.hosts {
		h.Refuse(false)
	}
	// So much in so little time of the source is no network's: a connection that
	// broke again and again in it would have to begin before it each time.
	s.plan.noise.Cut, s.plan.noise.Close = 0, 0
	s.noise()
	began := time.Now()
	s.caughtUp()
	return float64(n) / time.Since(began).Seconds()
}

// stored returns how many entries were ever added, or -1 while Redis is away.
func (s *storm) stored() (n int64) {
	for _, kind := range event.Kinds() {
		info, err := s.admin.XInfoStream(s.t.Context(), "bluesky:{"+kind.String()+"}").Result()
		if redis.HasErrorPrefix(err, "no such key") {
			continue
		}
		if err != nil {
			return -1
		}
		n += info.EntriesAdded
	}
	return n
}

// caughtUp waits until everything that was made by now is stored, if no events
// were added twice: that is told at the end.
func (s *storm) caughtUp() {
	s.t.Helper()
	s.mu.Lock()
	n := int64(len(s.made))
	s.mu.Unlock()
	s.until(fmt.Sprintf("%d events are stored", n), func() bool { return s.stored() >= n })
}

// live returns the host that has the connection, or nil.
func (s *storm) live() *ingesttest.Host {
	for _, h := range s.hosts {
		if h.Live() > 0 {
			return h
		}
	}
	return nil
}

// happened returns how often each fault of the hosts has happened.
func (s *storm) happened() map[string]int {
	sum := make(map[string]int)
	for _, h := range s.hosts {
		for name, n := range h.Fired() {
			sum[name] += n
		}
	}
	return sum
}

// all returns how often each fault has happened, of the hosts and of others.
func (s *storm) all() map[string]int {
	sum := s.happened()
	maps.Copy(sum, s.fired)
	return sum
}

// patience is how long anything may take.
const patience = 4 * time.Minute

func (s *storm) until(what string, condition func() bool) {
	s.t.Helper()
	for began := time.Now(); time.Since(began) < patience; time.Sleep(10 * time.Millisecond) {
		if condition() {
			return
		}
		select {
		case <-s.feeder.done:
			s.t.Fatalf("the ingest ended by itself (%v) while this was waited for: %s; its log: %s", s.feeder.ProcessState, what, s.log.Name())
		default:
		}
	}
	s.t.Fatalf("it did not come to be that %s: %d are stored of %d made, faults so far %v; the log: %s", what, s.stored(), len(s.made), s.all(), s.log.Name())
}

func (s *storm) note(format string, args ...any) {
	fmt.Fprintf(s.log, "-- %s %s\n", time.Now().UTC().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}
