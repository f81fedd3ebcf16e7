package validate

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/simulate"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/window"

	"go.uber.org/zap"
)

// filed is a small archive, the journal of what was sent into it, and the window.
type filed struct {
	journal *journal
	archive sink.Sink
	folder  string
	window  window.Window
	last    stream.Addition
	lastID  event.ID
}

// file sends some events into a past window and drains it.
func file(t *testing.T) *filed {
	t.Helper()
	server := streamtest.Start(t)
	client, err := stream.Open(stream.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	f := &filed{folder: t.TempDir()}
	if f.window, err = window.Containing(time.Now().Add(-time.Hour), 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	if f.journal, err = createJournal(filepath.Join(f.folder, "journal")); err != nil {
		t.Fatal(err)
	}
	note := func(a stream.Addition, id event.ID) {
		f.last, f.lastID = stream.Addition{Kind: a.Kind, Fields: [][]byte{slices.Clone(a.Fields[0]), slices.Clone(a.Fields[1])}}, id
		f.journal.add(a, id)
	}
	options := simulate.Options{Traits: simulate.Traits{Seed: 1, Authors: 100, Malformed: 0.01}, Window: f.window, Count: 2000, OnAdded: note}
	if _, err := simulate.Run(t.Context(), client, options); err != nil {
		t.Fatal(err)
	}
	if f.archive, err = sink.OpenURL(filepath.Join(f.folder, "data"), nil); err != nil {
		t.Fatal(err)
	}
	cfg := drain.Config{Length: f.window.Length, Layout: sink.Plain, Compression: "zstd", CatchUp: true, Lease: time.Minute, Attempts: 1}
	if _, err := drain.New(client, f.archive, runlog.Open(filepath.Join(f.folder, "runs")), cfg, zap.NewNop()).Run(t.Context(), f.window); err != nil {
		t.Fatal(err)
	}
	return f
}

// compare closes the journal and holds the archive against it.
func (f *filed) compare(t *testing.T) comparison {
	t.Helper()
	if err := f.journal.close(); err != nil {
		t.Fatal(err)
	}
	c, err := compareArchive(context.Background(), f.journal, f.archive)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// judged returns the names of the criteria that fail.
func judged(c comparison, uncertain int64) []string {
	s := newSession(Step{Name: "test"}, Config{Log: zap.NewNop()})
	defer s.bars.stop()
	c.judge(s, uncertain)
	return failures(s.report)
}

func TestTheJournalIsHeldAgainstTheFiles(t *testing.T) {
	c := file(t).compare(t)
	if t1 := c.total(); t1.Produced != 2000 || t1.Rows != 2000 || len(slices.Collect(maps.Keys(c.Windows))) != 1 {
		t.Errorf("%+v", c)
	}
	if failed := judged(c, 0); len(failed) > 0 {
		t.Errorf("a whole archive fails: %q", failed)
	}
}

func TestABrokenArchiveFails(t *testing.T) {
	for _, one := range []struct {
		name, fails string
		spoil       func(f *filed)
	}{
		{"an entry that was acknowledged and is in no file", "entries lost", func(f *filed) {
			f.journal.add(f.last, event.ID{MS: f.lastID.MS, Seq: f.lastID.Seq + 1})
		}},
		{"an entry with another content", "entries altered", func(f *filed) {
			// The one that was sent under the ID of another: the journal then has two, and
			// the file's stands against the first.
			f.last.Fields[1] = append(f.last.Fields[1], ' ')
			f.journal.add(f.last, f.lastID)
		}},
	} {
		t.Run(one.name, func(t *testing.T) {
			f := file(t)
			one.spoil(f)
			c := f.compare(t)
			if failed := judged(c, 0); !slices.Contains(failed, one.fails) && !slices.Contains(failed, "entries lost") {
				t.Errorf("it passes: %q, %+v", failed, c.total())
			}
		})
	}
}

func TestMergeCountsEveryDifference(t *testing.T) {
	at := func(ms uint64, hash uint64) identity { return identity{event.ID{MS: ms}, hash} }
	for _, one := range []struct {
		name            string
		produced, filed []identity
		want            kindComparison
	}{
		{"the same, in another order", []identity{at(2, 2), at(1, 1)}, []identity{at(1, 1), at(2, 2)}, kindComparison{Produced: 2, Rows: 2}},
		{"one lost", []identity{at(1, 1), at(2, 2), at(3, 3)}, []identity{at(1, 1), at(3, 3)}, kindComparison{Produced: 3, Rows: 2, Missing: 1}},
		{"the last lost", []identity{at(1, 1), at(2, 2)}, []identity{at(1, 1)}, kindComparison{Produced: 2, Rows: 1, Missing: 1}},
		{"one twice", []identity{at(1, 1), at(2, 2)}, []identity{at(1, 1), at(1, 1), at(2, 2)}, kindComparison{Produced: 2, Rows: 3, Double: 1}},
		{"one altered", []identity{at(1, 1)}, []identity{at(1, 9)}, kindComparison{Produced: 1, Rows: 1, Altered: 1}},
		{"one that nobody sent", []identity{at(2, 2)}, []identity{at(1, 1), at(2, 2)}, kindComparison{Produced: 1, Rows: 2, Foreign: 1}},
		{"nothing filed", []identity{at(1, 1), at(2, 2)}, nil, kindComparison{Produced: 2, Missing: 2}},
	} {
		t.Run(one.name, func(t *testing.T) {
			var c comparison
			if got := c.merge(one.produced, one.filed, kindComparison{}); got != one.want {
				t.Errorf("got %+v, want %+v", got, one.want)
			}
		})
	}
}
