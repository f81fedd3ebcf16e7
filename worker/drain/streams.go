package drain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// StreamReport is what is wrong with a stream, whatever its windows hold.
type StreamReport struct {
	Kind         event.Kind `json:"kind"`
	Stream       string     `json:"stream"`
	AheadSeconds float64    `json:"ahead_seconds,omitempty"` // of its last ID, by Redis's clock, where that is more than stream.AheadLimit
	LastID       *event.ID  `json:"last_id,omitempty"`
	Waits        bool       `json:"waits,omitempty"` // what is added now falls behind the window that is open
}

// Streams returns what the last Run or RunClosed found wrong with streams.
func (d *Drainer) Streams() []StreamReport { return d.streams }

// lookAtStreams compares the end of each stream with the clock. One ID from the
// future makes everything that is added later wait behind it, while each window
// is drained, empty, in time.
func (d *Drainer) lookAtStreams(ctx context.Context) error {
	d.streams = nil
	now, err := d.now(ctx)
	if err != nil {
		return err
	}
	for _, kind := range d.kinds {
		s := d.source.Stream(kind)
		state, err := s.State(ctx)
		if err != nil {
			return err
		}
		if report, bad := d.judge(state, now); bad {
			report.Kind, report.Stream = kind, s.Name()
			d.logStream(report)
			d.streams = append(d.streams, report)
		}
	}
	return nil
}

func (d *Drainer) judge(state stream.State, now time.Time) (report StreamReport, bad bool) {
	if state.IsAhead(now) {
		open, err := window.Containing(now, d.cfg.Length)
		report.AheadSeconds, _ = state.Ahead(now)
		report.LastID, report.Waits = &state.LastGenerated, err == nil && state.LastGenerated.MS >= open.EndMS()
		return report, true
	}
	return report, false
}

func (d *Drainer) logStream(r StreamReport) {
	log := d.log.Warn
	if r.Waits {
		log = d.log.Error
	}
	log("the last ID of a stream is ahead of the clock of redis: what is added later waits behind it",
		zap.Stringer("kind", r.Kind), zap.String("stream", r.Stream), zap.Stringer("last_id", r.LastID), zap.Float64("seconds", r.AheadSeconds))
}

// streamErrors returns an error for each stream in which a whole window waits.
func (d *Drainer) streamErrors() (err error) {
	for _, r := range d.streams {
		if r.Waits {
			err = errors.Join(err, fmt.Errorf("%w: the last ID of %s is %s, %.0f seconds from now: datawriter rescue %s", ErrAhead, r.Stream, r.LastID, r.AheadSeconds, r.Kind))
		}
	}
	return err
}
