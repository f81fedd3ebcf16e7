package simulate

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"datawriter/worker/stream"
)

// grace is how long a pipeline under way may take after ctx has ended.
const grace = 3 * time.Second

// Run sends entries until the options' count, duration or replay is exhausted
// or ctx ends, and returns what it did, also beside an error. It makes the
// entries of one seed in the same order each time; with explicit IDs it can be
// repeated after a failure, and adds what is missing.
//
// An entry is never knowingly added twice. With explicit IDs it is not added
// twice at all; live, a reply lost with its connection leaves entries of which
// nobody knows, and they are sent again (Result.Uncertain counts them).
//
// Errors are ErrUsage, ErrClosed, stream.ErrMisconfigured, the class of the
// last failure when Options.GiveUp is over, or the cause of ctx's end.
func Run(ctx context.Context, client *stream.Client, o Options) (Result, error) {
	o, err := o.completed()
	if err != nil {
		return Result{}, err
	}
	t := newTally(&o)
	p := newPressure(client, o.Log)
	if err := p.Look(ctx); err != nil {
		return t.now(), err
	}
	warnOfFuture(ctx, client, &o)
	if o.IgnoreMemory {
		p = newPressure(client, o.Log) // full speed, and nobody watches it
	}
	f, err := newFeed(&o, p, t)
	if err != nil {
		return t.now(), err
	}
	background, stop := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	if !o.IgnoreMemory {
		watchers.Go(func() { p.Watch(background) })
	}
	watchers.Go(func() { report(background, &o, t, p) })
	t.start()
	err = pump(ctx, client, &o, f, t)
	stop()
	watchers.Wait()
	return t.now(), err
}

// warnOfFuture says what explicit IDs ahead of Redis's clock do: the entries of
// other producers queue up behind them, in a window that is not theirs.
func warnOfFuture(ctx context.Context, client *stream.Client, o *Options) {
	if !o.explicit() {
		return
	}
	if now, err := client.Now(ctx); err == nil && now.Before(o.Window.End()) {
		o.Log.Warn("the window is not over yet: until it is, live entries get IDs at its end", zap.Stringer("window", o.Window))
	}
}

// newFeed wires what makes the entries.
func newFeed(o *Options, p *stream.Pressure, t *tally) (*feeder, error) {
	total := o.Count
	if o.explicit() && total == 0 { // so there is a replay that can be counted
		var err error
		if total, err = countLines(o.Replay.(io.ReadSeeker)); err != nil {
			return nil, err
		}
	}
	m, err := newMaker(o, t)
	if err != nil {
		return nil, err
	}
	f := newFeeder(o, m, p, t)
	if o.explicit() {
		f.spread = newSpread(o.Window, total)
	}
	return f, nil
}

func newMaker(o *Options, t *tally) (maker, error) {
	if o.Replay != nil {
		return newReplayed(o.Replay, t), nil
	}
	g, err := NewGenerator(o.Traits)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return generated{g}, nil
}

// pump runs the feeder and the senders to their end.
func pump(ctx context.Context, client *stream.Client, o *Options, f *feeder, t *tally) error {
	group, failing := errgroup.WithContext(ctx)
	hard, release := cutAfter(ctx, grace)
	defer release()
	group.Go(func() error { return f.run(failing) })
	for range o.Senders {
		s := &sender{client: client, tally: t, log: o.Log, giveUp: o.GiveUp, explicit: o.explicit()}
		group.Go(func() error { return s.run(failing, hard, f.out, f.free) })
	}
	err := group.Wait()
	for b := range f.out { // left behind when every sender has failed
		t.note(func(r *Result) { r.Unsent += int64(len(b.additions)) })
	}
	if err == nil && ctx.Err() != nil && (f.left > 0 || t.now().Unsent > 0) {
		err = context.Cause(ctx)
	}
	return err
}

// cutAfter returns a context that ends only when ctx has ended grace ago.
func cutAfter(ctx context.Context, grace time.Duration) (context.Context, func()) {
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	release := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cut) })
	return hard, func() { release(); cut() }
}
