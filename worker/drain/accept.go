package drain

import (
	"context"
	"fmt"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// Acceptance is what becomes of one window that has no part.
type Acceptance struct {
	sink.Hole
	Already bool `json:"already"` // it had been accepted before, and stays as it was
}

// AcceptHoles writes down that the parts of windows are gone for good: of the
// windows in a range that lack a part of these kinds. by is who says so; dryRun
// writes nothing. It can be repeated. ErrNoHole when a window without a part was
// never drained, or when none lacks one; nothing is written then.
func (d *Drainer) AcceptHoles(ctx context.Context, in window.Range, kinds []event.Kind, by, reason string, dryRun bool) (holes []Acceptance, err error) {
	for _, edge := range []time.Time{in.From, in.To} {
		if !edge.Truncate(d.cfg.Length).Equal(edge) {
			return nil, fmt.Errorf("%w: the windows of the archive are %s long, and none of them begins or ends at %s",
				ErrNoHole, window.Label(d.cfg.Length), edge.Format(time.RFC3339Nano))
		}
	}
	at := time.Now().UTC().Truncate(time.Second)
	for _, kind := range kinds {
		found, err := d.holesOf(ctx, kind, in)
		if err != nil {
			return nil, err
		}
		for _, hole := range found {
			if !hole.Already {
				hole.By, hole.At, hole.Reason = by, at, reason
			}
			holes = append(holes, hole)
		}
	}
	if len(holes) == 0 {
		return nil, fmt.Errorf("%w: no part is missing in %s of %s", ErrNoHole, in, d.folder())
	}
	for i := range holes {
		if dryRun || holes[i].Already {
			continue
		}
		accepted, err := sink.AcceptHole(ctx, d.sink, d.cfg.Layout, holes[i].Hole)
		if err != nil {
			return holes[:i], err
		}
		holes[i].Already = !accepted
	}
	return holes, nil
}

// holesOf lists the windows of a range that were drained of a kind and have no
// part 0.
func (d *Drainer) holesOf(ctx context.Context, kind event.Kind, in window.Range) (holes []Acceptance, err error) {
	known, err := d.drained(ctx, kind)
	if err != nil {
		return nil, err
	}
	have, err := sink.Drained(ctx, d.sink, d.cfg.Layout, sink.Name{Kind: kind}, in.From, in.To)
	if err != nil {
		return nil, err
	}
	accepted, err := sink.Holes(ctx, d.sink, d.cfg.Layout, kind, in.From, in.To)
	if err != nil {
		return nil, err
	}
	for w := (window.Window{Start: in.From, Length: d.cfg.Length}); w.Start.Before(in.To); w = w.Next() {
		if have[w] {
			continue
		}
		hole := Acceptance{Hole: sink.Hole{Window: w, Kind: kind}, Already: accepted[w]}
		if accepted[w] {
			if hole.Hole, err = sink.ReadHole(ctx, d.sink, d.cfg.Layout, w, kind); err != nil {
				return nil, err
			}
		} else if !known.maybe.Overlaps(w.Span()) {
			return nil, fmt.Errorf("%w: %s of %s was never drained: run the window instead", ErrNoHole, w, kind)
		}
		holes = append(holes, hole)
	}
	return holes, nil
}
