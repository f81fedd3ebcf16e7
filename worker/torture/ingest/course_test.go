package ingest_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"datawriter/worker/event"
)

// course is one seed: real servers behind addresses that stay, an ingest and a
// drain as processes, and what goes wrong among them.
type course struct {
	*rig
	seed   uint64
	rng    *rand.Rand
	relay  *relay
	gates  []*gate
	plan   coursePlan
	feeder *process
	first  int // frame from which on every event must be there
	fired  map[string]int
}

// coursePlan is what a seed draws before it begins.
type coursePlan struct {
	hosts  []version
	wire   string
	also   []event.Kind
	steady float64 // events a second all the time; 0 draws another speed at every mishap
	faults int
	only   []string      // mishaps, in this order again and again; empty draws them
	calm   time.Duration // between two of them; 0 draws it
}

// gate is an address of a Jetstream host, and the servers that stood behind it.
type gate struct {
	*passage
	now    *jetstream
	before []*jetstream // whose store was left behind
}

func drawPlan(seed uint64) (p coursePlan) {
	rng := rand.New(rand.NewPCG(seed, 7))
	p.hosts = [][]version{{legacy}, {current}, {current, current}, {legacy, current}, {legacy, legacy}}[rng.IntN(5)]
	wires := []string{"v1", "auto"}
	if !slices.Contains(p.hosts, legacy) {
		wires = append(wires, "v2")
	}
	p.wire = wires[rng.IntN(len(wires))]
	if rng.IntN(2) == 0 {
		p.also = event.RawKinds()
	}
	if rng.IntN(3) == 0 {
		p.steady = speed(rng)
	}
	p.faults = 5 + rng.IntN(11)
	return p
}

// speed draws 20 to 2,000 events a second, each order of magnitude as often.
func speed(rng *rand.Rand) float64 { return 20 * math.Pow(100, rng.Float64()) }

func newCourse(t testing.TB, seed uint64, plan coursePlan) *course {
	n, err := recorded()
	if err != nil {
		t.Fatal(err)
	}
	return newCourseOn(t, n, seed, plan)
}

func newCourseOn(t testing.TB, n *network, seed uint64, plan coursePlan) *course {
	c := &course{
		rig:  newRig(t, "--maxmemory-policy", "noeviction", "--appendonly", "yes", "--appendfsync", "always"),
		seed: seed, rng: rand.New(rand.NewPCG(seed, 8)), relay: startRelay(t, n), plan: plan, fired: make(map[string]int),
	}
	c.also = c.plan.also
	for n, v := range c.plan.hosts {
		g := &gate{passage: startPassage(t)}
		g.now = newJetstream(t, v, filepath.Join(t.TempDir(), fmt.Sprintf("host-%d", n)), c.log)
		c.gates = append(c.gates, g)
	}
	c.note("seed %d: %+v", seed, c.plan)
	return c
}

func (c *course) note(format string, args ...any) {
	fmt.Fprintf(c.log, "-- %s %s\n", time.Now().UTC().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}

// start runs the ingest for all hosts.
func (c *course) start() {
	args := []string{"--wire", c.plan.wire, "--stall", "20s"} // longer than a doubt lasts: it ends while the network is quiet
	for _, g := range c.gates {
		args = append(args, "--host", g.url())
	}
	c.feeder = c.ingest(args...)
}

// run lets the seed's faults happen, lets all recover, and compares.
func (c *course) run() {
	ctx, stop := context.WithCancel(c.t.Context())
	defer stop()
	c.begin()
	var helpers sync.WaitGroup
	helpers.Go(func() { c.drain(ctx, courseWindow) })
	for n := range c.plan.faults {
		c.rng = rand.New(rand.NewPCG(c.seed, uint64(100+n))) // what one mishap draws changes no other
		c.relay.set(c.speed())
		if c.plan.calm > 0 {
			time.Sleep(c.plan.calm)
		} else {
			c.sleep(200, 2500)
		}
		c.mishap(n)
	}
	c.calm()
	t := c.newTally()
	c.arrived(t)
	c.feeder.stop()
	stop()
	helpers.Wait()
	c.drainAll(courseWindow)
	t.compare(c.rows(keyOf), c.gapsTold())
	if out, err := c.command("verify", "--against-redis").Output(); err != nil {
		c.t.Errorf("verify: %v\n%s", err, out)
	}
	c.report("seed", t.summary())
}

// courseWindow is the window of the drain beside a seed.
const courseWindow = 3 * time.Second

// speed returns how many events a second come until the next fault, fewer when
// the network has not many left.
func (c *course) speed() float64 {
	frames, _ := c.relay.sent()
	left := float64(len(c.relay.network.frames) - frames)
	s := c.plan.steady
	if s == 0 {
		s = speed(c.rng)
	}
	if left < 4000 {
		s = min(s, 50)
	}
	return s
}

// sleep waits for a time that the seed draws, in milliseconds.
func (c *course) sleep(least, most int) {
	time.Sleep(time.Duration(least+c.rng.IntN(most-least)) * time.Millisecond)
}

// begin starts everything and waits until the ingest has a position.
func (c *course) begin() {
	c.relay.set(200)
	for _, g := range c.gates {
		g.now.start(c.relay)
		g.lead(g.now.address)
	}
	c.start()
	c.until("the ingest has a position", 30*time.Second, func() bool { return c.metric("position_timestamp_seconds", "") > 0 })
	c.first, _ = c.relay.sent()
}

// calm ends all faults: everything stands, nothing is slow, and events come for
// a while, since neither wire proves anything in silence.
func (c *course) calm() {
	for _, g := range c.gates {
		g.narrow(0)
	}
	c.relay.set(50)
	time.Sleep(6 * time.Second)
	c.relay.set(0)
}

// arrived waits until as much is stored as must be, or nothing more comes: longer
// than a doubt lasts, unless a gap is told already.
func (c *course) arrived(t *tally) {
	last, since, patience := int64(-1), time.Now(), 15*time.Second
	if len(c.gapsTold()) > 0 {
		patience = 5 * time.Second
	}
	for time.Since(since) < patience {
		n := c.stored()
		if n >= int64(t.expected) && time.Since(since) > 2*time.Second {
			return
		}
		if n != last {
			last, since = n, time.Now()
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.note("nothing more comes: %d are stored, %d must be", last, t.expected)
}

// stored returns how many entries were ever added, or -1 while Redis is away.
func (r *rig) stored() (n int64) {
	client := r.redis.Client()
	defer func() { _ = client.Close() }()
	for _, kind := range r.kinds() {
		if info, err := client.XInfoStream(r.t.Context(), "bluesky:{"+kind.String()+"}").Result(); err == nil {
			n += info.EntriesAdded
		}
	}
	return n
}

func (c *course) until(what string, patience time.Duration, condition func() bool) {
	c.t.Helper()
	for began := time.Now(); time.Since(began) < patience; time.Sleep(10 * time.Millisecond) {
		if condition() {
			return
		}
	}
	c.t.Fatalf("it did not come to be that %s; the log: %s", what, c.log.Name())
}
