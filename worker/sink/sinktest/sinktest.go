// Package sinktest is what every sink has to do, as tests: a new sink calls Run
// from its own test and is done.
package sinktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// Run holds a sink against the contract of sink.Sink. open returns the sink of
// an empty place, and the same place when it is called again in one test.
func Run(t *testing.T, open func(t *testing.T) sink.Sink) {
	for name, test := range map[string]func(*testing.T, func() sink.Sink){
		"a published file reads as it was written":            readsAsWritten,
		"a staged file can be read back before it has a name": readsWhileStaged,
		"what is not published cannot be seen":                unpublishedIsUnseen,
		"a taken name keeps its file":                         neverReplaces,
		"of many racers for one name exactly one wins":        oneWinner,
		"discarding can be repeated and keeps the published":  discards,
		"a listing is complete and ascending":                 listsAscending,
		"what does not exist is empty or says so":             missing,
		"names can be hardened at any time":                   hardens,
		"a name that is withdrawn is free again":              withdraws,
		"an archive keeps its first shape":                    claims,
		"published files are found by window, kind and shard": finds,
		"a walk meets every file once, in order":              walks,
	} {
		t.Run(name, func(t *testing.T) { test(t, func() sink.Sink { return open(t) }) })
	}
}

// ctx is for calls that nothing cancels.
var ctx = context.Background()

func readsAsWritten(t *testing.T, open func() sink.Sink) {
	publish(t, open(), "2026/11/23/10/likes/x.parquet", "some ", "bytes")
	if got := read(t, open(), "2026/11/23/10/likes/x.parquet"); got != "some bytes" {
		t.Errorf("the file holds %q", got)
	}
}

func readsWhileStaged(t *testing.T, open func() sink.Sink) {
	staged := stage(t, open(), "head ", "tail")
	if staged.Size() != 9 {
		t.Errorf("its size is %d, want 9", staged.Size())
	}
	back := make([]byte, 4)
	if n, err := staged.ReadAt(back, 5); err != nil && !errors.Is(err, io.EOF) || string(back[:n]) != "tail" {
		t.Errorf("read %q back: %v", back[:n], err)
	}
	ok(t, staged.Discard())
}

func unpublishedIsUnseen(t *testing.T, open func() sink.Sink) {
	s := open()
	staged := stage(t, s, "half")
	defer func() { ok(t, staged.Discard()) }()
	ok(t, sink.Walk(ctx, s, sink.Plain, time.Time{}, time.Time{}, func(h sink.Hour) error {
		return fmt.Errorf("a walk meets %+v", h)
	}))
}

func neverReplaces(t *testing.T, open func() sink.Sink) {
	s := open()
	publish(t, s, "a/b.parquet", "first")
	second := stage(t, s, "second")
	if err := second.Publish("a/b.parquet"); !errors.Is(err, sink.ErrExists) {
		t.Errorf("publishing under a taken name: %v, want ErrExists", err)
	}
	ok(t, second.Discard())
	if got := read(t, open(), "a/b.parquet"); got != "first" {
		t.Errorf("the file holds %q now", got)
	}
}

func oneWinner(t *testing.T, open func() sink.Sink) {
	s := open()
	const racers = 16
	errs := make([]error, racers)
	var start, all sync.WaitGroup
	start.Add(1)
	for i := range racers {
		staged := stage(t, s, fmt.Sprint(i))
		all.Go(func() {
			start.Wait()
			errs[i] = errors.Join(staged.Publish("race.parquet"), staged.Discard())
		})
	}
	start.Done()
	all.Wait()
	winner := slices.Index(errs, nil)
	if winner < 0 || read(t, s, "race.parquet") != fmt.Sprint(winner) {
		t.Fatalf("nobody won, or another's bytes are there: %v", errs)
	}
	for i, err := range errs {
		if i != winner && !errors.Is(err, sink.ErrExists) {
			t.Errorf("racer %d beside the winner %d: %v, want ErrExists", i, winner, err)
		}
	}
}

func discards(t *testing.T, open func() sink.Sink) {
	s := open()
	staged := stage(t, s, "kept")
	ok(t, staged.Publish("kept.parquet"))
	ok(t, staged.Discard())
	ok(t, staged.Discard())
	if got := read(t, s, "kept.parquet"); got != "kept" {
		t.Errorf("the file holds %q", got)
	}
}

func listsAscending(t *testing.T, open func() sink.Sink) {
	s := open()
	for _, name := range []string{"f/b.parquet", "f/a.parquet", "f/sub/c.parquet", "f/10.parquet", "f/9.parquet"} {
		publish(t, s, name, name)
	}
	got, err := s.List(ctx, "f")
	ok(t, err)
	if want := []string{"10.parquet", "9.parquet", "a.parquet", "b.parquet", "sub"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func missing(t *testing.T, open func() sink.Sink) {
	s := open()
	if names, err := s.List(ctx, "no/such/folder"); err != nil || len(names) != 0 {
		t.Errorf("a missing folder lists %v: %v", names, err)
	}
	if _, err := s.Open(ctx, "no/such/file"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening a missing file: %v, want fs.ErrNotExist", err)
	}
	publish(t, s, "file", "")
	if names, err := s.List(ctx, "file"); err != nil || len(names) != 0 {
		t.Errorf("a file lists as a folder of %v: %v", names, err)
	}
}

func hardens(t *testing.T, open func() sink.Sink) {
	s := open()
	ok(t, s.Harden(ctx, "not/there/yet"))
	publish(t, s, "a/b/c.parquet", "x")
	for range 2 {
		ok(t, s.Harden(ctx, "a/b"))
	}
	ok(t, s.Harden(ctx, "."))
}

func withdraws(t *testing.T, open func() sink.Sink) {
	s := open()
	publish(t, s, "a/b.parquet", "first")
	for range 2 { // a racer may have been faster
		ok(t, s.Withdraw(ctx, "a/b.parquet"))
	}
	if names, err := open().List(ctx, "a"); err != nil || len(names) != 0 {
		t.Errorf("the folder still lists %v: %v", names, err)
	}
	publish(t, s, "a/b.parquet", "second")
	if got := read(t, open(), "a/b.parquet"); got != "second" {
		t.Errorf("the file holds %q", got)
	}
}

func claims(t *testing.T, open func() sink.Sink) {
	five := sink.Archive{WindowLength: 5 * time.Minute, Layout: sink.Hive, SchemaVersion: 1}
	if _, err := sink.ReadArchive(ctx, open()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the shape of an empty place: %v, want fs.ErrNotExist", err)
	}
	for range 2 {
		ok(t, sink.Claim(ctx, open(), five))
	}
	for what, other := range map[string]sink.Archive{
		"another length": {WindowLength: time.Minute, Layout: sink.Hive, SchemaVersion: 1},
		"another layout": {WindowLength: 5 * time.Minute, Layout: sink.Plain, SchemaVersion: 1},
		"another schema": {WindowLength: 5 * time.Minute, Layout: sink.Hive, SchemaVersion: 2},
	} {
		if err := sink.Claim(ctx, open(), other); !errors.Is(err, sink.ErrOtherArchive) {
			t.Errorf("claiming %s: %v, want ErrOtherArchive", what, err)
		}
	}
	if have, err := sink.ReadArchive(ctx, open()); err != nil || have != five {
		t.Errorf("the shape is %+v: %v", have, err)
	}
}

// The archive of the tests below: the likes of two windows of one hour, with a
// late part, a hundredth part, a shard, and files that are not the archive's.
var (
	win  = window.Window{Start: time.Date(2026, 11, 23, 10, 5, 0, 0, time.UTC), Length: 5 * time.Minute}
	next = win.Next()

	files = []sink.Name{
		{Window: win, Kind: event.Posts},
		{Window: win, Kind: event.Likes},
		{Window: win, Kind: event.Likes, Part: 1},
		{Window: win, Kind: event.Likes, Part: 11},
		{Window: win, Kind: event.Likes, Part: 100},
		{Window: win, Kind: event.Likes, Part: 1, Rejects: true},
		{Window: win, Kind: event.Likes, Shard: "03"},
		{Window: next, Kind: event.Likes, Part: 1},
		{Window: window.Window{Start: win.Start.Add(24 * time.Hour), Length: win.Length}, Kind: event.Blocks},
	}
	strays = []string{
		"notes.txt",
		"2026/11/23/10/likes/20261123T110500Z-5m-00.parquet", // of another hour
		"2026/11/23/10/likes/.20261123T100500Z-5m-00.tmp",
		"2026/11/23/10/photos/x.parquet",
		"2026/13/x.parquet",
		"_rejected/2026/11/23/x",
	}
)

func fill(t *testing.T, s sink.Sink) {
	t.Helper()
	for _, n := range files {
		publish(t, s, sink.Plain.Path(n), "x")
	}
	for _, stray := range append(strays, "_state/runs/x.jsonl", "lost+found/x") {
		publish(t, s, stray, "x")
	}
}

func finds(t *testing.T, open func() sink.Sink) {
	s := open()
	fill(t, s)
	names, err := sink.Published(ctx, s, sink.Plain, sink.Name{Window: win, Kind: event.Likes})
	ok(t, err)
	if want := files[1:6]; !slices.Equal(names, want) {
		t.Errorf("published: %+v, want %+v", names, want)
	}
	drained, err := sink.Drained(ctx, s, sink.Plain, sink.Name{Kind: event.Likes}, win.Start, next.End())
	ok(t, err)
	if len(drained) != 1 || !drained[win] {
		t.Errorf("drained: %v, want %s, of which alone there is a part 0", drained, win)
	}
	for before, want := range map[time.Time]string{
		win.Start:                     "2026-11-23 10",
		win.Start.Add(48 * time.Hour): "2026-11-24 10",
		win.Start.Add(-time.Hour):     "none",
	} {
		hour, found, err := sink.Latest(ctx, s, sink.Plain, before)
		ok(t, err)
		got := "none"
		if found {
			got = hour.Format("2006-01-02 15")
		}
		if got != want {
			t.Errorf("the latest hour before %s is %s, want %s", before, got, want)
		}
	}
	for _, c := range []struct {
		from, to time.Duration // behind win's start
		want     []string
	}{
		{0, 48 * time.Hour, []string{"2026-11-23 10", "2026-11-24 10"}},
		{0, time.Minute, []string{"2026-11-23 10"}},
		{time.Hour, 48 * time.Hour, []string{"2026-11-24 10"}},
		{-48 * time.Hour, -time.Hour, nil},
	} {
		hours, err := sink.Hours(ctx, s, sink.Plain, win.Start.Add(c.from), win.Start.Add(c.to))
		ok(t, err)
		var got []string
		for _, hour := range hours {
			got = append(got, hour.Format("2006-01-02 15"))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("the hours from %s to %s behind the window are %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

func walks(t *testing.T, open func() sink.Sink) {
	s := open()
	fill(t, s)
	var names []sink.Name
	var unknown []string
	ok(t, sink.Walk(ctx, s, sink.Plain, time.Time{}, time.Time{}, func(h sink.Hour) error {
		names, unknown = append(names, h.Names...), append(unknown, h.Unknown...)
		return nil
	}))
	if !slices.Equal(names, files) {
		t.Errorf("it met %+v, want %+v", names, files)
	}
	slices.Sort(unknown)
	want := []string{"2026/11/23/10/likes/.20261123T100500Z-5m-00.tmp", "2026/11/23/10/likes/20261123T110500Z-5m-00.parquet",
		"2026/11/23/10/photos", "2026/13", "_rejected/2026/11/23/x", "notes.txt"}
	if !slices.Equal(unknown, want) {
		t.Errorf("unknown are %v, want %v", unknown, want)
	}
	names = nil
	ok(t, sink.Walk(ctx, s, sink.Plain, next.Start, next.End(), func(h sink.Hour) error {
		names = append(names, h.Names...)
		return nil
	}))
	if want := files[7:8]; !slices.Equal(names, want) {
		t.Errorf("within one window it met %+v, want %+v", names, want)
	}
}

// stage returns a synced file of these bytes.
func stage(t *testing.T, s sink.Sink, writes ...string) sink.Staged {
	t.Helper()
	staged, err := s.Stage(ctx, "part")
	ok(t, err)
	for _, text := range writes {
		_, err := io.WriteString(staged, text)
		ok(t, err)
	}
	ok(t, staged.Sync())
	return staged
}

func publish(t *testing.T, s sink.Sink, name string, writes ...string) {
	t.Helper()
	staged := stage(t, s, writes...)
	ok(t, staged.Publish(name))
	ok(t, staged.Discard())
}

func read(t *testing.T, s sink.Sink, name string) string {
	t.Helper()
	file, err := s.Open(ctx, name)
	ok(t, err)
	defer file.Close()
	content, err := io.ReadAll(io.NewSectionReader(file, 0, file.Size()))
	ok(t, err)
	return string(content)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
