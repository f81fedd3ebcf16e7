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

// StreamReport is what is to be known of a stream, whatever its windows hold.
type StreamReport struct {
	Kind         event.Kind `json:"kind"`
	Stream       string     `json:"stream"`
	AheadSeconds float64    `json:"ahead_seconds,omitempty"` // of its last ID, by Redis's clock, where that is more than stream.AheadLimit
	LastID       *event.ID  `json:"last_id,omitempty"`
	Waits        bool       `json:"waits,omitempty"` // what is added now falls behind the window that is open
	Aside        int64      `json:"aside,omitempty"` // entries that a rescue moved, which was not finished

	Others []OtherGroup `json:"other_groups,omitempty"` // what they need stays in the stream
}

// Streams returns what the last Run or RunClosed found wrong with streams.
func (d *Drainer) Streams() []StreamReport { return d.streams }

// lookAtEnds compares the end of each stream with the clock. One ID from the
// future makes everything that is added later wait behind it, while each window
// is drained, empty, in time.
func (d *Drainer) lookAtEnds(ctx context.Context) error {
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
		if state.IsAhead(now) {
			d.streams = append(d.streams, d.judgeEnd(kind, s.Name(), state, now))
		}
		if len(state.Others) > 0 {
			if err := d.lookAtOthers(ctx, kind, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Drainer) judgeEnd(kind event.Kind, name string, state stream.State, now time.Time) StreamReport {
	open, err := window.Containing(now, d.cfg.Length)
	r := StreamReport{Kind: kind, Stream: name, LastID: &state.LastGenerated, Waits: err == nil && state.LastGenerated.MS >= open.EndMS()}
	r.AheadSeconds, _ = state.Ahead(now)
	log := d.log.Warn
	if r.Waits {
		log = d.log.Error
	}
	log("the last ID of a stream is ahead of the clock of redis: what is added later waits behind it",
		zap.Stringer("kind", kind), zap.String("stream", name), zap.Stringer("last_id", r.LastID), zap.Float64("seconds", r.AheadSeconds))
	return r
}

// lookBeside looks for entries that a rescue moved beside their stream, and was
// killed. It comes last, when the lease of one that was killed has expired.
func (d *Drainer) lookBeside(ctx context.Context) error {
	for _, kind := range d.kinds {
		s := d.source.Stream(kind)
		n, err := s.Unfinished(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		d.log.Error("a rescue was not finished", zap.Stringer("kind", kind), zap.String("stream", s.Name()), zap.Int64("entries", n))
		d.reportOf(kind, s.Name()).Aside = n
	}
	return nil
}

// reportOf returns the report on a kind's stream, a new one if there is none.
func (d *Drainer) reportOf(kind event.Kind, name string) *StreamReport {
	for i := range d.streams {
		if d.streams[i].Kind == kind {
			return &d.streams[i]
		}
	}
	d.streams = append(d.streams, StreamReport{Kind: kind, Stream: name})
	return &d.streams[len(d.streams)-1]
}

// streamErrors returns an error for each stream in which a whole window waits, or
// of which entries wait beside it.
func (d *Drainer) streamErrors() (err error) {
	for _, r := range d.streams {
		if r.Aside > 0 {
			err = errors.Join(err, fmt.Errorf("%w: a rescue of %s was not finished, %d entries wait beside it: datawriter rescue %s", ErrAhead, r.Stream, r.Aside, r.Kind))
		}
		if r.Waits {
			err = errors.Join(err, fmt.Errorf("%w: the last ID of %s is %s, %.0f seconds from now: datawriter rescue %s", ErrAhead, r.Stream, r.LastID, r.AheadSeconds, r.Kind))
		}
	}
	return err
}
