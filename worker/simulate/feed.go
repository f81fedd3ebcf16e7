package simulate

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// maker appends the next entry to a batch; us is the moment that it stands for,
// in microseconds. It returns io.EOF when there are no more.
type maker interface {
	make(b *batch, us int64) error
}

// generated makes entries up.
type generated struct{ *Generator }

func (m generated) make(b *batch, us int64) error {
	kind := m.Kind()
	arena, fields, reason := m.Entry(b.arena, kind, us)
	b.arena = arena
	b.add(kind, event.ID{}, fields, reason)
	return nil
}

// feeder fills batches at the right pace and hands them to the senders.
type feeder struct {
	opts     *Options
	maker    maker
	spread   *spread // nil lets Redis choose the IDs
	pace     *pace   // nil is as fast as possible
	pressure *stream.Pressure
	tally    *tally
	free     chan *batch // empty batches
	out      chan *batch // full ones

	left     int64 // entries that may still be made
	sequence [len(recipes)]int64
	released time.Time
	end      time.Time
}

func newFeeder(o *Options, m maker, p *stream.Pressure, t *tally) *feeder {
	f := &feeder{opts: o, maker: m, pressure: p, tally: t, left: o.Count, released: time.Now()}
	if f.left == 0 {
		f.left = math.MaxInt64
	}
	if o.Rate > 0 {
		f.pace = newPace(o.Rate, o.Duration)
	}
	if o.Duration > 0 {
		f.end = f.released.Add(o.Duration)
	}
	f.out = make(chan *batch, o.Senders)
	f.free = make(chan *batch, 2*o.Senders+1)
	for range cap(f.free) {
		f.free <- new(batch)
	}
	return f
}

// run makes batches until there is nothing more to make or ctx ends, and closes
// out behind the last one.
func (f *feeder) run(ctx context.Context) error {
	defer close(f.out)
	for f.left > 0 {
		n := f.turn(ctx)
		if n == 0 {
			return nil
		}
		for n > 0 { // more than one batch when the events are large
			made, err := f.batch(ctx, n)
			if errors.Is(err, io.EOF) || err == nil && made == 0 {
				return nil
			}
			if err != nil {
				return err
			}
			n -= made
		}
	}
	return nil
}

// turn blocks until entries may be made and returns how many: 0 at the end.
func (f *feeder) turn(ctx context.Context) int64 {
	most := min(f.left, maxBatch)
	if f.pace != nil {
		n, forgone := f.pace.wait(ctx, f.pressure.Share, most)
		if forgone > 0 {
			f.tally.note(func(r *Result) { r.Forgone += forgone })
		}
		return n
	}
	f.pressure.Breathe(ctx, f.released)
	f.released = time.Now()
	if ctx.Err() != nil || !f.end.IsZero() && f.released.After(f.end) {
		return 0
	}
	return most
}

// batch makes at most n entries and hands them on; made is 0 when ctx ended.
func (f *feeder) batch(ctx context.Context, n int64) (made int64, err error) {
	var b *batch
	select {
	case b = <-f.free:
	case <-ctx.Done():
		return 0, nil
	}
	b.reset()
	for made < n && !b.full() && err == nil {
		if err = f.entry(b); err == nil {
			made++
		}
	}
	f.left -= made
	select {
	case f.out <- b:
	case <-ctx.Done():
		f.tally.note(func(r *Result) { r.Unsent += made })
		made = 0
	}
	return made, err
}

// entry makes one entry.
func (f *feeder) entry(b *batch) error {
	var us int64
	if f.spread != nil {
		us = f.spread.next()
	} else {
		us = time.Now().UnixMicro()
	}
	if err := f.maker.make(b, us); err != nil {
		return err
	}
	made := &b.additions[len(b.additions)-1]
	if f.spread != nil {
		made.ID = f.spread.id(made.Kind, us)
	}
	if f.opts.Sequence {
		f.sequence[made.Kind]++
		b.number(f.sequence[made.Kind])
	}
	return nil
}
