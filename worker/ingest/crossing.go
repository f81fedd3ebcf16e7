package ingest

import (
	"context"
	"errors"
	"time"
)

const (
	// cutover is how far before a live event the legacy server may leave events of
	// a replay out (cutoverThresholdUS of its server.go).
	cutover = time.Second
	// far is how old a position may be for the live part to be read beside the
	// replay: all that is live has to be remembered until the replay is there.
	far = time.Minute
)

// crossing joins what the legacy server sends of the past to what is live.
//
// That server leaves out what is left of a replay as soon as it has sent
// something newer that is live. So one connection asks for the live part alone,
// which is whole and in order. Others replay, and count up to a second before the
// first live event: no event that they are sent as live is older. One that is
// asked for two seconds after the live part began counts across its first event.
type crossing struct {
	first    int64     // time of the first live event, microseconds; 0 before
	firstAt  time.Time // when it came
	newest   int64     // time of the newest live event
	replayed int64     // time up to which everything was replayed
	joined   bool      // the replay has met the live part
	alone    bool      // the replay is too far behind: it ends where the live part began
}

var (
	// errCross: the replay has come to where the server may leave events out.
	errCross = errors.New("the replay meets what is live")
	// errJoined: the replay has crossed the first live event.
	errJoined = errors.New("the replay has met what is live")
	// errFar: the live part is not read yet.
	errFar = errors.New("the position is too old to read what is live")
	// errNumbers: the host is no legacy server.
	errNumbers = errors.New("the host numbers its events")
)

// live notes a live event.
func (c *crossing) live(us int64, now time.Time, from int64) error {
	if c.first == 0 {
		c.first, c.firstAt = us, now
		if us-max(from, c.replayed) > far.Microseconds() {
			c.alone = true
			return errFar
		}
	}
	c.newest = max(c.newest, us)
	return nil
}

// replay notes an event of a replay that was asked for at a moment. errCross
// means that it counts no more, and that another replay has to be asked for;
// errJoined that no more is needed.
func (c *crossing) replay(us int64, asked time.Time, join time.Duration) error {
	if c.first > 0 && us > c.first-cutover.Microseconds() {
		if c.alone || asked.Before(c.firstAt.Add(join)) {
			return errCross
		}
		if us >= c.first {
			c.joined = true
			return errJoined
		}
	}
	c.replayed = max(c.replayed, us)
	return nil
}

// open reports whether live events were stored that the replay has not met.
func (c *crossing) open() bool { return c.first > 0 && !c.alone && !c.joined }

// place returns up to where everything has come, in microseconds.
func (c *crossing) place() int64 {
	if c.joined {
		return c.newest
	}
	return c.replayed
}

// cross reads from a legacy server until the live part ends or ctx does.
func (l *link) cross(ctx context.Context) error {
	s, err := l.subscribe(ctx, live, cursor{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.run(ctx); !errors.Is(err, errFar) {
			cancel(err)
		}
	}()
	if err := l.replays(ctx); err != nil {
		cancel(err)
	}
	<-ended
	return context.Cause(ctx)
}

// replays reads the past, again and again, until it has met the live part. The
// error is nil then.
func (l *link) replays(ctx context.Context) error {
	for {
		s, err := l.subscribe(ctx, replay, l.rest())
		if err != nil {
			return err
		}
		err = s.run(ctx)
		switch {
		case errors.Is(err, errJoined):
			return nil
		case !errors.Is(err, errCross):
			return err
		}
		l.mu.Lock()
		again, alone := l.crossing.firstAt.Add(l.of.opts.Join), l.crossing.alone
		l.mu.Unlock()
		if alone {
			return errCross // the next link is nearer
		}
		pause(ctx, time.Until(again))
	}
}

// rest returns the cursor of what is not replayed yet.
func (l *link) rest() cursor {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crossing.replayed <= l.asked.us {
		return l.asked
	}
	return timeCursor(max(l.asked.us, l.crossing.replayed-l.of.opts.Rewind.Microseconds()))
}
