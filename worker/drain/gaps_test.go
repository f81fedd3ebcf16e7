package drain_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/verify"
	"datawriter/worker/window"
)

// heard drains a window and returns what the run said of it: its records, its
// gaps and the messages of its log.
func (r *rig) heard(w window.Window) ([]runlog.Record, drain.Gaps, []string) {
	r.Helper()
	core, lines := observer.New(zapcore.InfoLevel)
	to, err := sink.OpenURL(r.data, r.cfg.Faults)
	if err != nil {
		r.Fatal(err)
	}
	d := drain.New(r.client, to, runlog.Open(filepath.Join(r.data, "_state")), r.cfg, zap.New(core))
	records, err := d.Run(context.Background(), w)
	if err != nil {
		r.Fatal(err)
	}
	var messages []string
	for _, line := range lines.All() {
		messages = append(messages, line.Message)
	}
	return records, d.Gaps(), messages
}

// verified expects that verify finds nothing wrong with the archive.
func (r *rig) verified() {
	r.Helper()
	to, err := sink.OpenURL(r.data, nil)
	if err != nil {
		r.Fatal(err)
	}
	report, err := verify.New(to, verify.Config{Source: r.client, Layout: r.cfg.Layout}).Run(context.Background())
	if err != nil || report.Err() != nil {
		r.Errorf("verify: %v, %v: %v", err, report.Err(), report.Violations[:min(3, len(report.Violations))])
	}
}

// TestTheExampleOfTheReadmeDoesNotStopTheWorld: a window of days ago in a fresh
// archive, and then the window of now.
func TestTheExampleOfTheReadmeDoesNotStopTheWorld(t *testing.T) {
	r := newRig(t)
	r.addAt(s)
	r.drain(win)
	now := later(win, 1313)
	r.addAt(now.StartMS())
	records, gaps, messages := r.heard(now)
	if len(records) != 1+288 || records[0].Window != now {
		t.Errorf("%d windows, the first %s; want the present one and 288 empty ones", len(records), records[0].Window)
	}
	want := drain.Gaps{Windows: 1312, From: win.End(), To: now.Start, ThisRun: 288}
	if gaps != want {
		t.Errorf("gaps %+v, want %+v", gaps, want)
	}
	const said = "1,312 empty windows from 2026-11-23T10:10:00Z to 2026-11-27T23:30:00Z, 288 a run"
	if !slices.Contains(messages, said) {
		t.Errorf("the log does not say %q, but %q", said, messages[:min(3, len(messages))])
	}
	r.addAt(now.EndMS())
	records, gaps, _ = r.heard(now.Next())
	if gaps.Windows != 1312-288 || gaps.From != later(win, 289).Start || records[0].Window != now.Next() {
		t.Errorf("the next run begins with %s and has the gaps %+v", records[0].Window, gaps)
	}
}

func TestGapsAreFilledToTheLast(t *testing.T) {
	for name, c := range map[string]struct {
		length  time.Duration
		drained []int // windows after win, one after the other, the last ones asked for until nothing is missing
		runs    int
		missing int // by the first of them
	}{
		"a gap within an hour":                          {5 * time.Minute, []int{0, 5}, 1, 4},
		"a gap of 300 windows":                          {5 * time.Minute, []int{0, 301}, 2, 300},
		"two gaps, the older one longer ago than a day": {time.Hour, []int{0, 3, 40}, 1, 38},
		"a gap that begins and ends within hours":       {15 * time.Minute, []int{2, 11}, 1, 8},
		"windows of a second":                           {time.Second, []int{0, 30}, 1, 29},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.cfg.Length = c.length
			first := window.Window{Start: win.Start.Truncate(time.Hour).Add(-300 * 24 * time.Hour), Length: c.length}
			r.cfg.CatchUp = false
			for _, n := range c.drained[:len(c.drained)-1] {
				r.drain(later(first, n))
			}
			r.cfg.CatchUp = true
			asked := later(first, c.drained[len(c.drained)-1])
			for run := 1; ; run++ {
				_, gaps, _ := r.heard(asked)
				if run == 1 && gaps.Windows != c.missing {
					t.Errorf("%d windows lack a part, want %d", gaps.Windows, c.missing)
				}
				if gaps.Windows == 0 && run != c.runs+1 || run > c.runs+1 {
					t.Fatalf("nothing was missing in run %d, want %d", run, c.runs+1)
				}
				if gaps.Windows == 0 {
					break
				}
				asked = asked.Next()
			}
			r.verified()
		})
	}
}

// TestAPauseOfMonthsIsAGap only looks: filling it takes days.
func TestAPauseOfMonthsIsAGap(t *testing.T) {
	for name, c := range map[string]struct{ days, missing int }{
		"a month":        {30, 30*24 - 1},
		"most of a year": {360, 360*24 - 1},
		"two years":      {730, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.cfg.Length = time.Hour
			hour := window.Window{Start: win.Start.Truncate(time.Hour), Length: time.Hour}
			r.drain(later(hour, -24*c.days))
			r.cfg.Faults = withFault(t, "part.synced=EIO") // of the window that is asked for, the first
			d := r.drainer()
			if _, err := d.Run(context.Background(), hour); drain.Classify(err) != drain.Unavailable {
				t.Fatalf("the fault did not happen: %v", err)
			}
			if got := d.Gaps().Windows; got != c.missing {
				t.Errorf("%d windows lack a part, want %d", got, c.missing)
			}
		})
	}
}

func TestABareLengthFillsGapsToo(t *testing.T) {
	r := newRig(t)
	r.cfg.Length = time.Hour
	now := must(window.Containing(time.Now(), time.Hour))
	r.addAt(later(now, -40).StartMS(), later(now, -38).StartMS(), later(now, -30).StartMS())
	d := r.drainer()
	records, err := d.RunClosed(context.Background())
	if err != nil || len(records) != 3 {
		t.Fatalf("a fresh archive: %d windows, %v; want the three with entries", len(records), err)
	}
	records, err = d.RunClosed(context.Background())
	if err != nil || d.Gaps().Windows < 36 || records[0].Window.Start.Before(later(now, -1).Start) {
		t.Fatalf("the first is %s, gaps %+v, %v; want the newest closed one first", records[0].Window, d.Gaps(), err)
	}
}

// TestMisdatedEntriesAreDrainedAndNothingElse: an ID that no clock of today gives
// makes a window of its own, and no window between that and today.
func TestMisdatedEntriesAreDrainedAndNothingElse(t *testing.T) {
	now := later(win, 4)
	for name, c := range map[string]struct {
		ids     []string
		windows []string
	}{
		"the smallest ID":             {[]string{"0-1"}, []string{"1970-01-01T00:00"}},
		"no milliseconds at all":      {[]string{"0-1", "0-2", "0-18446744073709551615"}, []string{"1970-01-01T00:00"}},
		"a producer that counts":      {[]string{"1-1", "2-1", "3-0", "1000000-0"}, []string{"1970-01-01T00:00", "1970-01-01T00:15"}},
		"the edge of a window":        {[]string{"299999-18446744073709551615", "300000-0"}, []string{"1970-01-01T00:00", "1970-01-01T00:05"}},
		"seconds for milliseconds":    {[]string{"1795428300-0", "1795428301-0"}, []string{"1970-01-21T18:40"}},
		"a machine without a battery": {[]string{"946684800000-0", "946684801000-5"}, []string{"2000-01-01T00:00"}},
		"a clock of last year":        {[]string{"1763892300000-0"}, []string{"2025-11-23T10:05"}},
		"a clock of 40 days ago":      {[]string{"1791972300000-0"}, []string{"2026-10-14T10:05"}},
	} {
		for _, noack := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, noack=%t", name, noack), func(t *testing.T) {
				r := newRig(t)
				r.cfg.NoAck = noack
				r.keepAccount()
				for _, id := range c.ids {
					r.addRaw(must(event.ParseID(id)), "event", string(like(1)))
				}
				r.addAt(now.StartMS(), now.Next().StartMS())
				records, gaps, messages := r.heard(now)
				want := slices.Insert(slices.Clone(c.windows), 1, "10:25")
				r.want("windows", starts(records), want...)
				var misdated int64
				var got []string
				for _, record := range records {
					misdated += record.Kinds[event.Likes].Misdated
					if record.Window != now {
						got = append(got, r.ids(partPath(record.Window, 0))...)
					}
				}
				r.want("in the folders of their time", got, c.ids...)
				if misdated != int64(len(c.ids)) {
					t.Errorf("%d entries are reported as misdated, want %d", misdated, len(c.ids))
				}
				if !slices.ContainsFunc(messages, func(m string) bool { return strings.Contains(m, "IDs of another time") }) {
					t.Errorf("the log says nothing of them: %q", messages)
				}
				if gaps.Windows > 0 {
					t.Errorf("they begin gaps: %+v", gaps)
				}
				records, gaps, _ = r.heard(now.Next())
				r.want("the next run", starts(records), "10:30")
				if gaps.Windows > 0 {
					t.Errorf("the next run has gaps: %+v", gaps)
				}
				r.want("a run later, with a window between", starts(r.drain(later(now, 3))), "10:40", "10:35")
				r.settled()
				r.balanced()
				r.verified()
			})
		}
	}
}

// TestAnAskedForWindowIsOfItsTime: who asks for an old window by name, to fill it
// again, is not told that its entries are misdated.
func TestAnAskedForWindowIsOfItsTime(t *testing.T) {
	r := newRig(t)
	old := later(win, -288*365)
	r.addAt(old.StartMS())
	if k := likes(r.drain(old)); k.Rows != 1 || k.Misdated != 0 {
		t.Errorf("report: %+v", k)
	}
}
