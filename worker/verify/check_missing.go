package verify

import (
	"context"
	"fmt"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// checkMissing: a missing file means "not drained", never "nothing happened".
// What lies before the first published window or behind the last may still be
// drained; what lies between them should have been. A window that entries of a wrong
// clock made, long before the others, says nothing of what lies between. A raw kind has a first and a
// last of its own: it is drained from when it is asked for.
var checkMissing = check{
	Name:    "missing",
	Promise: "from the first published window to the last drained one, every kind of every window has a part 0, or its hole was accepted",
	hour:    func(v *Verifier, h sink.Hour, _ sayer) { v.coverage.see(h) },
	final:   func(v *Verifier, s *set) { v.coverage.seeDates(s) },
	end:     endMissing,
}

// coverage follows the windows in order of time and keeps what they lack. A
// drain may have been at work behind the walk's back, so that is no violation yet.
type coverage struct {
	window  window.Window
	drained kinds // of window, raw ones left out
	lacking []span
	raw     map[event.Kind]window.Window // the last that has a part 0
	rawGaps []rawGap

	misdated map[window.Window]bool // windows that entries of a wrong clock made
}

// rawGap is a span in which a raw kind has no part 0, but before and behind it.
type rawGap struct {
	kind event.Kind
	span span
}

// kinds are those that have a part 0.
type kinds map[event.Kind]bool

// span is a run of windows of which not every kind is drained.
type span struct {
	first window.Window
	end   time.Time
	empty bool // no kind is, of none of them
}

// gap returns the windows between two published ones; ok is false where there are
// none.
func gap(before, behind window.Window) (between span, ok bool) {
	return span{before.Next(), behind.Start, true}, before.Next().Before(behind)
}

func (c *coverage) see(h sink.Hour) {
	for _, n := range h.Names {
		if n.Window != c.window {
			c.enter(n.Window)
		}
		switch {
		case n.Part > 0 || n.Rejects:
		case n.Kind.IsRaw():
			c.seeRaw(n)
		default:
			c.drained[n.Kind] = true
		}
	}
}

func (c *coverage) seeRaw(n sink.Name) {
	if c.raw == nil {
		c.raw = make(map[event.Kind]window.Window)
	}
	if last, seen := c.raw[n.Kind]; seen {
		if between, ok := gap(last, n.Window); ok {
			c.rawGaps = append(c.rawGaps, rawGap{n.Kind, between})
		}
	}
	c.raw[n.Kind] = n.Window
}

// enter begins the next window that has files.
func (c *coverage) enter(w window.Window) {
	c.leave()
	if between, ok := gap(c.window, w); ok && c.window != (window.Window{}) {
		c.lacking = append(c.lacking, between)
	}
	c.window, c.drained = w, make(kinds)
}

// leave ends the current window.
func (c *coverage) leave() {
	if c.window != (window.Window{}) && len(c.drained) < len(event.Kinds()) {
		c.lacking = append(c.lacking, span{c.window, c.window.End(), false})
	}
}

// seeDates notes a window that entries of a wrong clock made.
func (c *coverage) seeDates(s *set) {
	for _, f := range s.files {
		if !f.told || !f.meta.Misdated {
			continue
		}
		if c.misdated == nil {
			c.misdated = make(map[window.Window]bool)
		}
		c.misdated[f.name.Window] = true
	}
}

// isOpen reports whether a span leads from or to a window that entries of a wrong
// clock made: nothing was ever due in between.
func (c *coverage) isOpen(s span) bool {
	behind := window.Window{Start: s.end, Length: s.first.Length}
	return s.empty && (c.misdated[s.first.Previous()] || c.misdated[behind])
}

func endMissing(ctx context.Context, v *Verifier, say sayer) error {
	v.coverage.leave()
	v.coverage.behind(v)
	if v.coverage.window == (window.Window{}) && !v.cfg.Range.IsZero() {
		say(Violation{Detail: fmt.Sprintf("no window of %s is drained", v.cfg.Range)})
	}
	for _, lacks := range v.coverage.lacking {
		if v.coverage.isOpen(lacks) {
			continue
		}
		if err := v.wait(ctx); err != nil {
			return err
		}
		if err := v.reportSpan(ctx, lacks, say); err != nil {
			return err
		}
	}
	for _, gap := range v.coverage.rawGaps {
		if v.coverage.isOpen(gap.span) {
			continue
		}
		if err := v.wait(ctx); err != nil {
			return err
		}
		if err := v.reportRaw(ctx, gap, say); err != nil {
			return err
		}
	}
	return nil
}

// reportRaw says how many of a span's windows lack a raw kind by now. Of windows
// that nothing is drained of, reportSpan says so.
func (v *Verifier) reportRaw(ctx context.Context, gap rawGap, say sayer) error {
	held, err := v.held(ctx)
	if err != nil {
		return err
	}
	found, err := v.drainedIn(ctx, gap.span)
	if err != nil || held[gap.kind] {
		return err
	}
	var first window.Window
	lacking := int64(0)
	for w, drained := range found {
		if drained[gap.kind] || v.holes.isAccepted(w, gap.kind) {
			continue
		}
		if lacking++; lacking == 1 || w.Before(first) {
			first = w
		}
	}
	if lacking > 0 {
		say(Violation{Window: &first, Kind: &gap.kind, Count: lacking,
			Detail: fmt.Sprintf("there is no part 0, but before and behind it there is: run the window with --also %s", gap.kind)})
	}
	return nil
}

// reportSpan says what a span lacks by now: kinds of its windows, or whole
// windows, of which it says how many. What a run at work holds, it may be about
// to drain.
func (v *Verifier) reportSpan(ctx context.Context, s span, say sayer) error {
	held, err := v.held(ctx)
	if err != nil {
		return err
	}
	found, err := v.drainedIn(ctx, s)
	if err != nil {
		return err
	}
	for w, drained := range found {
		for _, kind := range event.Kinds() {
			if !drained[kind] && !held[kind] && !v.holes.isAccepted(w, kind) {
				say(Violation{Window: &w, Kind: &kind, Detail: v.holes.lacks(w, kind)})
			}
		}
	}
	if len(held) > 0 {
		return nil
	}
	lacking := make(map[string]*Violation)
	for w := s.first; w.Start.Before(s.end); w = w.Next() {
		detail := v.holes.lackAll(w)
		switch {
		case found[w] != nil || detail == "":
		case lacking[detail] == nil:
			lacking[detail] = &Violation{Window: &w, Count: 1, Detail: detail}
		default:
			lacking[detail].Count++
		}
	}
	for _, violation := range lacking {
		say(*violation)
	}
	return nil
}

// behind adds the windows that were drained after the last published one.
func (c *coverage) behind(v *Verifier) {
	last := time.Time{}
	if c.window != (window.Window{}) {
		last = c.window.End()
	}
	for _, x := range v.holes.after(last, v.cfg.Range) {
		first, err := window.Containing(time.UnixMilli(int64(x.From)).UTC(), v.length())
		if err == nil {
			c.lacking = append(c.lacking, span{first, time.UnixMilli(int64(x.To)).UTC(), false})
		}
	}
}

// held lists the kinds on which a run is at work; without a Redis nobody knows.
func (v *Verifier) held(ctx context.Context) (kinds, error) {
	held := make(kinds)
	if v.cfg.Source == nil {
		return held, nil
	}
	for _, kind := range v.kinds() {
		is, err := v.cfg.Source.Stream(kind).Held(ctx)
		if err != nil {
			return nil, err
		}
		if is {
			held[kind] = true
		}
	}
	return held, nil
}

// drainedIn lists the windows of a span that have files by now.
func (v *Verifier) drainedIn(ctx context.Context, s span) (map[window.Window]kinds, error) {
	found := make(map[window.Window]kinds)
	err := sink.Walk(ctx, v.archive, v.shape.Layout, s.first.Start, s.end, func(h sink.Hour) error {
		for _, n := range h.Names {
			if found[n.Window] == nil {
				found[n.Window] = make(kinds)
			}
			if n.Part == 0 && !n.Rejects {
				found[n.Window][n.Kind] = true
			}
		}
		return nil
	})
	return found, err
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
