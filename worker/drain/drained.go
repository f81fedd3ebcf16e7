package drain

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// A window without entries and a window whose entries are gone look the same in
// Redis. What tells them apart is the record of what was drained, which stands
// in the state folder and with the consumer group. A window is marked in both
// after its part is published durably and before anything of it is deleted, so
// a window that is not marked was not emptied by this archive, and one that is
// marked had a part.

// drained is what the state and Redis know of what one kind has drained. They
// differ after either was restored or replaced; the union counts.
type drained struct {
	proven window.Spans // marked after a part was published
	maybe  window.Spans // that, and what came before the record began
}

// drained asks both records.
func (d *Drainer) drained(ctx context.Context, kind event.Kind) (drained, error) {
	marked, err := d.source.Stream(kind).Drained(ctx)
	if err != nil || d.cfg.Book == nil {
		return drained{marked, marked}, err
	}
	state, err := d.cfg.Book.Read(kind.String(), "")
	if err != nil {
		return drained{}, fmt.Errorf("read what is drained of %s: %w", kind, err)
	}
	return drained{marked.Union(state.IsDrained()...), marked.Union(state.MayBeDrained()...)}, nil
}

// beginRecord starts the record of what is drained before this archive's first
// part is published under it: a part published before would make older windows look
// drained. Where a run that was stopped holds the account, that run has begun the
// record, and this one goes on.
func (a *attempt) beginRecord(ctx context.Context) error {
	if a.cfg.Book == nil {
		return nil
	}
	state, err := a.cfg.Book.Read(a.kind.String(), a.stream.Name())
	if err == nil && state.Drained != nil {
		return nil
	}
	err = a.cfg.Book.Update(a.kind.String(), a.stream.Name(), func(s *account.State) error {
		return s.BeginDrained(func() (uint64, error) {
			end, ok, err := sink.Newest(ctx, a.sink, a.cfg.Layout, a.kind)
			if err != nil || !ok {
				return 0, err
			}
			return uint64(end.UnixMilli()), nil
		})
	})
	if errors.Is(err, account.ErrBusy) {
		a.log.Warn("the record of what is drained cannot be begun now", zap.Stringer("kind", a.kind), zap.Error(err))
		return nil
	}
	return err
}

// mark notes that the window is drained, in Redis and in the state. It comes
// after the names of its parts are durable and before anything of it is deleted.
// Each of the two learns what the other has and it has not.
func (a *attempt) mark(ctx context.Context) error {
	if fault.NoWatermark.Is() {
		return nil
	}
	spans := window.Spans{a.window.Span()}
	var state account.State
	if a.cfg.Book != nil {
		var err error
		if state, err = a.cfg.Book.Read(a.kind.String(), a.stream.Name()); err != nil {
			return fmt.Errorf("read what is drained of %s: %w", a.kind, err)
		}
		spans = spans.Union(state.IsDrained()...)
	}
	marked, err := a.stream.Mark(ctx, a.server.ID(), spans...)
	if err != nil {
		return err
	}
	a.cfg.Faults.At(fault.Marked)
	if a.settling.Len() == 0 {
		return nil // nothing will be deleted: closing the account suffices
	}
	return a.remember(marked)
}

// remember notes in the state what is drained, and the producer's numbers of what
// will be settled. Both stand elsewhere too, the mark in Redis and the numbers in
// the footers, so that a run which was stopped and holds the account keeps no other
// from settling.
func (a *attempt) remember(marked window.Spans) error {
	if a.cfg.Book == nil {
		return nil
	}
	err := a.cfg.Book.Update(a.kind.String(), a.stream.Name(), func(s *account.State) error {
		s.Mark(marked...)
		s.Numbers.Note(&a.numbers)
		return nil
	})
	if errors.Is(err, account.ErrBusy) {
		a.log.Warn("the state does not know yet that a window is drained", zap.Stringer("window", a.window), zap.Stringer("kind", a.kind), zap.Error(err))
		return nil
	}
	a.cfg.Faults.At(fault.Remembered)
	return err
}

// checkFirst comes before a round publishes the first part of a window. Where the
// window was drained before, its part is missing: entries that came back are
// published all the same and the attempt reports the part when it ends; an empty
// part would say that nothing had come, so without entries nothing is published.
func (a *attempt) checkFirst(ctx context.Context, out *output) error {
	if !a.published.first || fault.NoProof.Is() {
		return nil
	}
	known, err := a.drained(ctx, a.kind)
	if err != nil {
		return err
	}
	entries, of := out.rows.count+out.rejects.count > 0, known.maybe
	if entries { // an archive of the older program may never have drained this window
		of = known.proven
	}
	if !of.Overlaps(a.window.Span()) {
		return nil
	}
	accepted, err := a.isAccepted(ctx, a.kind, a.window)
	switch {
	case err != nil:
		return err
	case accepted && entries:
		return nil
	case accepted:
		return errHole
	case entries: // should another run have drained it meanwhile, the name is taken
		a.lost = a.errCameBack()
		return a.miss(a.kind, a.window)
	}
	names, err := sink.Published(ctx, a.sink, a.cfg.Layout, a.name(0, false))
	if err != nil {
		return err
	}
	if len(names) != len(a.published.names) {
		return sink.ErrExists // another run drained it since the listing
	}
	if err := a.miss(a.kind, a.window); err != nil {
		return err
	}
	return a.errMissing()
}

// checkLate notices late parts that stand without the window's own.
func (a *attempt) checkLate(ctx context.Context) error {
	parts := slices.DeleteFunc(slices.Clone(a.published.names), func(n sink.Name) bool { return n.Rejects })
	if len(parts) == 0 || parts[0].Part == 0 {
		return nil
	}
	if accepted, err := a.isAccepted(ctx, a.kind, a.window); err != nil || accepted {
		return err
	}
	a.lost = a.errMissing()
	return a.miss(a.kind, a.window)
}

func (a *attempt) errMissing() error {
	return missingError{a.folder(), map[event.Kind]window.Spans{a.kind: {a.window.Span()}}, a.cfg.Length}
}

// errCameBack reports a part that was missing until this attempt published what
// Redis still had of it.
func (a *attempt) errCameBack() error {
	return fmt.Errorf("%w in %s: %s; what redis still had of it is published as %s, and what else the part held is in no file",
		ErrPartMissing, a.folder(), a.window, a.cfg.Layout.Path(a.name(0, false)))
}
