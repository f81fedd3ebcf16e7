package simulate

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// Options say what is sent, how fast, and how long. Zero values mean the
// defaults; a zero Count, Rate or Duration sets no limit.
type Options struct {
	Traits
	Count    int64         // entries to send
	Rate     float64       // entries per second
	Duration time.Duration // of a live run

	// Window turns explicit IDs on: they are spread evenly over the window,
	// and Count, or Rate times the window's length, says how many there are.
	Window window.Window
	// Replay holds recorded events, one a line, to be sent instead of made-up
	// ones. With Window it must also be an io.Seeker, or Count must be set.
	Replay io.Reader
	// Sequence adds a second field, seq, that counts the entries of each stream
	// from 1 in the order in which they were made.
	Sequence bool

	GiveUp       time.Duration // without any success; 0 never gives up
	IgnoreMemory bool          // go on when Redis is nearly full
	Senders      int           // pipelines side by side, where order does not matter
	Log          *zap.Logger
	Bar          io.Writer // draws a progress bar; nil logs a line from time to time

	// OnAdded is called once for each entry that Redis acknowledged, with its
	// ID, by one goroutine at a time. The addition is valid during the call.
	OnAdded func(stream.Addition, event.ID)
}

const (
	defaultSenders = 4
	// maxBatch entries or maxBatchBytes go into one pipeline. 1,000 saturate
	// the server; more only adds memory and delay.
	maxBatch      = 1000
	maxBatchBytes = 4 << 20
)

// ErrUsage: the options contradict each other or are out of range.
var ErrUsage = errors.New("invalid options")

// completed checks the options and fills in the defaults.
func (o Options) completed() (Options, error) {
	if err := o.conflict(); err != nil {
		return o, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if o.explicit() && o.Rate > 0 {
		o.Count = int64(math.Round(o.Rate * o.Window.Length.Seconds()))
		o.Rate = 0 // it says how many, not how fast
	}
	if o.Senders == 0 {
		o.Senders = defaultSenders
	}
	if o.explicit() || o.Replay != nil {
		o.Senders = 1 // entries must arrive in their order
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return o, nil
}

func (o *Options) explicit() bool { return o.Window.Length > 0 }

func (o *Options) conflict() error {
	switch {
	case o.Count < 0:
		return fmt.Errorf("count %d is negative", o.Count)
	case !(o.Rate >= 0) || math.IsInf(o.Rate, 1):
		return fmt.Errorf("rate %v is not a number of entries per second", o.Rate)
	case o.Duration < 0:
		return fmt.Errorf("duration %s is negative", o.Duration)
	case o.GiveUp < 0:
		return fmt.Errorf("give-up %s is negative: 0 never gives up", o.GiveUp)
	case o.Senders < 0:
		return fmt.Errorf("%d senders: use 1 or more", o.Senders)
	case o.explicit() && o.Duration > 0:
		return errors.New("a window and a duration were given: a past window is filled as fast as Redis takes it")
	case o.explicit() && o.Rate > 0 && o.Count > 0:
		return errors.New("a window, a rate and a count were given: the window needs one of rate and count")
	case o.explicit() && o.Rate == 0 && o.Count == 0 && !o.countable():
		return fmt.Errorf("how many entries shall fill the window %s? Give a count, or a rate", o.Window)
	case o.Replay != nil && o.Malformed > 0:
		return errors.New("a malformed share was given for a replay, which sends the recorded events as they are")
	}
	return o.check()
}

// countable reports whether the number of recorded events can be found out.
func (o *Options) countable() bool {
	_, ok := o.Replay.(io.Seeker)
	return ok
}
