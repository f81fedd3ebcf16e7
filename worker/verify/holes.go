package verify

import (
	"context"
	"fmt"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// holes is what is known of windows that were drained and have no part 0.
type holes struct {
	accepted map[event.Kind]map[window.Window]sink.Hole
	drained  map[event.Kind]window.Spans // what the state, and Redis, know to have been drained
}

// readHoles reads what was accepted, and what was drained.
func (v *Verifier) readHoles(ctx context.Context) error {
	v.holes = holes{make(map[event.Kind]map[window.Window]sink.Hole), make(map[event.Kind]window.Spans)}
	for _, kind := range event.AllKinds() {
		spans, err := v.drained(ctx, kind)
		if err != nil {
			return err
		}
		v.holes.accepted[kind], v.holes.drained[kind] = make(map[window.Window]sink.Hole), spans
	}
	return sink.WalkHoles(ctx, v.archive, v.shape.Layout, v.cfg.Range.From, v.cfg.Range.To, func(h sink.Hole) error {
		v.holes.accepted[h.Kind][h.Window] = h
		return nil
	})
}

func (v *Verifier) drained(ctx context.Context, kind event.Kind) (spans window.Spans, err error) {
	if v.cfg.Book != nil {
		state, err := v.cfg.Book.Read(kind.String(), "")
		if err != nil {
			return nil, fmt.Errorf("read the account of %s: %w", kind, err)
		}
		spans = state.IsDrained()
	}
	if v.cfg.Source == nil {
		return spans, nil
	}
	marked, err := v.cfg.Source.Stream(kind).Drained(ctx)
	if err != nil && ctx.Err() == nil {
		return spans, nil //nolint:nilerr // a Redis that is away is reported when the streams are read, after the files
	}
	return spans.Union(marked...), err
}

func (h *holes) isAccepted(w window.Window, kind event.Kind) bool {
	_, is := h.accepted[kind][w]
	return is
}

// lacks says what it means that a window has no part 0 of a kind.
func (h *holes) lacks(w window.Window, kind event.Kind) string {
	if h.drained[kind].Overlaps(w.Span()) {
		return "it was drained, and its part 0 is missing: put the file back, or accept the hole with datawriter accept-hole"
	}
	return "there is no part 0: this kind is not drained"
}

// lackAll says what it means that a window has no file at all; nothing where the
// hole of every kind was accepted.
func (h *holes) lackAll(w window.Window) string {
	accepted, drained := 0, false
	for _, kind := range event.Kinds() {
		if h.isAccepted(w, kind) {
			accepted++
		}
		drained = drained || h.drained[kind].Overlaps(w.Span())
	}
	switch {
	case accepted == len(event.Kinds()):
		return ""
	case drained:
		return "this window was drained, and its parts are missing: put the files back, or accept the hole with datawriter accept-hole"
	}
	return "no kind of this window is drained"
}

// after returns the stretches behind an instant of which the five kinds were
// drained, whether or not a file of them is there.
func (h *holes) after(last time.Time, in window.Range) (stretches window.Spans) {
	from := last
	if in.From.After(from) {
		from = in.From
	}
	for _, kind := range event.Kinds() {
		for _, x := range h.drained[kind] {
			x.From = max(x.From, uint64(max(from.UnixMilli(), 0)))
			if !in.IsZero() {
				x.To = min(x.To, uint64(max(in.To.UnixMilli(), 0)))
			}
			stretches = stretches.Union(x)
		}
	}
	return stretches
}

// reportHoles lists the accepted holes, less those whose part has come back.
func (v *Verifier) reportHoles(ctx context.Context) error {
	for _, kind := range event.AllKinds() {
		for w, hole := range v.holes.accepted[kind] {
			names, err := sink.Published(ctx, v.archive, v.shape.Layout, sink.Name{Window: w, Kind: kind})
			if err != nil {
				return err
			}
			if !isDrained(names) {
				v.report.Holes = append(v.report.Holes, hole)
			}
		}
	}
	return nil
}
