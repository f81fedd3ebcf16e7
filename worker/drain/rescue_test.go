package drain_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// wreck is a stream of likes that somebody leads into the future. Its entries are
// numbered, so that each can be found again whatever ID it has.
type wreck struct {
	*rig
	name  string
	added uint64 // likes with the numbers 1 to it
}

func newWreck(t *testing.T) *wreck {
	r := newRig(t)
	r.cfg.Length = time.Second // so that windows of now close while the test waits
	r.cfg.Wait = 5 * time.Second
	r.keepAccount()
	return &wreck{rig: r, name: r.client.Name(event.Likes)}
}

// add adds the next like with an ID, * for one that Redis gives.
func (w *wreck) add(id string, more ...string) {
	w.Helper()
	w.added++
	args := []any{"XADD", w.name, id, "event", string(like(w.added))}
	for _, m := range more {
		args = append(args, m)
	}
	w.do(args...)
}

func (w *wreck) addMany(n int) {
	w.Helper()
	pipe := w.server.Client().Pipeline()
	for range n {
		w.added++
		pipe.Do(context.Background(), "XADD", w.name, "*", "event", string(like(w.added)))
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		w.Fatal(err)
	}
}

// ahead is an ID that lies ahead of the clock.
func ahead(d time.Duration) string { return fmt.Sprintf("%d-0", time.Now().Add(d).UnixMilli()) }

// rescue rescues the likes.
func (w *wreck) rescue() drain.RescueReport {
	w.Helper()
	report, err := w.drainer().Rescue(context.Background(), event.Likes, false)
	if err != nil {
		w.Fatal(err)
	}
	return report
}

// drainNow drains everything that is there now, once its window has closed.
func (w *wreck) drainNow() {
	w.Helper()
	last, ok, err := w.client.Stream(event.Likes).First(context.Background(), 0)
	if err != nil {
		w.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ok; {
		if _, err := w.drainer().RunClosed(context.Background()); err != nil {
			w.Fatal(err)
		}
		if last, ok, err = w.client.Stream(event.Likes).First(context.Background(), 0); err != nil {
			w.Fatal(err)
		}
		if time.Now().After(deadline) {
			w.Fatalf("entry %s is still there", last)
		}
		time.Sleep(20 * time.Millisecond) // until its window closes
	}
}

// archived returns how often each like stands in files, by its number.
func (w *wreck) archived() map[string]int {
	w.Helper()
	found := make(map[string]int)
	for path := range w.files() {
		if !strings.Contains(path, "/likes/") {
			continue
		}
		w.open(path, func(f *part.File) error {
			return part.ReadRows(f, event.RowColumns(event.Likes), func(r *event.Row) error { found[string(r.RKey)]++; return nil })
		})
	}
	return found
}

// eachOnce drains what is there and expects every like in the archive once, the
// account closed and nothing beside the stream.
func (w *wreck) eachOnce() {
	w.Helper()
	w.drainNow()
	if _, err := w.drainer().RunClosed(context.Background()); err != nil { // the first run of an archive fills no gaps
		w.Fatal(err)
	}
	found := w.archived()
	for n := uint64(1); n <= w.added; n++ {
		if times := found[fmt.Sprintf("r%d", n)]; times != 1 {
			w.Errorf("like %d stands in the archive %d times", n, times)
		}
	}
	if len(found) != int(w.added) {
		w.Errorf("%d likes are archived, want %d", len(found), w.added)
	}
	w.settled()
	w.balanced()
	if n := w.server.Client().Exists(context.Background(), w.name+":rescue", w.name+":rescue:kept").Val(); n != 0 {
		w.Errorf("%d keys are left beside the stream", n)
	}
	w.verified()
}

func TestARescueBringsEveryEntryIntoTheArchiveOnce(t *testing.T) {
	honest := func(w *wreck) {
		w.add(ahead(-20 * time.Second))
		w.add(ahead(-15 * time.Second))
		w.add("*")
	}
	for name, c := range map[string]struct {
		wreck       func(w *wreck)
		kept, again int64
	}{
		"an hour":                       {func(w *wreck) { honest(w); w.add(ahead(time.Hour)); w.add("*"); w.add("*") }, 3, 3},
		"a year, and nothing behind it": {func(w *wreck) { honest(w); w.add(ahead(365 * 24 * time.Hour)) }, 3, 1},
		"nothing honest before":         {func(w *wreck) { w.add(ahead(time.Hour)); w.add("*") }, 0, 2},
		"microseconds for milliseconds": {func(w *wreck) { honest(w); w.add(fmt.Sprintf("%d-0", time.Now().UnixMicro())); w.add("*") }, 3, 2},
		"the last ID there is, which nothing can follow": {func(w *wreck) {
			honest(w)
			w.add("18446744073709551615-18446744073709551615")
			if err := w.server.Client().Do(context.Background(), "XADD", w.name, "*", "event", "x").Err(); err == nil {
				w.Fatal("Redis takes an entry behind the last ID there is")
			}
		}, 3, 1},
		"the last millisecond there is":                          {func(w *wreck) { honest(w); w.add("18446744073709551615-0"); w.add("*"); w.add("*") }, 3, 3},
		"a clock that leapt, and only the last ID is left of it": {func(w *wreck) { honest(w); w.do("XSETID", w.name, ahead(time.Hour)) }, 3, 0},
		"a clock that leapt, and nothing at all is left": {func(w *wreck) {
			w.do("XGROUP", "CREATE", w.name, "datawriter", "0", "MKSTREAM")
			w.do("XSETID", w.name, ahead(time.Hour))
		}, 0, 0},
		"an ID from the future that was deleted": {func(w *wreck) {
			honest(w)
			id := ahead(time.Hour)
			w.do("XADD", w.name, id, "event", "x")
			w.do("XDEL", w.name, id)
			w.add("*")
		}, 3, 1},
		"several IDs from the future, further and further": {func(w *wreck) {
			honest(w)
			for n := range 5 {
				w.add(ahead(time.Duration(n+1) * time.Hour))
				w.add("*")
			}
		}, 3, 10},
		"many pages of both":               {func(w *wreck) { w.addMany(2500); w.add(ahead(time.Hour)); w.addMany(3400) }, 2500, 3401},
		"windows that were drained before": {func(w *wreck) { honest(w); w.drainNow(); w.add(ahead(time.Hour)); w.add("*") }, 0, 2},
		"numbered entries": {func(w *wreck) {
			for n := range 4 {
				w.add("*", "seq", fmt.Sprint(n+1))
			}
			w.add(ahead(time.Hour), "seq", "5")
			w.add("*", "seq", "6")
		}, 4, 2},
	} {
		for _, noack := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, noack=%t", name, noack), func(t *testing.T) {
				t.Parallel()
				w := newWreck(t)
				w.cfg.NoAck = noack
				c.wreck(w)
				report := w.rescue()
				if report.Status != drain.Rescued || report.Kept != c.kept || report.Added != c.again {
					t.Errorf("report %+v, want %d kept and %d added again", report, c.kept, c.again)
				}
				w.add("*") // producers go on
				if report := w.rescue(); report.Status != drain.RescueNothing {
					t.Errorf("a second rescue: %+v", report)
				}
				w.eachOnce()
			})
		}
	}
}

// TestWhatIsPublishedAndNotSettledKeepsItsID: added again under another ID it would
// come into the archive twice.
func TestWhatIsPublishedAndNotSettledKeepsItsID(t *testing.T) {
	w := newWreck(t)
	closed := must(window.Containing(time.Now().Add(-5*time.Second), time.Second))
	for n := range uint64(5) {
		w.add(fmt.Sprintf("%d-0", closed.StartMS()+n))
	}
	w.published(closed)
	w.add(ahead(time.Hour))
	w.add("*")
	if report := w.rescue(); report.Kept != 5 || report.Added != 2 {
		t.Errorf("report %+v", report)
	}
	w.eachOnce()
}

// TestEntriesOfAWindowThatALeaptClockClosedAreNotAddedAgain: they are in a part of
// the future, and the run was killed before it settled them.
func TestEntriesOfAWindowThatALeaptClockClosedAreNotAddedAgain(t *testing.T) {
	w := newWreck(t)
	w.cfg.Length = time.Minute
	future := later(must(window.Containing(time.Now(), time.Minute)), 600)
	for n := range uint64(3) {
		w.add(fmt.Sprintf("%d-0", future.StartMS()+n))
	}
	w.published(future)
	w.add("*") // behind them, in no part
	report := w.rescue()
	if report.Settled != 3 || report.Added != 1 {
		t.Errorf("report %+v, want three settled and one added again", report)
	}
	if n := w.server.Client().XLen(context.Background(), w.name).Val(); n != 1 || len(w.archived()) != 3 {
		t.Errorf("%d entries are left and %d archived", n, len(w.archived()))
	}
}

func TestOtherGroupsGoOnBehindARescue(t *testing.T) {
	w := newWreck(t)
	redisClient := w.server.Client()
	ctx := context.Background()
	read := func(group string, count int64) (rkeys []string) {
		t.Helper()
		got, err := redisClient.XReadGroup(ctx, &redis.XReadGroupArgs{Group: group, Consumer: "c", Streams: []string{w.name, ">"}, Count: count, Block: -1}).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		for _, s := range got {
			for _, m := range s.Messages {
				_, after, _ := strings.Cut(m.Values["event"].(string), `"rkey":"`)
				rkey, _, _ := strings.Cut(after, `"`)
				rkeys = append(rkeys, rkey)
			}
		}
		return rkeys
	}
	for range 4 {
		w.add("*")
	}
	w.add(ahead(time.Hour))
	w.add("*")
	for _, group := range []string{"fast", "slow", "idle"} {
		w.do("XGROUP", "CREATE", w.name, group, "0")
	}
	read("fast", 9) // everything, of the future too
	slow := read("slow", 3)
	acked, err := redisClient.XRangeN(ctx, w.name, "-", "+", 1).Result()
	if err != nil {
		t.Fatal(err)
	}
	w.do("XACK", w.name, "slow", acked[0].ID)
	before := redisClient.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: w.name, Group: "slow", Start: "-", End: "+", Count: 9}).Val()

	report := w.rescue()
	slices.Sort(report.OtherGroups)
	w.want("named", report.OtherGroups, "fast", "idle", "slow")
	after := redisClient.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: w.name, Group: "slow", Start: "-", End: "+", Count: 9}).Val()
	if len(before) != 2 || len(after) != 2 || before[0].ID != after[0].ID || after[1].Consumer != "c" || after[1].RetryCount != 1 {
		t.Errorf("pending of slow: %+v, before %+v", after, before)
	}
	w.want("slow had", slow, "r1", "r2", "r3")
	w.want("slow goes on", read("slow", 9), "r4", "r5", "r6")
	w.want("idle begins", read("idle", 9), "r1", "r2", "r3", "r4", "r5", "r6")
	w.want("fast is given again what was added again", read("fast", 9), "r5", "r6")
	for _, group := range []string{"fast", "slow", "idle"} {
		all := redisClient.XRange(ctx, w.name, "-", "+").Val()
		for _, m := range all {
			w.do("XACK", w.name, group, m.ID)
		}
	}
	w.eachOnce()
}

func TestADryRunOfARescueChangesNothing(t *testing.T) {
	w := newWreck(t)
	w.add("*")
	w.add(ahead(time.Hour))
	w.add("*")
	digest := func() string { return w.server.Client().Do(context.Background(), "DEBUG", "DIGEST").String() }
	before := digest()
	report, err := w.drainer().Rescue(context.Background(), event.Likes, true)
	if err != nil || report.Status != drain.RescuePlanned || report.Kept != 1 || report.Added != 2 || report.AheadSeconds < 3500 {
		t.Errorf("report %+v, %v", report, err)
	}
	if digest() != before {
		t.Error("it changed something")
	}
	w.rescue()
	w.eachOnce()
}

func TestWhereNothingIsAheadNothingIsRescued(t *testing.T) {
	for name, leave := range map[string]func(w *wreck){
		"no stream":                  func(*wreck) {},
		"a stream of now":            func(w *wreck) { w.add("*") },
		"an ID a few seconds ahead":  func(w *wreck) { w.do("XADD", w.name, ahead(8*time.Second), "event", "x") },
		"a stream that was fenced":   func(w *wreck) { w.add("*"); w.drainNow() },
		"an old stream":              func(w *wreck) { w.do("XADD", w.name, "1-1", "event", "x") },
		"a stream with other groups": func(w *wreck) { w.add("*"); w.do("XGROUP", "CREATE", w.name, "other", "$") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWreck(t)
			leave(w)
			digest := func() string { return w.server.Client().Do(context.Background(), "DEBUG", "DIGEST").String() }
			before := digest()
			if report := w.rescue(); report.Status != drain.RescueNothing || digest() != before {
				t.Errorf("report %+v", report)
			}
		})
	}
}

func TestARescueLeavesAStreamAloneThatARunHolds(t *testing.T) {
	w := newWreck(t)
	w.add(ahead(time.Hour))
	lease, err := w.client.Stream(event.Likes).TakeLease(context.Background(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	keeping, stop := context.WithCancel(context.Background())
	defer stop()
	go lease.Keep(keeping)
	if _, err := w.drainer().Rescue(context.Background(), event.Likes, false); !errors.Is(err, stream.ErrHeld) {
		t.Errorf("got %v, want ErrHeld", err)
	}
}

// TestARescueThatWasKilledIsReported: what stands beside the stream is no loss, and
// no run is green.
func TestARescueThatWasKilledIsReported(t *testing.T) {
	for name, steps := range map[string]int{"before the exchange": 1, "behind it": 2} {
		t.Run(name, func(t *testing.T) {
			w := newWreck(t)
			w.add("*")
			w.add("*")
			w.drainNow()
			w.add("*")
			w.add(ahead(time.Hour))
			s := w.client.Stream(event.Likes)
			for ; steps > 0; steps-- {
				var err error
				if steps == 1 {
					_, _, err = s.KeepPage(context.Background())
				} else if _, _, err = s.KeepPage(context.Background()); err == nil {
					_, err = s.Swap(context.Background())
					steps = 1
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(1100 * time.Millisecond) // until the windows have closed
			d := w.drainer()
			_, err := d.RunClosed(context.Background())
			if !errors.Is(err, drain.ErrAhead) || errors.Is(err, drain.ErrLost) || !strings.Contains(err.Error(), "datawriter rescue likes") {
				t.Errorf("got %v, want the unfinished rescue", err)
			}
			if found := d.Streams(); len(found) != 1 || found[0].Aside < 1 {
				t.Errorf("found %+v", found)
			}
			w.balanced()
			w.rescue()
			w.eachOnce()
		})
	}
}

// TestWhatARescueLosesIsReported: what stands beside the stream can be evicted or
// deleted like the stream itself.
func TestWhatARescueLosesIsReported(t *testing.T) {
	w := newWreck(t)
	w.add("*")
	w.drainNow()
	w.add(ahead(time.Hour))
	w.add("*")
	if _, err := w.client.Stream(event.Likes).Swap(context.Background()); err != nil {
		t.Fatal(err)
	}
	d := w.drainer()
	_, _ = d.RunClosed(context.Background()) // sees both beside the stream
	w.do("DEL", w.name+":rescue")
	time.Sleep(1100 * time.Millisecond) // until another window has closed
	w.do("XADD", w.name, "*", "event", string(like(99)))
	var lost int64
	for deadline := time.Now().Add(5 * time.Second); lost == 0 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		records, err := d.RunClosed(context.Background())
		for _, r := range records {
			for _, l := range r.Kinds[event.Likes].Losses {
				lost += l.Count
			}
		}
		if lost > 0 && !errors.Is(err, drain.ErrLost) {
			t.Errorf("got %v, want ErrLost", err)
		}
	}
	if lost != 2 {
		t.Errorf("%d entries are reported as lost, want 2", lost)
	}
}

// TestALiveSourceGoesOnBehindARescue: what ingest keeps beside the stream stays true.
func TestALiveSourceGoesOnBehindARescue(t *testing.T) {
	w := newWreck(t)
	intake := w.client.Intake(w.name, 0)
	if _, err := intake.Take(t.Context(), "a:1", time.Hour); err != nil {
		t.Fatal(err)
	}
	feed := func() error {
		w.added++
		return w.client.Feed(context.Background(), "a:1", []*stream.Intake{intake}, []stream.IntakeBatch{{Events: [][]byte{like(w.added)}, Position: fmt.Sprint(w.added)}})
	}
	if err := feed(); err != nil {
		t.Fatal(err)
	}
	w.add("18446744073709551615-18446744073709551615")
	if err := feed(); err == nil {
		t.Fatal("the feed got beyond the last ID there is")
	}
	w.added--
	w.rescue()
	state, err := intake.Take(t.Context(), "a:1", time.Hour)
	if err != nil || state.Position != "1" {
		t.Fatalf("the feed's state is %+v, %v", state, err)
	}
	if err := feed(); err != nil {
		t.Fatal(err)
	}
	w.eachOnce()
}

// published publishes what the likes hold of a window, as a run does that is killed
// before it settles, while the clock says that the window has ended.
func (w *wreck) published(of window.Window) {
	w.Helper()
	ctx := context.Background()
	to, err := sink.OpenURL(w.data, nil)
	if err == nil {
		err = sink.Claim(ctx, to, sink.Archive{WindowLength: of.Length, Layout: w.cfg.Layout, SchemaVersion: part.SchemaVersion})
	}
	if err != nil {
		w.Fatal(err)
	}
	staged, err := to.Stage(ctx, "part")
	if err != nil {
		w.Fatal(err)
	}
	writer := part.NewWriter(staged, event.RowColumns(event.Likes), part.Options{})
	var page stream.Page
	if err := w.client.Stream(event.Likes).Range(ctx, &page, event.ID{MS: of.StartMS()}, event.ID{MS: of.EndMS()}, 100); err != nil {
		w.Fatal(err)
	}
	var decoder event.Decoder
	var row event.Row
	meta := part.Meta{Kind: event.Likes, Window: of, Rows: int64(len(page.Entries)), EntriesAdded: -1, RunID: "r", WriterVersion: "test",
		FirstID: page.Entries[0].ID, LastID: page.Entries[len(page.Entries)-1].ID}
	for i := range page.Entries {
		if reason := decoder.Decode(event.Likes, &page.Entries[i], &row); reason != "" {
			w.Fatal(reason)
		}
		if err := writer.Append(&row); err != nil {
			w.Fatal(err)
		}
	}
	for _, step := range []func() error{
		func() error { return writer.Close(meta) }, staged.Sync,
		func() error { return staged.Publish(partPath(of, 0)) }, staged.Discard,
	} {
		if err := step(); err != nil {
			w.Fatal(err)
		}
	}
}
