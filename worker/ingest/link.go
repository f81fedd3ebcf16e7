package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/zap"

	"datawriter/worker/event"
)

const (
	flushEvery = 100 * time.Millisecond // what arrives slowly waits no longer
	beatEvery  = time.Second            // the position is written although nothing came
	pingEvery  = 15 * time.Second
	pongWithin = 10 * time.Second
)

// link is one connection to a host, from its first message to its end.
type link struct {
	of     *Ingester
	conn   *websocket.Conn
	host   string
	wire   Wire
	asked  cursor
	number int64

	mu         sync.Mutex // of all below: the reader and the clock take turns
	batch      *batch
	settled    *settled
	continuity *continuity
	envelopes  event.Envelopes
	scratch    []byte
	newest     place     // of what came
	fresh      bool      // it brought something new
	lastEvent  time.Time // of any class, and what we waited ourselves
	lastCut    time.Time
	busySince  time.Time

	reading atomic.Bool // waiting for the next message, or getting it
	heard   atomic.Int64
}

// run moves events until the connection ends or ctx does, and returns why.
// Everything that came is on its way to Redis then.
func (l *link) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var helpers sync.WaitGroup
	helpers.Go(func() { cancel(l.clock(ctx)) })
	helpers.Go(func() { cancel(l.ping(ctx)) })
	err := l.read(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(err)
	helpers.Wait()
	l.mu.Lock()
	_ = l.cut(ctx) // what went wrong comes from the writer
	l.mu.Unlock()
	_ = l.conn.CloseNow()
	return err
}

// read receives messages until the connection ends.
func (l *link) read(ctx context.Context) error {
	var buffer []byte
	for {
		var err error
		l.reading.Store(true)
		buffer, err = receive(ctx, l.conn, buffer, l.of.opts.MaxMessage)
		l.reading.Store(false)
		l.heard.Add(1)
		switch {
		case errors.Is(err, errLong):
			l.of.metrics.received.WithLabelValues(classOversized).Inc()
			l.of.opts.Log.Warn("a message is longer than the limit and was dropped", zap.Int64("limit", l.of.opts.MaxMessage))
			continue
		case err != nil:
			return fmt.Errorf("read from %s: %w", l.host, err)
		}
		if err := l.message(ctx, buffer); err != nil {
			return err
		}
	}
}

// message takes one message in, and waits while Redis is slower than the source.
func (l *link) message(ctx context.Context, text []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of.metrics.bytes.Add(float64(len(text)))
	if err := l.take(text); err != nil {
		return err
	}
	if err := l.judge(); err != nil {
		return err
	}
	if !l.batch.full() {
		return nil
	}
	return l.flush(ctx)
}

// take reads a message and puts its event where it belongs.
func (l *link) take(text []byte) error {
	var e event.Envelope
	if l.wire == V2 {
		frame, ok := l.envelopes.ReadFrame(text)
		switch {
		case !ok:
			return l.unreadable(text)
		case frame.Fatal:
			return &serverError{frame.Name, frame.Message}
		case !frame.HasEvent:
			l.of.opts.Log.Info("notice of the server", zap.String("name", frame.Name), zap.String("message", frame.Message))
			return nil
		}
		e = frame.Event
	} else {
		var ok bool
		if e, ok = l.envelopes.Read(text); !ok {
			return l.unreadable(text)
		}
	}
	return l.sort(&e)
}

// unreadable counts a message that is no event. One that cannot be read must
// not stop those that can.
func (l *link) unreadable(text []byte) error {
	l.of.metrics.received.WithLabelValues(classUnreadable).Inc()
	l.of.opts.Log.Warn("a message is not readable and was dropped", zap.ByteString("begins", text[:min(len(text), 120)]))
	return nil
}

// sort puts an event into its lane, unless it was there before.
func (l *link) sort(e *event.Envelope) error {
	now := time.Now()
	l.lastEvent = now
	class, to := l.of.lane(e)
	l.of.metrics.received.WithLabelValues(class).Inc()
	if l.asked.seq > 0 && e.Cursor.Valid && e.Cursor.Value < l.asked.seq {
		return errRenumbered
	}
	known, added := false, false
	if to >= 0 {
		known, added = l.store(to, e)
	}
	if e.TimeUS.Valid {
		l.continuity.delivered(e.TimeUS.Value, known, now)
		l.received(place{e.TimeUS.Value, e.Cursor.Value}, now)
	}
	if added {
		l.fresh = true
		l.of.quiet.reset()
		l.of.metrics.lastEvent.Set(float64(now.UnixMilli()) / 1000)
		l.of.arrived(now.Sub(time.UnixMicro(e.TimeUS.Value)))
	}
	return nil
}

// received notes where an event stands in the source.
func (l *link) received(p place, now time.Time) {
	l.settled.received(p, now)
	// One of another century says nothing about the clock of its host.
	if p.us <= now.Add(l.of.opts.HostMargin).UnixMicro() {
		l.newest = l.newest.raised(p)
	}
}

// store adds an event that its lane has not been given. known says that it was
// given before this connection's doubt.
func (l *link) store(to int, e *event.Envelope) (known, added bool) {
	lane := l.of.lanes[to]
	var id identity
	id, l.scratch = identify(e, l.scratch)
	if connection, ok := lane.seen.has(id); ok {
		l.of.metrics.duplicates.WithLabelValues(lane.name).Inc()
		return lane.proves(connection) && connection < l.number, false
	}
	lane.seen.add(id, l.number)
	l.batch.add(to, e, id)
	return false, true
}

// judge ends a doubt that has lasted too long: there is a gap.
func (l *link) judge() error {
	now := time.Now()
	if !l.continuity.broken(now, l.of.opts.Grace) {
		return nil
	}
	if err := l.of.gap(l.continuity.gap(l.host, l.wire, now)); err != nil {
		return err // the doubt stays, and with it the position
	}
	l.continuity.doubt = false
	return nil
}

// flush hands the batch to Redis, and then keeps to the speed that its memory
// allows. It blocks the reader, and with it the server, which keeps the events.
func (l *link) flush(ctx context.Context) error {
	began := time.Now()
	if err := l.cut(ctx); err != nil {
		return err
	}
	if l.of.pressure.Share() == 0 {
		return errFull
	}
	l.of.pressure.Breathe(ctx, l.busySince)
	now := time.Now()
	l.lastEvent = l.lastEvent.Add(now.Sub(began)) // a wait of ours is no silence of the server's
	l.busySince = now
	return nil
}

// cut closes the batch and hands it on; it blocks while the batch before is
// being written.
func (l *link) cut(ctx context.Context) error {
	l.lastCut = time.Now()
	p := l.settled.place()
	to := position{TimeUS: p.us, Seq: p.seq, Host: l.host, Wire: l.wire}
	for _, lane := range l.of.lanes {
		lane.at.Connection = l.number
		if l.continuity.doubt && lane.at.Doubt == 0 {
			lane.at.Doubt = l.number
		}
		if !l.continuity.doubt {
			lane.at.Doubt = 0
			lane.at = lane.at.raised(to)
		}
	}
	full := l.batch
	next, err := l.of.commit(ctx, full, l.number)
	if err == nil {
		l.batch = next
	}
	return err
}

// clock flushes what came slowly, writes the position when nothing came, and
// notices silence.
func (l *link) clock(ctx context.Context) error { return every(ctx, flushEvery, l.tick) }

// every calls do again and again until it fails or ctx ends.
func every(ctx context.Context, interval time.Duration, do func(context.Context) error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := do(ctx); err != nil {
				return err
			}
		}
	}
}

func (l *link) tick(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.judge(); err != nil {
		return err
	}
	if silent := time.Since(l.lastEvent); silent > l.of.quiet.limit() {
		return fmt.Errorf("%w for %s", errSilent, silent.Round(time.Second))
	}
	if l.batch.events == 0 && time.Since(l.lastCut) < beatEvery {
		return nil
	}
	return l.flush(ctx)
}

// ping finds out that the other side is gone although the connection stands.
func (l *link) ping(ctx context.Context) error { return every(ctx, pingEvery, l.pong) }

func (l *link) pong(ctx context.Context) error {
	heard, reading := l.heard.Load(), l.reading.Load()
	limited, cancel := context.WithTimeout(ctx, pongWithin)
	defer cancel()
	err := l.conn.Ping(limited)
	// A pong is only seen by a reader: it proves nothing while we do not read.
	if err != nil && ctx.Err() == nil && reading && l.reading.Load() && l.heard.Load() == heard {
		return fmt.Errorf("%w: %w", errNoPong, err)
	}
	return nil
}
