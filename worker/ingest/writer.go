package ingest

import (
	"context"
	"math"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/stream"
)

// writer sends one batch at a time to Redis, while the next is being filled:
// two batches are all that is ever in memory.
type writer struct {
	g       *Ingester
	free    *batch
	done    chan error // of the batch under way; nil when there is none
	intakes []*stream.Intake
}

func newWriter(g *Ingester) *writer {
	w := &writer{g: g, free: newBatch(len(g.lanes))}
	for _, l := range g.lanes {
		w.intakes = append(w.intakes, l.intake)
	}
	return w
}

// wait blocks until nothing is under way, and returns what went wrong.
func (w *writer) wait() error {
	if w.done == nil {
		return nil
	}
	err := <-w.done
	w.done = nil
	return err
}

// writeTime bounds one batch; a server that needs longer is as good as away.
const writeTime = 20 * time.Second

// commit hands a batch to the writer, when the one before is done, and returns
// an empty one. After an error the lanes must be taken again.
func (g *Ingester) commit(ctx context.Context, b *batch, connection int64) (*batch, error) {
	w := g.writer
	if err := w.wait(); err != nil {
		w.done = make(chan error, 1)
		w.done <- err // for connect
		return nil, err
	}
	low := earliest(g.lanes)
	// Remembered until its time has passed, an event of another century would
	// hold on to all behind it.
	latest := time.Now().Add(g.opts.HostMargin).UnixMicro()
	steps, early := b.steps(g.lanes, connection, low.TimeUS-g.opts.Keep.Microseconds(), latest, g.opts.Least, g.opts.Remember)
	g.forgot(early)
	g.metrics.seen.Set(float64(g.remembered()))
	next := w.free
	next.reset()
	w.free = b
	done := make(chan error, 1)
	w.done = done
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	go func() {
		defer cancel()
		done <- w.write(limited, b, steps, low)
	}()
	return next, nil
}

func (w *writer) write(ctx context.Context, b *batch, steps []stream.IntakeBatch, low position) error {
	g := w.g
	began := time.Now()
	if err := g.client.Feed(ctx, g.owner(), w.intakes, steps); err != nil {
		return err
	}
	g.metrics.feed.Observe(time.Since(began).Seconds())
	for i, l := range g.lanes {
		g.metrics.added.WithLabelValues(l.name).Add(float64(len(b.parts[i].events)))
	}
	g.metrics.position.Set(float64(low.TimeUS) / 1e6)
	return nil
}

// forgot counts events that had to be forgotten too early, and says so once a
// minute.
func (g *Ingester) forgot(events int) {
	if events == 0 {
		return
	}
	g.metrics.forgotten.Add(float64(events))
	if now := time.Now(); now.Sub(g.warned) > time.Minute {
		g.warned = now
		g.opts.Log.Error("more events would have to be remembered than there may be: should the oldest come again, they are stored again",
			zap.Int("most", g.opts.Remember), zap.Time("position", earliest(g.lanes).time()))
	}
}

// memory hears of every look at Redis's memory.
func (g *Ingester) memory(before, after, used float64) {
	g.metrics.memory.Set(used)
	share := zap.Float64("memory_share", math.Round(used*1000)/1000)
	switch {
	case before > 0 && after == 0:
		g.opts.Log.Warn("redis is nearly full: the source keeps the events until it is drained", share)
	case before == 0 && after > 0:
		g.opts.Log.Info("redis has room again", share)
	case before == 1 && after < 1:
		g.opts.Log.Warn("redis is filling up, slowing down", share)
	}
}

// arrived notes how old an event was that was new.
func (g *Ingester) arrived(age time.Duration) {
	g.metrics.lag.Set(age.Seconds())
	state := Live
	switch {
	case g.pressure.Share() < 1:
		state = Slowed
	case age > catchingUp:
		state = CatchingUp
	}
	if state != g.state {
		g.enter(state)
	}
}

// enter changes the state, and says so.
func (g *Ingester) enter(s State) {
	if s == g.state {
		return
	}
	g.opts.Log.Info("state", zap.String("is", string(s)), zap.String("was", string(g.state)))
	g.state = s
	g.metrics.enter(s)
}

// enterFor changes the state and says why.
func (g *Ingester) enterFor(s State, why error) {
	if s != g.state {
		g.opts.Log.Warn("waiting for redis", zap.Error(why))
	}
	g.enter(s)
}

// pause sleeps until d has passed or ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
