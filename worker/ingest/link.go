package ingest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/event"
)

const (
	flushEvery = 100 * time.Millisecond // what arrives slowly waits no longer
	beatEvery  = time.Second            // the position is written although nothing came
	pingEvery  = 15 * time.Second
	pongWithin = 10 * time.Second
)

// place is a time and a number of the source.
type place struct{ us, seq int64 }

// link is the time that an ingest spends with one host: one subscription, or
// with a legacy server those that a crossing needs.
type link struct {
	of *Ingester
	asking
	asked  cursor
	low    position
	legacy bool // the host is taken for a server that does not number its events
	number int64
	began  time.Time

	mu         sync.Mutex // of all below: readers and the clock take turns
	batch      *batch
	continuity *continuity
	numbering  numbering
	crossing   crossing
	newest     place     // of a host that numbers: its last number, and the latest time up to there
	fresh      bool      // it brought something new
	lastEvent  time.Time // of any class, and what we waited ourselves
	lastCut    time.Time
	busySince  time.Time
}

func (g *Ingester) newLink(a asking, low position, asked cursor) *link {
	now := time.Now()
	l := &link{
		of: g, asking: a, asked: asked, low: low, number: low.Connection + 1, began: now,
		legacy: a.wire == V1 && !a.numbers && !low.numbered(a.host),
		batch:  newBatch(len(g.lanes)), continuity: newContinuity(low, a.host, a.wire, asked),
		lastEvent: now, lastCut: now, busySince: now,
	}
	if low.numbered(a.host) && asked.seq > 0 && !asked.skips {
		l.numbering = newNumbering(low.Marks)
		l.continuity.marked = len(l.numbering.expected) > 0
	}
	return l
}

// beganNear reports whether the link began so near its position that its host may have
// given numbers again from before that.
func (l *link) beganNear() bool {
	return l.asked.seq > l.low.Seq-seqMargin && l.asked.seq > 1 && !l.asked.skips
}

// run moves events until the connection ends or ctx does, and returns why.
// Everything that came is on its way to Redis then.
func (l *link) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var clock sync.WaitGroup
	clock.Go(func() { cancel(l.clock(ctx)) })
	err := l.events(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(err)
	clock.Wait()
	l.mu.Lock()
	_ = l.cut(ctx) // what went wrong comes from the writer
	l.mu.Unlock()
	return err
}

// events reads what the host sends.
func (l *link) events(ctx context.Context) error {
	if l.legacy && l.asked.text != "" {
		return l.cross(ctx)
	}
	l.crossing.joined = true
	s, err := l.subscribe(ctx, whole, l.asked)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// unreadable counts a message that is no event.
func (l *link) unreadable(text []byte) {
	l.of.metrics.class[classUnreadable].Inc()
	l.of.opts.Log.Warn("a message is not readable and was dropped", zap.ByteString("begins", text[:min(len(text), 120)]))
}

// notice hears what the server says about the stream.
func (l *link) notice(name, message string) {
	l.of.opts.Log.Info("notice of the server", zap.String("name", name), zap.String("message", message))
	if name == "OutdatedCursor" {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.continuity.begins(numberBehind(message, "seq "))
	}
}

// take puts an event into its lane, unless it was there before, and notes what it
// says about the connection.
func (l *link) take(s *subscription, e *event.Envelope) error {
	now := time.Now()
	l.lastEvent = now
	class, to := l.of.lane(e)
	l.of.metrics.class[class].Inc()
	if err := l.expected(s, e); err != nil {
		return err
	}
	// One of another century says nothing about the clock of its host, and what was
	// not asked for nothing about what was.
	believed := e.TimeUS.Valid && to >= 0 && e.TimeUS.Value <= now.Add(l.of.opts.HostMargin).UnixMicro()
	if s.stretch == live && believed {
		if err := l.crossing.live(e.TimeUS.Value, now, max(l.low.TimeUS, l.asked.us)); err != nil {
			return err
		}
	}
	var id identity
	proves, known := false, false
	if to >= 0 {
		id = s.identify.of(e)
		proves, known = l.store(s, to, e, id, now)
	}
	if err := l.judge(s, e, id, to >= 0, proves, known, believed, now); err != nil {
		return err
	}
	if s.stretch == replay && believed {
		return l.crossing.replay(e.TimeUS.Value, s.since, l.of.opts.Join)
	}
	return nil
}

// expected reports what kind of server the event is from, where it is another
// than the connection was made for.
func (l *link) expected(s *subscription, e *event.Envelope) error {
	switch {
	case l.wire == V2:
	case e.Cursor.Valid && s.stretch != whole:
		return errNumbers
	case e.Cursor.Valid:
		l.legacy = false
	case !l.legacy && e.TimeUS.Valid:
		return errRenumbered
	}
	if s.asked.seq > 0 && e.Cursor.Valid && e.Cursor.Value < s.asked.seq {
		return errRenumbered
	}
	return nil
}

// store adds an event that its lane has not been given. It reports whether the
// lane was given it before this connection's doubt, and whether at all.
func (l *link) store(s *subscription, to int, e *event.Envelope, id identity, now time.Time) (proves, known bool) {
	lane := l.of.lanes[to]
	var connection int64
	connection, known = lane.seen.has(id)
	early := s.early(e.TimeUS.Value, !l.legacy)
	switch {
	case known && s.stretch != live && connection == l.number+1: // live first, and replayed now
		lane.seen.add(id, l.number)
		lane.duplicates.Inc()
		return false, true
	case known:
		lane.duplicates.Inc()
		s.remembered()
		return connection < l.number && (lane.proves(connection) || l.behind(e.TimeUS.Value)), true
	case early:
		lane.duplicates.Inc()
		return false, false
	}
	number := l.number
	if s.stretch == live {
		number++
	}
	lane.seen.add(id, number)
	l.batch.add(to, e, id)
	l.fresh = true
	l.of.quiet.reset()
	l.of.metrics.lastEvent.Set(float64(now.UnixMilli()) / 1000)
	l.of.arrived(now.Sub(time.UnixMicro(e.TimeUS.Value)))
	return false, false
}

// behind reports whether a known event is older than the position by more than the
// clocks of hosts differ: whichever connection stored it, no hole is before it.
func (l *link) behind(us int64) bool {
	return us >= l.asked.us && us <= l.low.TimeUS-overlap.Microseconds()
}

// judge notes what an event says about continuity and numbers.
func (l *link) judge(s *subscription, e *event.Envelope, id identity, ours, proves, known, believed bool, now time.Time) error {
	if !e.TimeUS.Valid {
		return nil
	}
	p := place{e.TimeUS.Value, e.Cursor.Value}
	if ours && s.stretch != live && (s.reached || proves) {
		l.continuity.delivered(p, proves, known, now)
	}
	if ours && !l.legacy {
		if err := l.numbered(p, id, now); err != nil {
			return err
		}
	}
	switch {
	case l.legacy && s.stretch == whole && believed:
		l.crossing.newest = max(l.crossing.newest, p.us)
	case !l.legacy:
		l.newest.seq = max(l.newest.seq, p.seq)
		if believed {
			l.newest.us = max(l.newest.us, p.us)
		}
	}
	return l.settle(now)
}

// numbered compares the number of an event with those of before.
func (l *link) numbered(p place, id identity, now time.Time) error {
	verdict := l.numbering.delivered(p.seq, id)
	if l.numbering.shown {
		l.continuity.numbersShown()
	}
	switch verdict {
	case unknown:
		if l.beganNear() {
			return errUnproven
		}
		return errRenumbered
	case wentBack:
		l.of.opts.Log.Warn("the host gives numbers again that it had given before: it was killed, and sends again what it had not written",
			zap.String("host", l.host), zap.Int64("from", l.newest.seq), zap.Int64("position", l.low.Seq))
		l.of.metrics.wentBack.WithLabelValues(l.host).Inc()
		for _, lane := range l.of.lanes {
			lane.at = lane.at.lowered(l.host, l.newest.seq, now)
		}
	}
	return nil
}

// settle ends a doubt that has lasted too long: there is a gap, unless the host
// can be asked for more.
func (l *link) settle(now time.Time) error {
	if !l.continuity.broken(now, l.of.opts.Grace) {
		return nil
	}
	if l.of.wider(l) {
		return errUnproven
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
	to := l.place()
	passed := l.legacy && l.crossing.joined || to.TimeUS >= l.began.UnixMicro()
	for _, lane := range l.of.lanes {
		lane.at = l.judged(lane.at, passed)
		if !l.continuity.doubt {
			lane.at = lane.at.raised(to)
		}
	}
	full := l.batch
	next, err := l.of.commit(ctx, full, l.stored())
	if err == nil {
		l.batch = next
	}
	return err
}

// judged returns a lane's position with what is known about this link's events.
// What a replay brings has the link's number, what is live the one behind it.
func (l *link) judged(at position, passed bool) position {
	if l.legacy {
		at.Connection = l.number + 1
	} else {
		at.Connection = l.number
	}
	switch {
	case l.continuity.doubt:
		at = at.doubted(l.number)
		at.Through = at.Connection
		return at
	case l.legacy && l.crossing.open():
		return at.trusted(l.number, false).doubted(l.number + 1)
	}
	return at.trusted(l.number, passed)
}

// stored returns the number under which Redis keeps the identities of a batch:
// where some are live and not crossed, that of those.
func (l *link) stored() int64 {
	if l.legacy && l.crossing.open() {
		return l.number + 1
	}
	return l.number
}

// place returns up to where everything has come. A host that numbers sends in
// the order of its numbers.
func (l *link) place() position {
	to := position{Host: l.host, Wire: l.wire}
	if l.legacy {
		to.TimeUS = l.crossing.place()
		return to
	}
	to.TimeUS, to.Seq, to.Marks = l.newest.us, l.newest.seq, l.numbering.marks()
	return to
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
	now := time.Now()
	if err := l.settle(now); err != nil {
		return err
	}
	if silent := now.Sub(l.lastEvent); silent > l.of.quiet.limit() {
		return fmt.Errorf("%w for %s", errSilent, silent.Round(time.Second))
	}
	if l.batch.events == 0 && now.Sub(l.lastCut) < beatEvery {
		return nil
	}
	return l.flush(ctx)
}
