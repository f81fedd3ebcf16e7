package simulate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// ErrClosed: a stream takes no more IDs of the window, because it was fenced by
// a drain or holds later entries.
var ErrClosed = errors.New("the window is closed")

// errAgain asks for another attempt at once.
var errAgain = errors.New("try again")

// Pauses between attempts while Redis refuses writes or is away.
const (
	firstPause  = 100 * time.Millisecond
	longestWait = 5 * time.Second
)

// sender adds batches to the streams and insists: what Redis did not
// acknowledge is sent again, in order, and nothing else.
type sender struct {
	client   *stream.Client
	tally    *tally
	log      *zap.Logger
	giveUp   time.Duration
	explicit bool // the entries bring their IDs

	// With explicit IDs a lost reply leaves a doubt, which a look into the
	// stream removes; top is the last ID known to be in each stream.
	doubt bool
	top   [len(recipes)]event.ID
}

// run sends what comes until the channel closes and gives the batches back. When
// ctx ends, what is already made is tried once more. hard cuts connections off.
func (s *sender) run(ctx, hard context.Context, in <-chan *batch, free chan<- *batch) error {
	for b := range in {
		if err := s.send(ctx, hard, b); err != nil {
			s.tally.note(func(r *Result) { r.Unsent += int64(len(b.additions)) })
			if ctx.Err() == nil { // else the stop excuses what it cut off
				return err
			}
		}
		free <- b
	}
	return nil
}

// send adds all of b, however long it takes, unless ctx ends; b keeps what is
// not added.
func (s *sender) send(ctx, hard context.Context, b *batch) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, longestWait
	success, troubled := time.Now(), false
	for len(b.additions) > 0 {
		before := len(b.additions)
		err := s.attempt(hard, b)
		if len(b.additions) < before {
			success = time.Now()
			pauses.Reset()
		}
		switch {
		case err == nil, errors.Is(err, errAgain):
			continue
		case !errors.Is(err, stream.ErrRefused) && !errors.Is(err, stream.ErrUnavailable):
			return err
		}
		s.count(b, err)
		if ctx.Err() != nil {
			return err
		}
		if s.giveUp > 0 && time.Since(success) >= s.giveUp {
			return fmt.Errorf("no success for %s: %w", s.giveUp, err)
		}
		if !troubled {
			s.log.Warn("redis takes no entries, trying again until it does", zap.Error(err))
			troubled = true
		}
		pause(ctx, pauses.NextBackOff())
	}
	if troubled {
		s.log.Info("redis takes entries again")
	}
	return nil
}

// attempt sends b once. b keeps what was not acknowledged.
func (s *sender) attempt(ctx context.Context, b *batch) error {
	looked := s.doubt
	if s.doubt {
		if err := s.lookUp(ctx, b); err != nil {
			return err
		}
		s.doubt = false
	}
	s.raise(b)
	if len(b.additions) == 0 {
		return nil
	}
	ids, err := s.client.Add(ctx, b.additions)
	s.remember(b, ids)
	added := b.settle(ids, s.tally)
	switch {
	case err == nil && added < len(ids):
		return fmt.Errorf("redis acknowledged %d of %d entries without an error", added, len(ids))
	case err == nil:
		return nil
	case !s.explicit:
		return err
	}
	s.doubt = true
	if !isBehind(err) {
		return err
	}
	if looked {
		first := b.additions[0]
		return fmt.Errorf("%w: stream %s takes no ID like %s any more, because a drain fenced it or it holds later entries: use a later window",
			ErrClosed, s.client.Name(first.Kind), first.ID)
	}
	return errAgain
}

// count notes a failed attempt.
func (s *sender) count(b *batch, err error) {
	left := int64(len(b.additions))
	s.tally.note(func(r *Result) {
		if errors.Is(err, stream.ErrRefused) {
			r.Refusals += left
			return
		}
		r.Outages++
		if !s.explicit && mayHaveArrived(err) {
			r.Uncertain += left
		}
	})
}

// mayHaveArrived reports whether a command that failed so could still have been
// executed: the connection stood, and Redis did not answer.
func mayHaveArrived(err error) bool {
	var reply interface{ RedisError() }
	var network *net.OpError
	dialed := !errors.As(err, &network) || network.Op != "dial"
	return dialed && !errors.As(err, &reply)
}

// isBehind reports whether Redis turned an ID away because its stream is
// already at or past it.
func isBehind(err error) bool {
	return strings.Contains(err.Error(), "equal or smaller than the target stream top item")
}
