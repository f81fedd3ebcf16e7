package drain_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
)

// rawEvent returns an event of a raw kind, with spaces that only its text keeps; n
// makes it differ from others.
func rawEvent(kind event.Kind, n uint64) string {
	return fmt.Sprintf(`{"did":"did:plc:a", "time_us":1783175888218287,"kind":"%s","%[1]s":{"did":"did:plc:a","seq":%d}}`, kind, n)
}

// addTo adds events of a raw kind at these milliseconds.
func (r *rig) addTo(kind event.Kind, ms ...uint64) {
	r.Helper()
	for _, m := range ms {
		r.addEvent(kind, m, rawEvent(kind, m))
	}
}

func (r *rig) addEvent(kind event.Kind, ms uint64, text string) {
	r.Helper()
	if _, err := r.client.Add(context.Background(), []stream.Addition{
		{Kind: kind, ID: event.ID{MS: ms}, Fields: [][]byte{[]byte(event.FieldName), []byte(text)}},
	}); err != nil {
		r.Fatal(err)
	}
}

// rawPath returns the path of a file of a raw kind of win.
func rawPath(kind event.Kind, number int, rejects bool) string {
	return sink.Plain.Path(sink.Name{Window: win, Kind: kind, Part: number, Rejects: rejects})
}

// texts returns the events of a part of a raw kind.
func (r *rig) texts(path string) (texts []string) {
	r.Helper()
	r.open(path, func(f *part.File) error {
		return part.ReadRows(f, event.RowColumns(f.Meta().Kind), func(row *event.Row) error {
			texts = append(texts, string(row.EventJSON))
			return nil
		})
	})
	return texts
}

// reportOf returns what the last record says of a kind.
func reportOf(records []runlog.Record, kind event.Kind) (found runlog.Kind) {
	for _, k := range records[len(records)-1].Kinds {
		if k.Kind == kind {
			found = k
		}
	}
	return found
}

// settledRaw expects an empty stream with nothing pending.
func (r *rig) settledRaw(kind event.Kind) {
	r.Helper()
	redis, name := r.server.Client(), r.client.Name(kind)
	left := redis.XLen(context.Background(), name).Val()
	pending, err := redis.XPending(context.Background(), name, stream.DefaultGroup).Result()
	if err != nil || left > 0 || pending.Count > 0 {
		r.Errorf("%s: %d entries are left and %d pending, %v", name, left, pending.Count, err)
	}
}

func TestRawKindsAreDrainedAsTheyCame(t *testing.T) {
	for _, kind := range event.RawKinds() {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t)
			r.cfg.Also = event.RawKinds()
			r.addTo(kind, s)
			r.addEvent(kind, s+1, string(like(1))) // of no raw kind
			r.addEvent(kind, s+2, "{broken")
			r.addTo(kind, e-1)
			r.addAt(s)
			k := reportOf(r.drain(win), kind)
			if k.Rows != 2 || k.Rejected != 2 || k.RejectedBy[event.ReasonKind] != 1 || k.RejectedBy[event.ReasonNotJSON] != 1 || k.Stream != "bluesky:{"+kind.String()+"}" {
				t.Errorf("report: %+v", k)
			}
			r.want("the part", r.texts(rawPath(kind, 0, false)), rawEvent(kind, s), rawEvent(kind, e-1))
			r.want("the rejects", r.ids(rawPath(kind, 0, true)), fmt.Sprintf("%d-0", s+1), fmt.Sprintf("%d-0", s+2))
			if n := len(r.files()); n != len(event.AllKinds())+1 {
				t.Errorf("%d files, want a part 0 of each kind, and the rejects", n)
			}
			r.settledRaw(kind)
			r.settled()
		})
	}
}

func TestRawKindsGoThroughTheWholeProtocol(t *testing.T) {
	r := newRig(t)
	r.cfg.Also = []event.Kind{event.Identity}
	name := r.client.Name(event.Identity)
	r.addTo(event.Identity, s, s+1, s+2)
	r.do("XGROUP", "CREATE", name, stream.DefaultGroup, "0") // a run that was killed had claimed two of them
	r.do("XREADGROUP", "GROUP", stream.DefaultGroup, "datawriter", "COUNT", 2, "STREAMS", name, ">")
	r.drain(win)
	r.want("part 00", r.ids(rawPath(event.Identity, 0, false)), fmt.Sprintf("%d-0", s), fmt.Sprintf("%d-0", s+1), fmt.Sprintf("%d-0", s+2))
	r.settledRaw(event.Identity)

	before := r.files()
	r.drain(win)
	if !maps.Equal(before, r.files()) {
		t.Error("the rerun changed files")
	}

	r.do("DEL", name) // a failover lets IDs below the fence appear, and one that is in the part
	r.addTo(event.Identity, s+1, s+5)
	if k := reportOf(r.drain(win), event.Identity); k.Late != 1 {
		t.Errorf("report: %+v, want one late row", k)
	}
	r.want("part 01", r.texts(rawPath(event.Identity, 1, false)), rawEvent(event.Identity, s+5))
	r.settledRaw(event.Identity)
}

func TestRawKindsAreLeftAloneUnlessAskedFor(t *testing.T) {
	r := newRig(t)
	r.addAt(s)
	r.addTo(event.Identity, s)
	r.addTo(event.Account, s-1) // is no reason to drain an older window
	records := r.drain(win)
	if len(records) != 1 || len(records[0].Kinds) != len(event.Kinds()) || len(r.files()) != len(event.Kinds()) {
		t.Errorf("%d windows of %d kinds, %d files", len(records), len(records[0].Kinds), len(r.files()))
	}
	for _, kind := range event.RawKinds() {
		redis, name := r.server.Client(), r.client.Name(kind)
		if n := redis.XLen(context.Background(), name).Val(); n != 1 {
			t.Errorf("%s holds %d entries, want the one that was added", name, n)
		}
		if groups := redis.XInfoGroups(context.Background(), name).Val(); len(groups) > 0 {
			t.Errorf("%s has a group, so it is not cut any more", name)
		}
	}
}

// TestARawKindIsMissingOnlyFromItsOwnFirstWindowOn: an archive that begins to keep
// it does not drain its last day again.
func TestARawKindIsMissingOnlyFromItsOwnFirstWindowOn(t *testing.T) {
	r := newRig(t)
	drainsOnly := func(what string, windows ...string) {
		t.Helper()
		last := win
		for range len(r.publishedWindows()) {
			last = last.Next()
		}
		var got []string
		for _, record := range r.drain(last) {
			got = append(got, record.Window.String())
		}
		r.want(what, got, windows...)
	}
	second, third := win.Next(), win.Next().Next()
	drainsOnly("without", win.String())
	r.cfg.Also = []event.Kind{event.Account}
	drainsOnly("asked for", second.String())
	r.cfg.Also = nil
	drainsOnly("without again", third.String())
	r.cfg.Also = []event.Kind{event.Account}
	drainsOnly("asked for again", third.Next().String(), third.String())
}

// publishedWindows lists the windows of which there are posts.
func (r *rig) publishedWindows() []string {
	matches, _ := filepath.Glob(filepath.Join(r.data, "*/*/*/*/posts/*-00.parquet"))
	return matches
}

// TestTheCutBeforeTheFirstDrainIsNoLoss: the live source cuts the stream until the
// group is there, also while the drain begins.
func TestTheCutBeforeTheFirstDrainIsNoLoss(t *testing.T) {
	for range 10 {
		r := newRig(t)
		r.cfg.Also = []event.Kind{event.Identity}
		r.cfg.Book = account.OpenBook(filepath.Join(r.data, "_state"))
		intake := r.client.Intake(r.client.Name(event.Identity), 1)
		if _, err := intake.Take(t.Context(), "a:1", time.Hour); err != nil {
			t.Fatal(err)
		}
		feed := func() error {
			events := make([][]byte, 300) // more than a node holds, so that each batch cuts
			for n := range events {
				events[n] = []byte(rawEvent(event.Identity, uint64(n)))
			}
			return r.client.Feed(context.Background(), "a:1", []*stream.Intake{intake}, []stream.IntakeBatch{{Events: events}})
		}
		stop, done := make(chan struct{}), make(chan error)
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				if err := feed(); err != nil {
					done <- err
					return
				}
			}
		}()
		for cut := false; !cut; time.Sleep(time.Millisecond) {
			info, err := r.server.Client().XInfoStream(t.Context(), intake.Name()).Result()
			cut = err == nil && info.EntriesAdded > info.Length
		}
		r.drain(win) // fails where entries are lost
		close(stop)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}
