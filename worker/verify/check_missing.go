package verify

import (
	"context"
	"fmt"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// checkMissing: a missing file means "not drained", never "nothing happened".
// What lies before the first published window or behind the last may still be
// drained; what lies between them should have been.
var checkMissing = check{
	Name:    "missing",
	Promise: "from the first published window to the last, every kind of every window has a part 0",
	hour:    func(v *Verifier, h sink.Hour, say sayer) { v.coverage.see(h, say) },
	end:     endMissing,
}

// coverage follows the windows in order of time, one behind: of the last one a
// drain may be on its way.
type coverage struct {
	window window.Window
	kinds  map[event.Kind]bool // that have a part 0
}

func (c *coverage) see(h sink.Hour, say sayer) {
	for _, n := range h.Names {
		if n.Window != c.window {
			c.leave(n.Window, say)
			c.window, c.kinds = n.Window, make(map[event.Kind]bool)
		}
		if n.Part == 0 && !n.Rejects {
			c.kinds[n.Kind] = true
		}
	}
}

// leave reports what the current window lacks, and the windows between it and the next.
func (c *coverage) leave(next window.Window, say sayer) {
	if c.window == (window.Window{}) {
		return
	}
	for _, kind := range c.missing() {
		say(notDrained(c.window, kind))
	}
	gap := c.window.Next()
	if between := next.Start.Sub(gap.Start); between > 0 {
		say(Violation{Window: &gap, Count: int64(between / gap.Length), Detail: "no kind of this window is drained"})
	}
}

func (c *coverage) missing() (kinds []event.Kind) {
	for _, kind := range event.Kinds() {
		if !c.kinds[kind] {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

func notDrained(w window.Window, kind event.Kind) Violation {
	return Violation{Window: &w, Kind: &kind, Detail: "there is no part 0: this kind is not drained"}
}

func endMissing(ctx context.Context, v *Verifier, say sayer) error {
	c := &v.coverage
	if c.window == (window.Window{}) {
		if !v.cfg.Range.IsZero() {
			say(Violation{Detail: fmt.Sprintf("no window of %s is drained", v.cfg.Range)})
		}
		return nil
	}
	for _, kind := range c.missing() {
		drained, err := v.drainedMeanwhile(ctx, c.window, kind)
		if err != nil {
			return err
		}
		if !drained {
			say(notDrained(c.window, kind))
		}
	}
	return nil
}

// drainedMeanwhile reports whether a kind of the last window has a part 0 by
// now, or a run is at work that will give it one.
func (v *Verifier) drainedMeanwhile(ctx context.Context, w window.Window, kind event.Kind) (bool, error) {
	if v.cfg.Source != nil {
		held, err := v.cfg.Source.Stream(kind).Held(ctx)
		if held || err != nil {
			return held, err
		}
	}
	names, err := sink.Published(ctx, v.archive, v.shape.Layout, sink.Name{Window: w, Kind: kind})
	return isDrained(names), err
}

// isDrained reports whether the files of one (window, kind) include its part 0.
func isDrained(names []sink.Name) bool {
	for _, n := range names {
		if n.Part == 0 && !n.Rejects {
			return true
		}
	}
	return false
}
