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

// stretch is which part of the source a subscription brings.
type stretch int

const (
	whole  stretch = iota // all from the position on
	live                  // what happens since it began
	replay                // what was before that
)

// subscription is one websocket of a link.
type subscription struct {
	link    *link
	conn    *websocket.Conn
	stretch stretch
	asked   cursor
	since   time.Time // when it was asked for

	envelopes event.Envelopes
	identify  identifier
	reached   bool // it has come to the time that was asked for
	known     int  // events before that which are remembered

	reading atomic.Bool // waiting for the next message, or getting it
	heard   atomic.Int64
}

// subscribe opens a websocket for a part of the source.
func (l *link) subscribe(ctx context.Context, of stretch, asked cursor) (*subscription, error) {
	s := &subscription{link: l, stretch: of, asked: asked, since: time.Now(), reached: asked.us == 0}
	dialing, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, err := l.of.opts.dial(dialing, l.host, l.wire, asked)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errConnect, err)
	}
	s.conn = conn
	if l.asked.text == "" {
		l.of.began = s.since
	}
	l.of.metrics.connects.WithLabelValues(l.host).Inc()
	l.of.opts.Log.Info("connected", zap.String("host", l.host), zap.String("wire", string(l.wire)), zap.String("cursor", asked.text))
	return s, nil
}

// run moves events until the connection ends or ctx does, and returns why.
func (s *subscription) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var helpers sync.WaitGroup
	helpers.Go(func() { cancel(every(ctx, pingEvery, s.pong)) })
	err := s.read(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(err)
	helpers.Wait()
	_ = s.conn.CloseNow()
	return err
}

// read receives messages until the connection ends.
func (s *subscription) read(ctx context.Context) error {
	l := s.link
	var buffer []byte
	for {
		var err error
		s.reading.Store(true)
		buffer, err = receive(ctx, s.conn, buffer, l.of.opts.MaxMessage)
		s.reading.Store(false)
		s.heard.Add(1)
		switch {
		case errors.Is(err, errLong):
			l.of.metrics.class[classOversized].Inc()
			l.of.opts.Log.Warn("a message is longer than the limit and was dropped", zap.Int64("limit", l.of.opts.MaxMessage))
			continue
		case err != nil:
			return fmt.Errorf("read from %s: %w", l.host, err)
		}
		if err := s.message(ctx, buffer); err != nil {
			return err
		}
	}
}

// message takes one message in, and waits while Redis is slower than the source.
func (s *subscription) message(ctx context.Context, text []byte) error {
	l := s.link
	l.of.metrics.bytes.Add(float64(len(text)))
	e, ok, err := s.parse(text)
	if err != nil || !ok {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.take(s, &e); err != nil {
		return err
	}
	if !l.batch.full() {
		return nil
	}
	return l.flush(ctx)
}

// parse reads a message. ok is false when it holds no event: one that cannot be
// read must not stop those that can.
func (s *subscription) parse(text []byte) (e event.Envelope, ok bool, err error) {
	l := s.link
	if l.wire == V1 {
		if e, ok = s.envelopes.Read(text); !ok {
			l.unreadable(text)
		}
		return e, ok, nil
	}
	frame, ok := s.envelopes.ReadFrame(text)
	switch {
	case !ok:
		l.unreadable(text)
		return e, false, nil
	case frame.Fatal:
		return e, false, &serverError{frame.Name, frame.Message}
	case !frame.HasEvent:
		l.notice(frame.Name, frame.Message)
		return e, false, nil
	}
	return frame.Event, true, nil
}

func (s *subscription) pong(ctx context.Context) error {
	heard, reading := s.heard.Load(), s.reading.Load()
	limited, cancel := context.WithTimeout(ctx, pongWithin)
	defer cancel()
	err := s.conn.Ping(limited)
	// A pong is only seen by a reader: it proves nothing while we do not read.
	if err != nil && ctx.Err() == nil && reading && s.reading.Load() && s.heard.Load() == heard {
		return fmt.Errorf("%w: %w", errNoPong, err)
	}
	return nil
}

// early reports whether an event that is not remembered lies before the time that
// was asked for, and so was stored long ago. A server of the second kind begins
// at the start of its newest file, minutes or millions of events early; the
// legacy one begins with the oldest it has when nothing is newer.
//
// Times that an operator imported are older than the events beside them, so on
// numbered events what counts is that one had come to the time: after it, all is
// new. So it is once enough known events have come, whatever their times.
func (s *subscription) early(us int64, numbered bool) bool {
	if s.asked.us == 0 {
		return false
	}
	if us >= s.asked.us {
		s.reached = true
	}
	if numbered {
		return !s.reached
	}
	return us < s.asked.us
}

// remembered notes that a known event has come.
func (s *subscription) remembered() {
	if s.known++; s.known >= provenBy {
		s.reached = true
	}
}
