package drain

import (
	"context"
	"math"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// What another group has not acked stays in the stream after it is settled. Such a
// window is passed over by later runs: reading it again costs as much as the first
// time, and finds nothing. It is read again, and deleted then, when the others have
// passed its end, and whenever the account does not know this server.

// OtherGroup is a group beside ours, as a run reports it.
type OtherGroup struct {
	Group         string  `json:"group"`
	BehindSeconds float64 `json:"behind_seconds"` // age of the first entry that it needs
}

// keptForOthers returns what need not be read again of a kind.
func (d *Drainer) keptForOthers(ctx context.Context, kind event.Kind) (window.Spans, error) {
	if d.cfg.Book == nil {
		return nil, nil
	}
	s := d.source.Stream(kind)
	state, err := d.cfg.Book.Read(kind.String(), s.Name())
	if err != nil || state.Kept == nil {
		return nil, nil //nolint:nilerr // what is not known is read again
	}
	server, err := d.source.Server(ctx)
	if err != nil {
		return nil, err
	}
	kept := state.KeptOn(server.ID())
	if len(kept) == 0 {
		return nil, nil
	}
	from, err := d.neededFrom(ctx, s)
	if err != nil {
		return nil, err
	}
	to, err := d.readTo(ctx, s)
	if err != nil {
		return nil, err
	}
	return kept.Without(window.Span{To: from}).Without(window.Span{From: to, To: math.MaxUint64}), nil
}

// neededFrom returns the start of the window in which the first entry lies that another
// group needs, in milliseconds; math.MaxUint64 where none is needed.
func (d *Drainer) neededFrom(ctx context.Context, s *stream.Stream) (uint64, error) {
	others, err := s.Others(ctx)
	if err != nil {
		return 0, err
	}
	first := uint64(math.MaxUint64)
	for _, o := range others {
		if o.Behind {
			first = min(first, o.Needs.MS)
		}
	}
	return d.startOf(first), nil
}

// readTo returns the start of the window in which the first entry lies that our own
// group has not read. What was read by range behind it is read once more, through
// the group, which else would never get beyond it.
func (d *Drainer) readTo(ctx context.Context, s *stream.Stream) (uint64, error) {
	state, err := s.State(ctx)
	if err != nil || !state.Grouped {
		return 0, err
	}
	group, err := s.Group(ctx)
	if err != nil {
		return 0, err
	}
	next, ok, err := s.Next(ctx, group.LastDelivered)
	if err != nil || !ok {
		return math.MaxUint64, err
	}
	return d.startOf(next.MS), nil
}

// startOf returns the start of the window of a moment, both in milliseconds.
func (d *Drainer) startOf(ms uint64) uint64 {
	if ms > math.MaxInt64 {
		return ms
	}
	w, err := window.Containing(time.UnixMilli(int64(ms)), d.cfg.Length)
	if err != nil { // beyond every window
		return ms
	}
	return w.StartMS()
}

// countKept counts what is kept for others, and whether something was deleted since
// a look.
func (a *attempt) countKept(ctx context.Context, s *account.State, l account.Look) (n int64, ok bool, err error) {
	if n, err = a.stream.Count(ctx, s.KeptOn(a.server.ID())); err != nil {
		return 0, false, err
	}
	now, err := a.stream.Look(ctx, l.End)
	return n, err == nil && now.Added-now.Length == l.Added-l.Length, err
}

// lookAtOthers names the other groups of a stream. One that nobody reads makes the
// stream grow until memory is full.
func (d *Drainer) lookAtOthers(ctx context.Context, kind event.Kind, now time.Time) error {
	s := d.source.Stream(kind)
	others, err := s.Others(ctx)
	if err != nil || len(others) == 0 {
		return err
	}
	report := d.reportOf(kind, s.Name())
	for _, o := range others {
		seconds := o.Seconds(now)
		report.Others = append(report.Others, OtherGroup{o.Name, seconds})
		if seconds > stream.ForgottenAfter.Seconds() {
			d.log.Warn("another group keeps entries in the stream that it does not read: destroy it if it is forgotten", zap.Stringer("kind", kind),
				zap.String("stream", s.Name()), zap.String("group", o.Name), zap.Float64("seconds", seconds))
		}
	}
	return nil
}
