package drain_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"datawriter/worker/account"
	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/part"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/window"
)

// rig is a real Redis and an archive.
type rig struct {
	*testing.T
	server *streamtest.Server
	client *stream.Client
	data   string
	cfg    drain.Config
	part   []byte // that a test has taken away
}

func newRig(t *testing.T, options ...string) *rig {
	t.Helper()
	server := streamtest.Start(t, options...)
	client, err := stream.Open(stream.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &rig{T: t, server: server, client: client, data: filepath.Join(t.TempDir(), "data"), cfg: drain.Config{
		Length: 5 * time.Minute, Layout: sink.Plain, CatchUp: true,
		Lease: 300 * time.Millisecond, Attempts: 1, Version: "test",
	}}
}

// win is the window that most tests drain; it closed long ago.
var win = must(window.Parse("2026-11-23T10:05:00Z/5m"))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// like returns a valid event; n makes it differ from others.
func like(n uint64) []byte {
	return fmt.Appendf(nil, `{"did":"did:plc:tmakk4opsnbywozo6oa2afff","time_us":1783175888218287,"kind":"commit","commit":{"rev":"3mptbyprdk22x","operation":"create","collection":"app.bsky.feed.like","rkey":"r%d","record":{"$type":"app.bsky.feed.like","createdAt":"2026-07-04T14:38:09.885Z","subject":{"cid":"c","uri":"at://u"}},"cid":"bafy"}}`, n)
}

// addAt adds likes at these milliseconds.
func (r *rig) addAt(ms ...uint64) {
	r.Helper()
	for _, m := range ms {
		r.addRaw(event.ID{MS: m}, "event", string(like(m)))
	}
}

// addRaw adds one entry with these fields to the likes.
func (r *rig) addRaw(id event.ID, fields ...string) {
	r.Helper()
	a := stream.Addition{Kind: event.Likes, ID: id}
	for _, f := range fields {
		a.Fields = append(a.Fields, []byte(f))
	}
	if _, err := r.client.Add(context.Background(), []stream.Addition{a}); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) drainer() *drain.Drainer {
	r.Helper()
	faults := r.cfg.Faults
	to, err := sink.OpenURL(r.data, faults)
	if err != nil {
		r.Fatal(err)
	}
	return drain.New(r.client, to, runlog.Open(filepath.Join(r.data, "_state")), r.cfg, zaptest.NewLogger(r))
}

// drain drains a window and expects success.
func (r *rig) drain(w window.Window) []runlog.Record {
	r.Helper()
	records, err := r.drainer().Run(context.Background(), w)
	if err != nil {
		r.Fatal(err)
	}
	return records
}

// keepAccount lets drains keep the accounts of the streams.
func (r *rig) keepAccount() { r.cfg.Book = account.OpenBook(filepath.Join(r.data, "_state")) }

// balanced expects that the account of the likes is closed: what was added is in
// files or still there, and no loss is to be reported.
func (r *rig) balanced() {
	r.Helper()
	state, err := r.cfg.Book.Read(event.Likes.String(), r.client.Name(event.Likes))
	if err != nil {
		r.Fatal(err)
	}
	look, err := r.client.Stream(event.Likes).Look(context.Background(), win.StartMS())
	if err != nil {
		r.Fatal(err)
	}
	if state.Added != look.Added || state.Open != look.Length || state.Added-state.Base-state.Filed != state.Open || len(state.Pending) > 0 {
		r.Errorf("the account %+v is not that of %+v", state, look)
	}
}

// likes returns the report on likes of the last record.
func likes(records []runlog.Record) runlog.Kind { return records[len(records)-1].Kinds[event.Likes] }

// files returns the published files below the archive with their content.
func (r *rig) files() map[string]string {
	r.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(r.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		content, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, r.data+"/")] = string(content)
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	return found
}

// ids returns the entry IDs in a file, as text.
func (r *rig) ids(path string) (ids []string) {
	r.Helper()
	r.open(path, func(f *part.File) error {
		return f.Identities(func(id event.ID, _ uint64) error {
			ids = append(ids, id.String())
			return nil
		})
	})
	return ids
}

func (r *rig) open(path string, look func(*part.File) error) {
	r.Helper()
	file, err := os.Open(filepath.Join(r.data, path))
	if err != nil {
		r.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		r.Fatal(err)
	}
	opened, err := part.Open(file, info.Size())
	if err == nil {
		err = look(opened)
	}
	if err != nil {
		r.Fatal(err)
	}
}

// likesPath returns the path of a part of the likes of win.
func likesPath(number int) string {
	return sink.Plain.Path(sink.Name{Window: win, Kind: event.Likes, Part: number})
}

func rejectsPath(number int) string {
	return sink.Plain.Path(sink.Name{Window: win, Kind: event.Likes, Part: number, Rejects: true})
}

// left returns the IDs still in the likes' stream, and how many are pending.
func (r *rig) left() (ids []string, pending int64) {
	r.Helper()
	ctx := context.Background()
	redis := r.server.Client()
	entries, err := redis.XRange(ctx, r.client.Name(event.Likes), "-", "+").Result()
	if err != nil {
		r.Fatal(err)
	}
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	summary, err := redis.XPending(ctx, r.client.Name(event.Likes), stream.DefaultGroup).Result()
	if err != nil {
		r.Fatal(err)
	}
	return ids, summary.Count
}

// settled expects an empty stream with nothing pending.
func (r *rig) settled() {
	r.Helper()
	ids, pending := r.left()
	if len(ids) > 0 || pending > 0 {
		r.Errorf("after the drain %d entries are left (%v…) and %d pending", len(ids), ids[:min(3, len(ids))], pending)
	}
}

// want compares lists of IDs.
func (r *rig) want(what string, got []string, want ...string) {
	r.Helper()
	if !slices.Equal(got, want) {
		r.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func withFault(t *testing.T, spec string) *fault.Injector {
	t.Helper()
	injector, err := fault.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return injector
}

// publishedLikes returns the published parts of the likes of win.
func (r *rig) publishedLikes() []string {
	matches, _ := filepath.Glob(filepath.Join(r.data, filepath.Dir(likesPath(0)), "*.parquet"))
	return matches
}
