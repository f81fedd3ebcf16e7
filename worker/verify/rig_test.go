package verify_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/verify"
	"datawriter/worker/window"
)

// Three windows across an hour, long closed, and the two around them.
var (
	before = must(window.Parse("2026-11-22T10:50:00Z/5m"))
	w1     = before.Next()
	w2     = w1.Next()
	w3     = w2.Next()
	after  = w3.Next()
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// place is an archive and, where a test has one, the Redis that it came from.
type place struct {
	*testing.T
	data   string
	layout sink.Layout
	client *stream.Client
	server *streamtest.Server

	patience time.Duration
	listing  func(folder string) // called before a folder is listed
}

// watched is a sink that tells before it lists a folder.
type watched struct {
	sink.Sink
	listing func(folder string)
}

func (w watched) List(ctx context.Context, folder string) ([]string, error) {
	w.listing(folder)
	return w.Sink.List(ctx, folder)
}

// newPlace returns an empty archive beside a server. Streams have the test's
// own names, so that many tests share one server.
func newPlace(t *testing.T, server *streamtest.Server) *place {
	t.Helper()
	p := &place{T: t, data: filepath.Join(t.TempDir(), "data"), layout: sink.Plain, server: server, patience: time.Nanosecond}
	p.connect()
	return p
}

func (p *place) connect() {
	client := must(stream.Open(stream.Config{URL: p.server.URL(), Prefix: p.Name() + ":"}))
	p.Cleanup(func() { _ = client.Close() })
	p.client = client
}

func (p *place) ok(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// add adds one event of a kind at a millisecond of a window.
func (p *place) add(kind event.Kind, w window.Window, ms uint64, text string) {
	p.Helper()
	p.addAll(addition(kind, idIn(w, ms), text))
}

func (p *place) addAll(all ...stream.Addition) {
	p.Helper()
	_, err := p.client.Add(context.Background(), all)
	p.ok(err)
}

func addition(kind event.Kind, id event.ID, text string) stream.Addition {
	return stream.Addition{Kind: kind, ID: id, Fields: [][]byte{[]byte("event"), []byte(text)}}
}

func idIn(w window.Window, ms uint64) event.ID { return event.ID{MS: w.StartMS() + ms} }

const common = `"did":"did:plc:tmakk4opsnbywozo6oa2afff","time_us":1783175888218287,"kind":"commit"`

// like returns an event that the columns carry; n makes it differ from others.
func like(n int) string {
	return fmt.Sprintf(`{%s,"commit":{"rev":"r","operation":"create","collection":"app.bsky.feed.like","rkey":"r%d","record":{"$type":"app.bsky.feed.like","createdAt":"2026-07-04T14:38:09.885Z","subject":{"cid":"c","uri":"at://u"}},"cid":"bafy"}}`, common, n)
}

// post returns an event that stands in event_json, because of its facets.
func post(n int) string {
	return fmt.Sprintf(`{%s,"commit":{"rev":"r","operation":"create","collection":"app.bsky.feed.post","rkey":"r%d","record":{"$type":"app.bsky.feed.post","createdAt":"2026-07-04T14:38:09.885Z","text":"hello","langs":["de","en"],"facets":[]},"cid":"bafy"}}`, common, n)
}

const broken = `{"did":`

// fill adds likes, posts and one malformed like to a window.
func (p *place) fill(w window.Window) {
	p.Helper()
	var all []stream.Addition
	for n := range 50 {
		all = append(all, addition(event.Likes, idIn(w, uint64(n)), like(n)))
	}
	for n := range 20 {
		all = append(all, addition(event.Posts, idIn(w, uint64(n)), post(n)))
	}
	p.addAll(append(all, addition(event.Likes, idIn(w, 1000), broken))...)
}

// drain drains a window and the older ones that are not drained.
func (p *place) drain(w window.Window, also ...event.Kind) {
	p.Helper()
	to, err := sink.OpenURL(p.data, nil)
	p.ok(err)
	cfg := drain.Config{Length: w.Length, Layout: p.layout, CatchUp: true, Lease: 300 * time.Millisecond, Attempts: 1, Version: "test", Also: also}
	_, err = drain.New(p.client, to, p.runs(), cfg, zap.NewNop()).Run(context.Background(), w)
	p.ok(err)
}

func (p *place) runs() *runlog.Log { return runlog.Open(filepath.Join(p.data, "_state")) }

// copy returns a place with a copy of the files.
func (p *place) copy(t *testing.T) *place {
	t.Helper()
	c := &place{T: t, data: filepath.Join(t.TempDir(), "data"), layout: p.layout, patience: p.patience}
	c.ok(os.CopyFS(c.data, os.DirFS(p.data)))
	return c
}

// asks says what a verification asks beside the files.
type asks int

const (
	nothingElse asks = iota
	theRunLog
	theStreams
)

func (p *place) verify(a asks, r window.Range) (verify.Report, error) {
	p.Helper()
	archive, err := sink.OpenURL(p.data, nil)
	p.ok(err)
	if p.listing != nil {
		archive = watched{archive, p.listing}
	}
	cfg := verify.Config{Range: r, Layout: sink.Plain, Patience: p.patience}
	if a == theRunLog {
		cfg.Runs = p.runs()
	}
	if a == theStreams {
		cfg.Source = p.client
	}
	return verify.New(archive, cfg).Run(context.Background())
}

// want expects a verification to find violations of exactly these checks, and
// returns the report.
func (p *place) want(a asks, checks ...string) verify.Report {
	p.Helper()
	report, err := p.verify(a, window.Range{})
	p.ok(err)
	p.wantIn(report, checks...)
	return report
}

func (p *place) wantIn(report verify.Report, checks ...string) {
	p.Helper()
	var got []string
	var counted int64
	for _, c := range report.Checks {
		if c.Violations > 0 {
			got = append(got, c.Check)
		}
		counted += c.Violations
	}
	slices.Sort(got)
	slices.Sort(checks)
	if !slices.Equal(got, checks) || counted != int64(len(report.Violations)) {
		p.Errorf("violated are %v, want %v:\n%s", got, checks, lines(report))
	}
	if (report.Err() != nil) != (len(checks) > 0) {
		p.Errorf("the report's error is %v", report.Err())
	}
}

func lines(r verify.Report) string {
	var text strings.Builder
	for _, v := range r.Violations {
		text.WriteString(v.String() + "\n")
	}
	return text.String()
}

// path returns where a file of the archive stands.
func (p *place) path(n sink.Name) string { return filepath.Join(p.data, p.layout.Path(n)) }

func (p *place) remove(names ...sink.Name) {
	p.Helper()
	for _, n := range names {
		p.ok(os.Remove(p.path(n)))
	}
}

func (p *place) write(path string, content []byte) {
	p.Helper()
	p.ok(os.MkdirAll(filepath.Dir(path), 0o755))
	p.ok(os.WriteFile(path, content, 0o644))
}

func (p *place) read(path string) []byte {
	p.Helper()
	content, err := os.ReadFile(path)
	p.ok(err)
	return content
}

// move renames a file, duplicate copies it, byte for byte.
func (p *place) move(from, to string)      { p.Helper(); p.duplicate(from, to); p.ok(os.Remove(from)) }
func (p *place) duplicate(from, to string) { p.Helper(); p.write(to, p.read(from)) }

// content is a part as a test changes it.
type content[R any] struct {
	meta part.Meta
	rows []*R
}

// rewrite replaces a file by one that is well-formed and says something else.
// The footer's counts follow the rows; so does the counter of added entries,
// which would otherwise notice every row too many.
func rewrite[R any](p *place, from, to sink.Name, columns []event.Column[R], change func(*content[R])) {
	p.Helper()
	c := content[R]{}
	file, err := os.Open(p.path(from))
	p.ok(err)
	defer file.Close()
	opened, err := part.Open(file, must(file.Stat()).Size())
	p.ok(err)
	c.meta = opened.Meta()
	c.meta.EntriesAdded += 1000
	p.ok(part.ReadRows(opened, columns, func(r *R) error {
		c.rows = append(c.rows, clone(columns, r))
		return nil
	}))
	change(&c)
	if from.Rejects {
		c.meta.Rejected = int64(len(c.rows))
	} else {
		c.meta.Rows = int64(len(c.rows))
	}
	p.ok(os.MkdirAll(filepath.Dir(p.path(to)), 0o755))
	out, err := os.Create(p.path(to) + ".new")
	p.ok(err)
	w := part.NewWriter(out, columns, part.Options{Compression: part.Snappy})
	for _, r := range c.rows {
		p.ok(w.Append(r))
	}
	p.ok(w.Close(c.meta))
	p.ok(out.Close())
	p.ok(os.Rename(p.path(to)+".new", p.path(to)))
}

// clone copies a record, which is the reader's only until the next one.
func clone[R any](columns []event.Column[R], r *R) *R {
	c := *r
	for i := range columns {
		switch columns[i].Type {
		case event.String:
			*columns[i].Text(&c) = slices.Clone(*columns[i].Text(r))
		case event.StringList, event.BinaryList:
			list := slices.Clone(*columns[i].List(r))
			for j := range list {
				list[j] = slices.Clone(list[j])
			}
			*columns[i].List(&c) = list
		}
	}
	return &c
}

func (p *place) rewriteRows(n sink.Name, change func(*content[event.Row])) {
	p.Helper()
	rewrite(p, n, n, event.RowColumns(n.Kind), change)
}

func (p *place) rewriteRejects(n sink.Name, change func(*content[event.Reject])) {
	p.Helper()
	rewrite(p, n, n, event.RejectColumns(), change)
}
