package drain

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// lookBack is how far before a window missing parts are looked for. Older gaps
// are found only back to the last published window; older entries always,
// because the stream itself is asked.
const lookBack = 24 * time.Hour

// backlog returns the undrained windows before end, oldest first: those of
// which the stream still holds entries, and those that lack a part 0 although
// an older window has one.
func (d *Drainer) backlog(ctx context.Context, end window.Window) ([]window.Window, error) {
	if !d.cfg.CatchUp {
		return nil, nil
	}
	found := make(map[window.Window]bool)
	for _, kind := range d.kinds {
		if err := d.withEntries(ctx, kind, end, found); err != nil {
			return nil, err
		}
	}
	if err := d.withoutPart(ctx, end, found); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b window.Window) int { return a.Start.Compare(b.Start) }), nil
}

// withEntries adds the windows before end of which a stream holds entries.
func (d *Drainer) withEntries(ctx context.Context, kind event.Kind, end window.Window, found map[window.Window]bool) error {
	s := d.source.Stream(kind)
	for from := uint64(0); from < end.StartMS(); {
		id, ok, err := s.First(ctx, from)
		if err != nil {
			return err
		}
		if !ok || id.MS >= end.StartMS() {
			return nil
		}
		w, err := window.Containing(time.UnixMilli(int64(id.MS)), d.cfg.Length)
		if err != nil {
			return fmt.Errorf("%w: entry %s of %s: %w", stream.ErrMisconfigured, id, s.Name(), err)
		}
		found[w] = true
		from = w.EndMS()
	}
	return nil
}

// withoutPart adds the windows before end that lack a part 0 of some kind,
// from the oldest published window in sight on. A raw kind is missing only from
// its own oldest one on: an archive may have begun without it.
func (d *Drainer) withoutPart(ctx context.Context, end window.Window, found map[window.Window]bool) error {
	from := end.Start.Add(-lookBack)
	latest, ok, err := sink.Latest(ctx, d.sink, d.cfg.Layout, end.Start)
	if err != nil {
		return err
	}
	if !ok {
		return nil // a new archive begins with the window that was asked for
	}
	if latest.Before(from) {
		from = latest
	}
	if err := d.addGaps(ctx, event.Kinds(), from, end, found); err != nil {
		return err
	}
	for _, kind := range d.cfg.Also {
		if err := d.addGaps(ctx, []event.Kind{kind}, from, end, found); err != nil {
			return err
		}
	}
	return nil
}

// addGaps adds the windows that lack a part 0 of one of these kinds, from the
// first that has one on.
func (d *Drainer) addGaps(ctx context.Context, kinds []event.Kind, from time.Time, end window.Window, found map[window.Window]bool) error {
	have := make(map[window.Window]int)
	for _, kind := range kinds {
		drained, err := sink.Drained(ctx, d.sink, d.cfg.Layout, sink.Name{Kind: kind}, from, end.Start)
		if err != nil {
			return err
		}
		for w := range drained {
			have[w]++
		}
	}
	first := end
	for w := range have {
		if w.Before(first) {
			first = w
		}
	}
	for w := first; w.Before(end); w = w.Next() {
		if have[w] < len(kinds) {
			found[w] = true
		}
	}
	return nil
}
