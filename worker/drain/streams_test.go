package drain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/window"
)

// TestTheEndOfAStreamIsComparedWithTheClock: what is added behind an ID from the
// future waits, and the run says so.
func TestTheEndOfAStreamIsComparedWithTheClock(t *testing.T) {
	now := time.Now()
	ms := func(ahead time.Duration) uint64 { return uint64(now.Add(ahead).UnixMilli()) }
	for name, c := range map[string]struct {
		kind  event.Kind
		leave func(r *rig, name string)
		ahead float64 // at least
		fails bool
	}{
		"entries of now":                      {event.Likes, func(r *rig, name string) { r.do("XADD", name, "*", "event", "x") }, 0, false},
		"an ID some seconds ahead":            {event.Likes, func(r *rig, name string) { r.do("XADD", name, ms(5*time.Second), "event", "x") }, 0, false},
		"an ID an hour ahead":                 {event.Likes, func(r *rig, name string) { r.do("XADD", name, ms(time.Hour), "event", "x") }, 3500, true},
		"an ID a year ahead, of another kind": {event.Blocks, func(r *rig, name string) { r.do("XADD", name, ms(365*24*time.Hour), "event", "x") }, 3e7, true},
		"microseconds for milliseconds":       {event.Posts, func(r *rig, name string) { r.do("XADD", name, now.UnixMicro(), "event", "x") }, 1.7e12, true},
		"the last ID there is": {event.Likes, func(r *rig, name string) {
			r.do("XADD", name, "18446744073709551615-18446744073709551615", "event", "x")
		}, 1.8e16, true},
		"a clock that leapt, and nothing left of it": {event.Likes, func(r *rig, name string) {
			r.do("XADD", name, ms(time.Hour), "event", "x")
			r.do("XDEL", name, fmt.Sprintf("%d-0", ms(time.Hour)))
		}, 3500, true},
		"a raw kind that is drained": {event.Identity, func(r *rig, name string) { r.do("XADD", name, ms(time.Hour), "event", "x") }, 3500, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.cfg.Also = []event.Kind{event.Identity}
			r.addAt(s)
			c.leave(r, r.client.Name(c.kind))
			for _, run := range []struct {
				name string
				do   func(d *drain.Drainer) error
			}{
				{"every closed window", func(d *drain.Drainer) error { _, err := d.RunClosed(context.Background()); return err }},
				{"a window", func(d *drain.Drainer) error { _, err := d.Run(context.Background(), win); return err }},
			} {
				d := r.drainer()
				err := run.do(d)
				if errors.Is(err, drain.ErrAhead) != c.fails || c.fails != (drain.Classify(err) == drain.Integrity) || !c.fails && err != nil {
					t.Errorf("%s: %v, class %q", run.name, err, drain.Classify(err))
				}
				if c.fails && !strings.Contains(err.Error(), "datawriter rescue "+c.kind.String()) {
					t.Errorf("%s: %v does not say what to do", run.name, err)
				}
				found := d.Streams()
				if c.ahead == 0 != (len(found) == 0) {
					t.Fatalf("%s: found %+v", run.name, found)
				}
				if c.ahead > 0 && (len(found) != 1 || found[0].Kind != c.kind || found[0].AheadSeconds < c.ahead || !found[0].Waits) {
					t.Errorf("%s: found %+v", run.name, found)
				}
			}
			r.want("the window is drained all the same", r.ids(likesPath(0)), fmt.Sprintf("%d-0", s))
		})
	}
}

// TestAnIDThatTheClockWillReachInTimeIsNoFailure: what is added still falls into
// the window that is open.
func TestAnIDThatTheClockWillReachInTimeIsNoFailure(t *testing.T) {
	r := newRig(t)
	r.cfg.Length = time.Hour
	open := must(window.Containing(time.Now(), time.Hour))
	if left := time.Until(open.End()); left < time.Minute { // too close to the end to be inside
		open = open.Next()
		time.Sleep(left)
	}
	r.do("XADD", r.client.Name(event.Likes), fmt.Sprintf("%d-0", time.Now().Add(30*time.Second).UnixMilli()), "event", "x")
	d := r.drainer()
	if _, err := d.Run(context.Background(), later(open, -1)); err != nil {
		t.Error(err)
	}
	if found := d.Streams(); len(found) != 1 || found[0].Waits || found[0].AheadSeconds < 20 {
		t.Errorf("found %+v, want half a minute ahead", found)
	}
}
