package ingest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// Ingester feeds the streams from Jetstream.
type Ingester struct {
	client   *stream.Client
	opts     Options
	lanes    []*lane
	laneOf   map[string]*lane // by collection or class
	metrics  *metrics
	registry *prometheus.Registry
	pressure *stream.Pressure
	quiet    *quiet
	hosts    *hosts

	process string    // random: this process, among those that feed
	session int       // how often it has taken the lanes
	began   time.Time // the first connection without a position; zero before
	synced  bool      // the lanes are what Redis holds
	wide    bool      // the next link begins as early as anything is remembered
	warned  time.Time // that too much would have to be remembered
	state   State
	writer  *writer
}

// New returns an ingester. Errors are ErrUsage.
func New(client *stream.Client, o Options) (*Ingester, error) {
	o, err := o.completed()
	if err != nil {
		return nil, err
	}
	g := &Ingester{client: client, opts: o, registry: prometheus.NewRegistry(), process: rand.Text()}
	g.lanes, g.laneOf = o.lanes(client)
	g.metrics = newMetrics(g.registry)
	g.quiet = &quiet{least: o.Stall}
	g.hosts = newHosts(o.Hosts, o.Wire)
	g.pressure = stream.NewPressure(client, g.memory)
	gaps, err := ReadGaps(o.StateDir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	g.metrics.prepare(g.lanes, o.Hosts, gaps)
	return g, nil
}

// Registry holds the metrics.
func (g *Ingester) Registry() *prometheus.Registry { return g.registry }

// Run feeds the streams until ctx ends; then what has come is written and the
// streams are left to others. Redis or every host being away is waited for. The
// only error beside the cause of ctx's end is stream.ErrMisconfigured, or one
// about what Redis holds.
func (g *Ingester) Run(ctx context.Context) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	g.writer = newWriter(g)
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = g.opts.FirstPause, 30*time.Second
	if err := g.pressure.Look(ctx); err != nil {
		return err
	}
	watched := make(chan struct{})
	go func() { defer close(watched); g.pressure.Watch(watching) }()
	defer func() { <-watched }()
	defer stop()
	for ctx.Err() == nil {
		if err := g.ready(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			break
		}
		if g.connect(ctx) {
			pauses.Reset()
			continue
		}
		pause(ctx, pauses.NextBackOff())
	}
	g.leave(context.WithoutCancel(ctx))
	return context.Cause(ctx)
}

// ready waits until Redis can be written and the lanes are ours.
func (g *Ingester) ready(ctx context.Context) error {
	paused := false
	for ctx.Err() == nil {
		// Once stopped, some room must be gained: at the edge it would be on and off.
		if share := g.pressure.Share(); share == 0 || paused && share < resumeAt {
			paused = true
			g.enter(Paused)
			pause(ctx, g.opts.Redis)
			continue
		}
		if g.synced {
			return nil
		}
		err := g.takeAll(ctx)
		switch {
		case err == nil:
			g.synced = true
			g.opts.Log.Info("the streams are ours", zap.Time("position", earliest(g.lanes).time()), zap.Int("remembered", g.remembered()))
			return nil
		case errors.Is(err, stream.ErrFed):
			g.enter(StandingBy)
		case errors.Is(err, stream.ErrUnavailable), errors.Is(err, stream.ErrRefused):
			g.enterFor(NoRedis, err)
		case ctx.Err() != nil:
			return nil //nolint:nilerr // a stop cuts off whatever was under way
		default:
			return err
		}
		pause(ctx, g.opts.Redis)
	}
	return nil
}

// resumeAt is the allowed speed from which a stopped ingest goes on.
const resumeAt = 0.5

// takeAll takes every lane, in a session of its own, so that no batch that is
// still under way from before can count.
func (g *Ingester) takeAll(ctx context.Context) error {
	g.session++
	for _, l := range g.lanes {
		if err := l.take(ctx, g.owner(), g.opts.Standby); err != nil {
			return err
		}
	}
	return nil
}

func (g *Ingester) owner() string { return fmt.Sprintf("%s:%d", g.process, g.session) }

func (g *Ingester) leave(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for _, l := range g.lanes {
		if l.intake.Leave(limited, g.owner()) != nil {
			return // it expires by itself
		}
	}
}

// connect makes one link and stays with it to its end. It reports whether the
// next may follow at once.
func (g *Ingester) connect(ctx context.Context) bool {
	low := earliest(g.lanes)
	a := g.hosts.next()
	a.wide = g.wide
	asked := g.fromStart
	if !low.none() {
		asked = func() cursor { return g.opts.from(low, a, since(g.lanes)) }
	}
	g.enter(Connecting)
	l := g.newLink(a, low, asked())
	err := l.run(ctx)
	g.wide = g.wide && l.continuity.doubt
	if failed := g.writer.wait(); failed != nil {
		g.synced = false
		err = failed
	}
	return g.ended(ctx, l, err)
}

// since returns from when on the events of all lanes are remembered, in
// microseconds.
func since(lanes []*lane) (us int64) {
	for _, l := range lanes {
		if !l.at.none() && l.seen.len() > 0 {
			us = max(us, l.seen.since())
		}
	}
	return us
}

// wider reports whether a link that has shown nothing known should be tried
// again from as early as anything is remembered: another host's clock may be
// another, or have been late when it took its events in.
func (g *Ingester) wider(l *link) bool {
	if g.wide || l.asked.us == 0 || l.continuity.same || l.continuity.beginsSeq > 1 {
		return false
	}
	g.wide = since(g.lanes) < l.low.TimeUS-2*g.opts.HostMargin.Microseconds()
	return g.wide
}

// fromStart is where an ingest begins that has no position: with what happens
// now, and if nothing came before the first connection ended, still with what
// happened since then.
func (g *Ingester) fromStart() cursor {
	if g.began.IsZero() {
		return cursor{}
	}
	return timeCursor(g.began.Add(-g.opts.HostMargin).UnixMicro())
}

// ended notes why a link is over and what the next one does. It reports whether
// that may follow at once.
func (g *Ingester) ended(ctx context.Context, l *link, err error) bool {
	why := reasonOf(err)
	if ctx.Err() != nil {
		why = "stopped"
	}
	g.metrics.ends.WithLabelValues(string(why)).Inc()
	if why != "stopped" {
		g.opts.Log.Warn("the connection is over", zap.String("host", l.host), zap.String("reason", string(why)), zap.Error(err))
	}
	switch why {
	case "memory", "stopped", "crossing":
		return true
	case "unproven":
		if l.asked.seq > 0 {
			g.hosts.goDeep()
		}
		return true
	case "too_old":
		g.tooOld(err)
		return true
	case "numbers":
		g.hosts.setNumbers(true)
		return true
	case "renumbered":
		g.hosts.setNumbers(l.wire == V1 && !l.legacy && l.newest.seq > 0)
		g.renumbered()
		return true
	case "no_wire":
		return g.hosts.otherWire(l.asking)
	case "redis":
		g.enterFor(NoRedis, err)
		return false
	case "silent":
		if !l.fresh {
			g.quiet.double()
		}
		g.hosts.rotate()
		return true
	}
	if !l.fresh {
		if l.asked.seq > 0 {
			g.hosts.goNear()
		}
		g.hosts.rotate()
	}
	return l.fresh
}

// tooOld makes the next link begin with the first number that the host still has.
func (g *Ingester) tooOld(err error) {
	var refused *tooOld
	if errors.As(err, &refused) && refused.floor > 0 {
		g.hosts.useFloor(refused.floor)
		return
	}
	g.hosts.useTime()
}

// renumbered forgets which host the positions belong to: its numbers are others
// now.
func (g *Ingester) renumbered() {
	for _, l := range g.lanes {
		l.at.Host, l.at.Seq, l.at.Marks = "", 0, ""
	}
}

// lane returns the class of an event, and the index of the lane that it belongs
// to, or -1.
func (g *Ingester) lane(e *event.Envelope) (class string, index int) {
	class = classOf(e.Class)
	key := class
	if len(e.Collection) > 0 {
		key = string(e.Collection)
	}
	to := g.laneOf[key]
	for i, l := range g.lanes {
		if l == to {
			return class, i
		}
	}
	if class == classCommit {
		class = "other_collection"
	}
	return class, -1
}

// gap records a gap before anything moves past it.
func (g *Ingester) gap(gap Gap) error {
	g.opts.Log.Error("gap: the server no longer had what came after our position",
		zap.Time("after", gap.After), zap.Time("until", gap.Until), zap.Float64("seconds", gap.Seconds()), zap.String("host", gap.Host))
	if err := recordGap(g.opts.StateDir, gap); err != nil {
		return err
	}
	g.metrics.gap(gap)
	return nil
}

func (g *Ingester) remembered() (n int) {
	for _, l := range g.lanes {
		n += l.seen.len()
	}
	return n
}
