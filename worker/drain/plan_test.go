package drain_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// later returns the window n windows after w; n may be negative.
func later(w window.Window, n int) window.Window {
	w.Start = w.Start.Add(time.Duration(n) * w.Length)
	return w
}

// starts lists when the windows of these records start, as 15:04 of win's day,
// or with the date.
func starts(records []runlog.Record) (all []string) {
	for _, r := range records {
		layout := "15:04"
		if r.Window.Start.Format(time.DateOnly) != win.Start.Format(time.DateOnly) {
			layout = "2006-01-02T15:04"
		}
		all = append(all, r.Window.Start.Format(layout))
	}
	return all
}

func TestTheWindowAskedForIsSecondAtTheLatest(t *testing.T) {
	for name, c := range map[string]struct {
		entries []int // windows after 10:05 with entries
		drained []int // windows that are drained before
		asked   int
		want    []string
	}{
		"without a backlog it is the first":                         {[]int{5}, nil, 5, []string{"10:30"}},
		"one older window comes first":                              {[]int{0, 5}, nil, 5, []string{"10:05", "10:30"}},
		"of three older windows, the oldest comes first":            {[]int{0, 1, 3, 5}, nil, 5, []string{"10:05", "10:30", "10:10", "10:20"}},
		"also when it is empty":                                     {[]int{0, 1, 3}, nil, 5, []string{"10:05", "10:30", "10:10", "10:20"}},
		"windows without entries come after those with some":        {[]int{2, 4, 5}, []int{0}, 5, []string{"10:15", "10:30", "10:25", "10:10", "10:20"}},
		"and after the one asked for":                               {[]int{5}, []int{0}, 4, []string{"10:25", "10:10", "10:15", "10:20"}},
		"a window that is drained already is not drained again":     {[]int{3}, []int{0, 1, 2}, 3, []string{"10:20"}},
		"what comes behind the one asked for waits for its own run": {[]int{0, 3, 5}, nil, 3, []string{"10:05", "10:20"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.cfg.CatchUp = false
			for _, n := range c.drained {
				r.drain(later(win, n))
			}
			r.cfg.CatchUp = true
			for _, n := range c.entries {
				r.addAt(later(win, n).StartMS()+2, later(win, n).StartMS()+3)
			}
			r.want("windows", starts(r.drain(later(win, c.asked))), c.want...)
			for _, n := range c.entries {
				if n > c.asked {
					continue
				}
				if got := len(r.ids(partPath(later(win, n), 0))); got != 2 {
					t.Errorf("the part of %s holds %d entries, want 2", later(win, n), got)
				}
			}
		})
	}
}

func partPath(w window.Window, number int) string {
	return sink.Plain.Path(sink.Name{Window: w, Kind: event.Likes, Part: number})
}

// many adds n likes to a window.
func (r *rig) many(w window.Window, n int) {
	r.Helper()
	var batch []stream.Addition
	for i := range uint64(n) {
		batch = append(batch, stream.Addition{Kind: event.Likes, ID: event.ID{MS: w.StartMS() + i}, Fields: [][]byte{[]byte("event"), like(i)}})
	}
	if _, err := r.client.Add(context.Background(), batch); err != nil {
		r.Fatal(err)
	}
}

// TestABacklogIsDrainedWhateverItsSize drains windows out of order: what they hold
// is in their parts, nothing is left, and the group lags by what is left.
func TestABacklogIsDrainedWhateverItsSize(t *testing.T) {
	for _, c := range []struct {
		name  string
		sizes []int
		noack bool
	}{
		{"a few entries each", []int{3, 4, 5, 6, 7}, false},
		{"so many that they would be trimmed", []int{1500, 1600, 1700, 1800, 1900}, false},
		{"many, without a pending list", []int{1500, 1600, 1700, 1800}, true},
		{"many in the one asked for alone", []int{3, 4, 2500}, false},
		{"many in the old ones alone", []int{2500, 1500, 1500, 2}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.cfg.NoAck = c.noack
			r.keepAccount()
			for i, n := range c.sizes {
				r.many(later(win, i), n)
			}
			last := later(win, len(c.sizes)-1)
			r.addAt(last.EndMS() + 7)
			r.drain(last)
			for i, n := range c.sizes {
				if got := len(r.ids(partPath(later(win, i), 0))); got != n {
					t.Errorf("the part of %s holds %d entries, want %d", later(win, i), got, n)
				}
			}
			left, pending := r.left()
			r.want("left", left, fmt.Sprintf("%d-0", last.EndMS()+7))
			if pending != 0 {
				t.Errorf("%d entries are pending", pending)
			}
			r.lagsBy(1)
			r.balanced()
			r.drain(last.Next())
			r.settled()
			r.lagsBy(0)
			r.balanced()
		})
	}
}

// lagsBy expects that Redis says how many likes our group has not read.
func (r *rig) lagsBy(want int64) {
	r.Helper()
	groups, err := r.server.Client().XInfoGroups(context.Background(), r.client.Name(event.Likes)).Result()
	if err != nil {
		r.Fatal(err)
	}
	for _, g := range groups {
		if g.Name == stream.DefaultGroup && g.Lag != want {
			r.Errorf("the group lags by %d, want %d", g.Lag, want)
		}
	}
}

func TestARunThatIsKilledBetweenWindowsLeavesNothingBehind(t *testing.T) {
	for _, spec := range []string{"part.hardened#2=EIO", "part.hardened#7=EIO", "part.synced#12=EIO", "part.linked#18=ENOSPC"} {
		t.Run(spec, func(t *testing.T) {
			r := newRig(t)
			r.keepAccount()
			sizes := []int{1200, 3, 1300, 4, 1400}
			for i, n := range sizes {
				r.many(later(win, i), n)
			}
			last := later(win, len(sizes)-1)
			r.cfg.Faults = withFault(t, spec)
			if _, err := r.drainer().Run(context.Background(), last); drain.Classify(err) != drain.Unavailable {
				t.Fatalf("got %v, class %q; the fault did not happen or has the wrong class", err, drain.Classify(err))
			}
			r.cfg.Faults = nil
			r.drain(last)
			for i, n := range sizes {
				if got := len(r.ids(partPath(later(win, i), 0))); got != n {
					t.Errorf("the part of %s holds %d entries, want %d", later(win, i), got, n)
				}
			}
			r.settled()
			r.balanced()
		})
	}
}
