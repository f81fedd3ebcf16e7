package drain_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

const s, e = uint64(1795428300000), uint64(1795428600000) // of win, in milliseconds

func TestEntriesAtTheEdgesLandInTheirWindows(t *testing.T) {
	r := newRig(t)
	r.addAt(s-1, s, e-1, e)
	records := r.drain(win)
	if len(records) != 2 {
		t.Fatalf("%d windows were drained, want the older one and the one asked for", len(records))
	}
	r.want("the window", r.ids(likesPath(0)), fmt.Sprintf("%d-0", s), fmt.Sprintf("%d-0", e-1))
	older := sink.Plain.Path(sink.Name{Window: win.Previous(), Kind: event.Likes})
	r.want("the one before", r.ids(older), fmt.Sprintf("%d-0", s-1))
	left, pending := r.left()
	r.want("left for the next", left, fmt.Sprintf("%d-0", e))
	if pending != 0 {
		t.Errorf("%d entries of the next window were claimed", pending)
	}
}

func TestARerunChangesNoFile(t *testing.T) {
	r := newRig(t)
	r.addAt(s, s+1, s+2)
	r.drain(win)
	before := r.files()
	if len(before) != len(event.Kinds()) {
		t.Fatalf("%d files, want one a kind, empty ones included", len(before))
	}
	for range 2 {
		records := r.drain(win)
		if k := likes(records); k.Entries != 0 || len(k.Parts) != 0 {
			t.Errorf("the rerun reports %+v", k)
		}
	}
	if !maps.Equal(before, r.files()) {
		t.Error("the rerun changed files")
	}
}

func TestLateEntriesGoToTheNextPart(t *testing.T) {
	r := newRig(t)
	r.addAt(s, s+1)
	r.drain(win)
	// A clock that stepped back, or a failover, lets IDs below the fence appear.
	if err := r.server.Client().Del(context.Background(), r.client.Name(event.Likes)).Err(); err != nil {
		t.Fatal(err)
	}
	r.addAt(s + 5)
	r.addRaw(event.ID{MS: s + 6}, "event", "{broken")
	k := likes(r.drain(win))
	if k.Late != 2 || k.Rows != 1 || k.Rejected != 1 {
		t.Errorf("report: %+v, want 1 row and 1 reject, both late", k)
	}
	r.want("part 01", r.ids(likesPath(1)), fmt.Sprintf("%d-0", s+5))
	r.want("rejects 01", r.ids(rejectsPath(1)), fmt.Sprintf("%d-0", s+6))
	r.settled()
}

func TestTheSameIDWithAnotherContentIsAnotherEntry(t *testing.T) {
	r := newRig(t)
	r.addAt(s)
	r.drain(win)
	if err := r.server.Client().Del(context.Background(), r.client.Name(event.Likes)).Err(); err != nil {
		t.Fatal(err)
	}
	r.addRaw(event.ID{MS: s}, "event", string(like(77)))
	r.addAt(s + 1)
	r.drain(win)
	r.want("part 01", r.ids(likesPath(1)), fmt.Sprintf("%d-0", s), fmt.Sprintf("%d-0", s+1))
	r.settled()
}

func TestWhatAnEarlierRunClaimedIsReadAgain(t *testing.T) {
	for name, disturb := range map[string]func(r *rig){
		"claimed and not settled": func(*rig) {},
		"its consumer deleted": func(r *rig) {
			r.do("XGROUP", "DELCONSUMER", r.client.Name(event.Likes), stream.DefaultGroup, "datawriter")
		},
		"its group destroyed": func(r *rig) {
			r.do("XGROUP", "DESTROY", r.client.Name(event.Likes), stream.DefaultGroup)
		},
		"the cursor set past everything": func(r *rig) {
			r.do("XGROUP", "SETID", r.client.Name(event.Likes), stream.DefaultGroup, "$")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.addAt(s, s+1, s+2, e+1)
			r.do("XGROUP", "CREATE", r.client.Name(event.Likes), stream.DefaultGroup, "0")
			r.do("XREADGROUP", "GROUP", stream.DefaultGroup, "datawriter", "COUNT", 2, "STREAMS", r.client.Name(event.Likes), ">")
			disturb(r)
			r.drain(win)
			if n := len(r.ids(likesPath(0))); n != 3 {
				t.Errorf("the part holds %d entries, want 3", n)
			}
			r.drain(win.Next())
			r.settled()
		})
	}
}

func (r *rig) do(args ...any) {
	r.Helper()
	if err := r.server.Client().Do(context.Background(), args...).Err(); err != nil {
		r.Fatal(err)
	}
}

func TestAnotherGroupKeepsWhatItHasNotAcked(t *testing.T) {
	r := newRig(t)
	name := r.client.Name(event.Likes)
	r.addAt(s, s+1, s+2)
	r.do("XGROUP", "CREATE", name, "other", "0")
	r.do("XREADGROUP", "GROUP", "other", "x", "COUNT", 2, "STREAMS", name, ">")
	r.do("XACK", name, "other", fmt.Sprintf("%d-0", s))
	before := r.drain(win)
	if k := likes(before); k.Rows != 3 {
		t.Fatalf("%d rows, want 3", k.Rows)
	}
	left, pending := r.left()
	r.want("left", left, fmt.Sprintf("%d-0", s+1), fmt.Sprintf("%d-0", s+2))
	if pending != 0 {
		t.Errorf("%d pending in our group", pending)
	}
	files := r.files()
	r.do("XREADGROUP", "GROUP", "other", "x", "COUNT", 9, "STREAMS", name, ">")
	r.do("XACK", name, "other", fmt.Sprintf("%d-0", s+1), fmt.Sprintf("%d-0", s+2))
	r.drain(win.Next())
	r.settled()
	for path, content := range r.files() {
		if old, ok := files[path]; ok && old != content {
			t.Errorf("%s changed", path)
		}
	}
}

func TestAManyPagedWindowIsTrimmed(t *testing.T) {
	for _, noack := range []bool{false, true} {
		t.Run(fmt.Sprintf("noack=%t", noack), func(t *testing.T) {
			r := newRig(t)
			r.cfg.NoAck = noack
			var batch []stream.Addition
			const n = 12_345
			for i := range uint64(n) {
				batch = append(batch, stream.Addition{Kind: event.Likes, ID: event.ID{MS: s + i/4, Seq: i}, Fields: [][]byte{[]byte("event"), like(i)}})
			}
			if _, err := r.client.Add(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
			r.addAt(e)
			k := likes(r.drain(win))
			if k.Rows != n || k.Settled < n {
				t.Errorf("report: %+v, want %d rows, all settled", k, n)
			}
			if got := len(r.ids(likesPath(0))); got != n {
				t.Errorf("the part holds %d entries, want %d", got, n)
			}
			left, pending := r.left()
			r.want("left", left, fmt.Sprintf("%d-0", e))
			if pending != 0 {
				t.Errorf("%d pending", pending)
			}
		})
	}
}

func TestMalformedEntriesAreRejectedWithTheirBytes(t *testing.T) {
	r := newRig(t)
	big := `{"did":"` + strings.Repeat("x", 5_000_000) + `"}`
	cases := []struct {
		reason event.Reason
		fields []string
	}{
		{event.ReasonNotJSON, []string{"event", "{oops"}},
		{event.ReasonNotUTF8, []string{"event", "{\"did\":\"\xff\"}"}},
		{event.ReasonNoEvent, []string{"other", "x\x00y", "b", ""}},
		{event.ReasonCollection, []string{"event", strings.ReplaceAll(string(like(1)), "feed.like", "feed.post")}},
		{event.ReasonNoTime, []string{"event", strings.Replace(string(like(1)), `"time_us":1783175888218287,`, "", 1)}},
		{event.ReasonTimeOutOfRange, []string{"event", strings.Replace(string(like(1)), "1783175888218287", "17", 1)}},
		{event.ReasonTooLarge, []string{"event", big}},
	}
	for i, c := range cases {
		r.addRaw(event.ID{MS: s + uint64(i)}, c.fields...)
	}
	r.addAt(s + 100)
	k := likes(r.drain(win))
	if k.Rejected != int64(len(cases)) || k.Rows != 1 {
		t.Errorf("report: %+v", k)
	}
	i := 0
	r.open(rejectsPath(0), func(f *part.File) error {
		return part.ReadRows(f, event.RejectColumns(), func(got *event.Reject) error {
			if event.Reason(got.Reason) != cases[i].reason {
				t.Errorf("entry %d: reason %s, want %s", i, got.Reason, cases[i].reason)
			}
			var fields []string
			for _, f := range got.Fields {
				fields = append(fields, string(f))
			}
			if !slices.Equal(fields, cases[i].fields) {
				t.Errorf("entry %d: its fields changed", i)
			}
			i++
			return nil
		})
	})
	r.settled()
}

func TestAnArchiveKeepsItsShape(t *testing.T) {
	r := newRig(t)
	r.addAt(s)
	r.drain(win)
	before := r.files()
	r.server.Kill() // a refusal comes before anything touches Redis
	for name, change := range map[string]func(*drain.Config){
		"another window length": func(c *drain.Config) { c.Length = time.Minute },
		"another layout":        func(c *drain.Config) { c.Layout = sink.Hive },
	} {
		good := r.cfg
		change(&r.cfg)
		w := must(window.Containing(win.Start, r.cfg.Length))
		_, err := r.drainer().Run(context.Background(), w)
		if !errors.Is(err, sink.ErrOtherArchive) || drain.Classify(err) != drain.Configuration {
			t.Errorf("%s: got %v, want ErrOtherArchive", name, err)
		}
		r.cfg = good
	}
	if !maps.Equal(before, r.files()) {
		t.Error("files changed")
	}
}

func TestAnOpenWindowIsNotDrained(t *testing.T) {
	r := newRig(t)
	r.cfg.Wait = 20 * time.Millisecond
	w := must(window.Containing(time.Now(), time.Hour))
	r.cfg.Length = time.Hour
	_, err := r.drainer().Run(context.Background(), w)
	if !errors.Is(err, drain.ErrNotClosed) || drain.Classify(err) != drain.Unavailable {
		t.Errorf("got %v, want ErrNotClosed", err)
	}
	if files := r.files(); len(files) > 0 {
		t.Errorf("files were published: %v", slices.Collect(maps.Keys(files)))
	}
}

func TestAWindowThatClosesSoonIsAwaited(t *testing.T) {
	r := newRig(t)
	r.cfg.Wait, r.cfg.Length = 5*time.Second, time.Second
	r.drain(must(window.Containing(time.Now(), time.Second)))
}

func TestCatchUpDrainsOlderWindowsIntoTheirOwnFiles(t *testing.T) {
	r := newRig(t)
	first := win
	r.addAt(first.StartMS())
	r.drain(first)
	later := first.Next().Next().Next()
	r.addAt(first.Next().StartMS()+7, later.StartMS()+9)
	records := r.drain(later)
	var got []string
	for _, record := range records {
		got = append(got, record.Window.String())
	}
	r.want("windows, the empty one last", got,
		first.Next().String(), later.String(), first.Next().Next().String())
	if n := len(r.files()); n != 4*len(event.Kinds()) {
		t.Errorf("%d files, want four windows of one a kind", n)
	}
	r.settled()
}

func TestBareLengthDrainsEveryClosedWindow(t *testing.T) {
	r := newRig(t)
	r.addAt(s, s+uint64(time.Hour.Milliseconds()))
	now := uint64(time.Now().UnixMilli())
	r.addAt(now + 1000*3600)
	if _, err := r.drainer().RunClosed(context.Background()); !errors.Is(err, drain.ErrAhead) {
		t.Fatalf("got %v, want that the stream is ahead of the clock", err)
	}
	left, _ := r.left()
	if len(left) != 1 {
		t.Errorf("left: %v, want only the entry of the future", left)
	}
}

func TestStoppingGivesBackTheLease(t *testing.T) {
	r := newRig(t)
	r.addAt(s)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(drain.ErrStopped)
	_, err := r.drainer().Run(ctx, win)
	if drain.Classify(err) != drain.Stop {
		t.Errorf("got %v, want stopped", err)
	}
	r.drain(win)
	r.settled()
}

// TestAnEventCostsHalfAnAllocationAtMost guards the way from Redis's reply to
// the page: an object per event or per field would be seen at once.
func TestAnEventCostsHalfAnAllocationAtMost(t *testing.T) {
	r := newRig(t)
	const n = 40_000
	var batch []stream.Addition
	for i := range uint64(n) {
		batch = append(batch, stream.Addition{Kind: event.Likes, ID: event.ID{MS: s + i}, Fields: [][]byte{[]byte("event"), like(i)}})
	}
	if _, err := r.client.Add(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	d := r.drainer()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := d.Run(context.Background(), win); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if each := float64(after.Mallocs-before.Mallocs) / n; each > 0.5 {
		t.Errorf("%.2f allocations an event, want at most 0.5", each)
	} else {
		t.Logf("%.3f allocations an event", each)
	}
}

// A run that was killed between linking and syncing leaves names that a loss of
// power takes back. Whoever finds them drained makes them durable, even when Redis
// has lost the entries meanwhile.
func TestNamesOfAKilledRunAreMadeDurableWithNothingLeftToSettle(t *testing.T) {
	r := newRig(t)
	r.addAt(s, s+1)
	r.drain(win) // stands for the run that was killed: its names may not be durable
	trace := filepath.Join(t.TempDir(), "trace")
	r.cfg.Faults = withFault(t, "trace="+trace)
	r.drain(win)
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range event.Kinds() {
		folder := filepath.Join(r.data, sink.Plain.Folder(sink.Name{Window: win, Kind: kind}))
		if !strings.Contains(string(text), "names\t"+folder+"\n") {
			t.Errorf("the names in %s were not synced; the trace:\n%s", folder, text)
		}
	}
}

func TestFieldsWithoutAColumnAreCounted(t *testing.T) {
	for name, of := range map[string]struct {
		fields []string
		want   int64
	}{
		"the event alone":             {nil, 0},
		"a number":                    {[]string{"seq", "7"}, 0},
		"a number that is none":       {[]string{"seq", "seven"}, 1},
		"a number below 1":            {[]string{"seq", "0"}, 1},
		"two others and a number":     {[]string{"seq", "7", "a", "b", "source", ""}, 2},
		"the same name twice":         {[]string{"a", "b", "a", "c"}, 2},
		"an event in another writing": {[]string{"Event", "{}"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.addRaw(event.ID{MS: s}, append([]string{"event", string(like(1))}, of.fields...)...)
			r.addRaw(event.ID{MS: s + 1}, append([]string{"event", "{", "x", "y"}, of.fields...)...) // a reject keeps them all
			if k := likes(r.drain(win)); k.Unkept != of.want || k.Rows != 1 || k.Rejected != 1 {
				t.Errorf("report %+v, want %d fields that are in no file", k, of.want)
			}
		})
	}
}
