package ingest_test

import (
	"fmt"
	"slices"
	"syscall"
	"time"
)

// mishap is something that goes wrong in a seed, and is over when do returns.
type mishap struct {
	name   string
	weight int
	do     func(c *course)
}

var mishaps = []mishap{
	{"kill -9 of the ingest", 5, (*course).killIngest},
	{"kill -9 of a server", 5, (*course).killServer},
	{"kill -9 of redis", 2, (*course).killRedis},
	{"kill -9 of both", 2, (*course).killBoth},
	{"a pause of the ingest", 2, (*course).pauseIngest},
	{"a pause of a server", 2, (*course).pauseServer},
	{"a pause of redis", 1, (*course).pauseRedis},
	{"cut connections", 3, (*course).cutAll},
	{"slow reading", 2, (*course).slowReading},
	{"another host", 3, (*course).changeHost},
	{"imported times", 2, (*course).importTimes},
	{"an upgrade in place", 2, (*course).upgrade},
	{"a server begins with an empty store", 1, (*course).emptyStore},
}

// mishap lets the next one happen: that of the plan, or one that is drawn.
func (c *course) mishap(n int) {
	m := c.drawn()
	if only := c.plan.only; len(only) > 0 {
		m = mishaps[slices.IndexFunc(mishaps, func(m mishap) bool { return m.name == only[n%len(only)] })]
	}
	began := time.Now()
	c.note("begins: %s", m.name)
	m.do(c)
	c.fired[m.name]++
	frames, events := c.relay.sent()
	c.note("over: %s, %.1f s, %d frames and %d events sent so far", m.name, time.Since(began).Seconds(), frames, events)
}

func (c *course) drawn() mishap {
	var weighted []mishap
	for _, m := range mishaps {
		weighted = append(weighted, slices.Repeat([]mishap{m}, m.weight)...)
	}
	return weighted[c.rng.IntN(len(weighted))]
}

// gate draws a host.
func (c *course) gate() *gate { return c.gates[c.rng.IntN(len(c.gates))] }

func (c *course) killIngest() {
	select {
	case <-c.feeder.done:
		c.t.Errorf("the ingest had ended by itself: %v; the log: %s", c.feeder.ProcessState, c.log.Name())
	default:
	}
	c.feeder.kill()
	c.sleep(10, 2000)
	c.start()
}

func (c *course) killServer() {
	g := c.gate()
	g.now.kill()
	c.sleep(10, 2000)
	c.revive(g)
}

// revive starts the server of a gate again, over what it has stored.
func (c *course) revive(g *gate) {
	g.now.start(c.relay)
	g.lead(g.now.address)
}

func (c *course) killRedis() {
	c.redis.Kill()
	c.sleep(10, 1000)
	c.redis.Restart()
}

func (c *course) killBoth() {
	g := c.gate()
	if c.rng.IntN(2) == 0 {
		c.feeder.kill()
		g.now.kill()
	} else {
		g.now.kill()
		c.feeder.kill()
	}
	c.sleep(10, 1500)
	c.revive(g)
	c.start()
}

func (c *course) pauseIngest() {
	_ = c.feeder.Process.Signal(syscall.SIGSTOP)
	c.sleep(500, 7000) // a server hangs up after five seconds
	_ = c.feeder.Process.Signal(syscall.SIGCONT)
}

func (c *course) pauseServer() {
	g := c.gate()
	g.now.signal(syscall.SIGSTOP)
	c.sleep(200, 3000)
	g.now.signal(syscall.SIGCONT)
}

func (c *course) pauseRedis() {
	c.redis.Signal(syscall.SIGSTOP)
	c.sleep(200, 2000)
	c.redis.Signal(syscall.SIGCONT)
}

func (c *course) cutAll() {
	for range 1 + c.rng.IntN(3) {
		for _, g := range c.gates {
			g.cut()
		}
		c.sleep(50, 1500)
	}
}

func (c *course) slowReading() {
	g := c.gate()
	g.narrow(10_000 + c.rng.IntN(100_000))
	c.sleep(1000, 6000)
	g.narrow(0)
}

// changeHost turns the ingest away where it is, for a while.
func (c *course) changeHost() {
	for _, g := range c.gates {
		if now, _ := g.live(); now > 0 {
			g.lead("")
			c.sleep(500, 3000)
			g.lead(g.now.address)
			return
		}
	}
	c.cutAll()
}

// importTimes gives records, some that are there and some to come, times of years
// ago. A legacy host cannot.
func (c *course) importTimes() {
	for _, g := range c.gates {
		if g.now.version == legacy {
			continue
		}
		if err := g.now.backdate(c.t.Context(), c.uris(), time.Date(2019+c.rng.IntN(6), 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
			c.note("no times are imported: %v", err)
		}
	}
	c.sleep(100, 1000)
}

// uris draws records of the last frames and of those that come next.
func (c *course) uris() (uris []string) {
	sent, _ := c.relay.sent()
	share := 0.02 + 0.4*c.rng.Float64()
	frames := c.relay.network.frames
	for _, f := range frames[max(0, sent-500):min(len(frames), sent+3000)] {
		for _, e := range f.events {
			if e.uri != "" && c.rng.Float64() < share {
				uris = append(uris, e.uri)
			}
		}
	}
	return uris
}

// upgrade replaces a legacy server by the newer one at the same address. That
// one begins with what the relay still has.
func (c *course) upgrade() {
	for _, g := range c.gates {
		if g.now.version == legacy {
			c.replace(g, current)
			return
		}
	}
	c.killServer()
}

// emptyStore lets a server lose all it has, at a moment when the relay has
// forgotten it too. Every other time the ingest has not read it all.
func (c *course) emptyStore() {
	g := c.gate()
	if c.rng.IntN(2) == 0 {
		c.feeder.kill()
		c.sleep(100, 3000)
		c.relay.forget(0)
		c.replace(g, g.now.version)
		c.start()
		return
	}
	c.relay.forget(c.rng.IntN(200))
	c.replace(g, g.now.version)
}

// replace ends a server for good and starts another with an empty store.
func (c *course) replace(g *gate, v version) {
	g.now.kill()
	g.before = append(g.before, g.now)
	c.sleep(10, 1500)
	g.now = newJetstream(c.t, v, fmt.Sprintf("%s-%d", g.before[0].folder, len(g.before)), c.log)
	c.revive(g)
}
