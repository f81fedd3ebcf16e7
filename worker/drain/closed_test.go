package drain_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"datawriter/worker/drain"
	"datawriter/worker/window"
)

func TestAWindowThatCannotCloseSoonIsAMistake(t *testing.T) {
	r := newRig(t)
	now, err := r.client.Now(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	current, err := window.Containing(now, win.Length)
	if err != nil {
		t.Fatal(err)
	}
	after := func(d time.Duration) window.Window {
		return window.Window{Start: current.Start.Add(d), Length: current.Length}
	}
	for _, c := range []struct {
		name  string
		w     window.Window
		error error
		class drain.Class
	}{
		{"the one that is open", current, drain.ErrNotClosed, drain.Unavailable},
		{"the one after the next", after(2 * win.Length), drain.ErrMistaken, drain.Configuration},
		{"in an hour", after(time.Hour), drain.ErrMistaken, drain.Configuration},
		{"tomorrow", after(24 * time.Hour), drain.ErrMistaken, drain.Configuration},
		{"in a year", after(365 * 24 * time.Hour), drain.ErrMistaken, drain.Configuration},
		{"in the year 9999", window.Window{Start: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), Length: win.Length}, drain.ErrMistaken, drain.Configuration},
		{"before computers counted", window.Window{Start: time.Unix(0, 0).UTC(), Length: win.Length}, drain.ErrMistaken, drain.Configuration},
		{"in the year 1999", window.Window{Start: time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC), Length: win.Length}, drain.ErrMistaken, drain.Configuration},
		{"before Bluesky", window.Window{Start: time.Date(2016, 11, 23, 10, 0, 0, 0, time.UTC), Length: win.Length}, drain.ErrMistaken, drain.Configuration},
	} {
		r.cfg.Wait = 0
		_, err := r.drainer().Run(context.Background(), c.w)
		if !errors.Is(err, c.error) || drain.Classify(err) != c.class {
			t.Errorf("%s: %v, of class %s; want %v, %s", c.name, err, drain.Classify(err), c.error, c.class)
		}
		if says := err.Error(); errors.Is(err, drain.ErrMistaken) && c.w.Start.After(now) && !strings.Contains(says, "by the clock of redis, which says 2") {
			t.Errorf("%s: %q does not say what time it is for Redis", c.name, says)
		}
		if _, err := os.Stat(r.path(c.w, 0)); err == nil {
			t.Errorf("%s: a part was published", c.name)
		}
	}
}

func TestAnOldWindowIsDrainedWhereThereIsSomethingOfIt(t *testing.T) {
	old := window.Window{Start: time.Unix(0, 0).UTC(), Length: win.Length}
	r := newRig(t)
	r.addAt(7)
	for range 2 { // and again, when only the files know of it
		if _, err := r.drainer().Run(context.Background(), old); err != nil {
			t.Fatal(err)
		}
	}
	r.want("the part", r.ids("1970/01/01/00/likes/19700101T000000Z-5m-00.parquet"), "7-0")
	if _, err := r.drainer().Run(context.Background(), old.Next()); !errors.Is(err, drain.ErrMistaken) {
		t.Errorf("the window after it: %v, want ErrMistaken", err)
	}
}
