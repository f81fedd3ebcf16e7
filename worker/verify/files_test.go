package verify_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/window"
)

// Files of the archive that the tests of this file damage: three windows, of
// which the second has late likes and late rejects.
var (
	likes1   = sink.Name{Window: w1, Kind: event.Likes}
	posts1   = sink.Name{Window: w1, Kind: event.Posts}
	follows1 = sink.Name{Window: w1, Kind: event.Follows}
	rejects1 = sink.Name{Window: w1, Kind: event.Likes, Rejects: true}
	likes2   = sink.Name{Window: w2, Kind: event.Likes}
	late2    = sink.Name{Window: w2, Kind: event.Likes, Part: 1}
	refused2 = sink.Name{Window: w2, Kind: event.Likes, Part: 1, Rejects: true}
)

// goodArchive drains what a real Redis holds. Between the second and the third
// window the server loses everything, and then takes entries below the fence:
// those are late.
func goodArchive(t *testing.T, layout sink.Layout) *place {
	t.Helper()
	server := streamtest.Start(t)
	p := newPlace(t, server)
	p.layout = layout
	p.fill(w1)
	p.fill(w2)
	p.drain(w2)
	server.Kill()
	server.Restart()
	p.connect()
	p.add(event.Likes, w2, 2000, like(2000))
	p.add(event.Likes, w2, 2001, broken)
	p.fill(w3)
	p.drain(w3)
	return p
}

func TestAGoodArchiveBreaksNoPromise(t *testing.T) {
	for _, layout := range []sink.Layout{sink.Plain, sink.Hive} {
		t.Run(string(layout), func(t *testing.T) {
			p := goodArchive(t, layout)
			for _, a := range []asks{nothingElse, theRunLog, theStreams} {
				r := p.want(a)
				if r.Windows != 3 || r.Files != 20 || r.Rows != 3*70+1 || r.Rejects != 3+1 || r.Late != 2 || r.Bytes == 0 {
					t.Errorf("it saw %+v", r)
				}
			}
		})
	}
}

// damages are ways to break a good archive, and the checks that must see it.
var damages = []struct {
	name   string
	damage func(p *place)
	asks   asks
	want   []string
}{
	{"a flipped bit in a page", func(p *place) {
		bytes := p.read(p.path(likes1))
		bytes[100] ^= 1
		p.write(p.path(likes1), bytes)
	}, theRunLog, []string{"readable"}},
	{"a file cut off", func(p *place) { p.ok(os.Truncate(p.path(likes1), 500)) }, nothingElse, []string{"readable"}},
	{"a file cut off, and the run log", func(p *place) { p.ok(os.Truncate(p.path(likes1), 500)) }, theRunLog, []string{"readable", "unchanged"}},
	{"an empty file", func(p *place) { p.write(p.path(follows1), nil) }, nothingElse, []string{"readable"}},
	{"something that is no Parquet", func(p *place) { p.write(p.path(rejects1), []byte(strings.Repeat("no", 500))) }, nothingElse, []string{"readable"}},
	{"rejects in a part's place", func(p *place) { p.duplicate(p.path(rejects1), p.path(likes1)) }, nothingElse, []string{"readable"}},

	{"a part copied to the next number", func(p *place) {
		next := likes1
		next.Part = 1
		p.duplicate(p.path(likes1), p.path(next))
	}, nothingElse, []string{"footer", "unique"}},
	{"a part written again under the next number", func(p *place) {
		next := likes1
		next.Part = 1
		rewrite(p, likes1, next, event.RowColumns(event.Likes), func(c *content[event.Row]) { c.meta.Part, c.meta.Rejected = 1, 0 })
	}, nothingElse, []string{"unique"}},
	{"a row twice in one part", func(p *place) {
		p.rewriteRows(posts1, func(c *content[event.Row]) { c.rows = append(c.rows, c.rows[3]) })
	}, nothingElse, []string{"unique"}},
	{"a reject that is a row too", func(p *place) {
		var row event.Row
		p.rewriteRows(likes1, func(c *content[event.Row]) { row = *c.rows[0] })
		p.rewriteRejects(rejects1, func(c *content[event.Reject]) {
			c.rows[0].IngestedAt, c.rows[0].IngestSeq, c.rows[0].EntryHash = row.IngestedAt, row.IngestSeq, row.EntryHash
		})
	}, nothingElse, []string{"unique", "hash"}},

	{"a file moved to another hour", func(p *place) {
		p.move(p.path(likes2), filepath.Join(p.data, "2026/11/22/10/likes", filepath.Base(p.path(likes2))))
	}, nothingElse, []string{"stray", "missing", "numbers"}},
	{"a file renamed to another window", func(p *place) {
		other := posts1
		other.Window = after
		p.move(p.path(posts1), p.path(other))
	}, nothingElse, []string{"footer", "window", "missing"}},
	{"a file moved to another kind", func(p *place) {
		p.duplicate(p.path(posts1), p.path(follows1))
	}, nothingElse, []string{"footer"}},

	{"a kind of a window deleted", func(p *place) { p.remove(follows1) }, nothingElse, []string{"missing"}},
	{"a kind of a window deleted, and the run log", func(p *place) { p.remove(follows1) }, theRunLog, []string{"missing", "unchanged"}},
	{"a kind of the last window deleted", func(p *place) { p.remove(sink.Name{Window: w3, Kind: event.Blocks}) }, nothingElse, []string{"missing"}},
	{"a whole window deleted", func(p *place) { removeWindow(p, w2) }, nothingElse, []string{"missing"}},
	{"the last window deleted", func(p *place) { removeWindow(p, w3) }, nothingElse, nil}, // as if it were not drained yet
	{"the last window deleted, and the run log", func(p *place) { removeWindow(p, w3) }, theRunLog, []string{"unchanged"}},
	{"the first window deleted, by retention", func(p *place) { removeWindow(p, w1) }, theRunLog, nil},
	{"a late part deleted", func(p *place) { p.remove(late2) }, nothingElse, []string{"numbers"}},
	{"the part before a late part deleted", func(p *place) {
		p.remove(likes2, sink.Name{Window: w2, Kind: event.Likes, Rejects: true})
	}, nothingElse, []string{"missing", "numbers"}},
	{"rejects deleted", func(p *place) { p.remove(refused2) }, nothingElse, []string{"footer"}},

	{"the archive file deleted", func(p *place) { p.ok(os.Remove(filepath.Join(p.data, "_archive.json"))) }, nothingElse, []string{"archive"}},
	{"the archive file with another length", func(p *place) {
		p.write(filepath.Join(p.data, "_archive.json"), []byte(`{"window_length":"10m","layout":"plain","schema_version":1}`))
	}, nothingElse, []string{"archive"}},
	{"the archive file with another schema", func(p *place) {
		p.write(filepath.Join(p.data, "_archive.json"), []byte(`{"window_length":"5m","layout":"plain","schema_version":2}`))
	}, nothingElse, []string{"archive"}},
	{"the archive file with an unknown layout", func(p *place) {
		p.write(filepath.Join(p.data, "_archive.json"), []byte(`{"window_length":"5m","layout":"flat","schema_version":1}`))
	}, nothingElse, []string{"archive"}},
	{"the archive file cut off", func(p *place) { p.ok(os.Truncate(filepath.Join(p.data, "_archive.json"), 9)) }, nothingElse, []string{"archive"}},

	{"a note in the top folder", func(p *place) { p.write(filepath.Join(p.data, "notes.txt"), []byte("x")) }, nothingElse, []string{"stray"}},
	{"a Parquet file of somebody else", func(p *place) {
		p.write(filepath.Join(filepath.Dir(p.path(likes1)), "export.parquet"), p.read(p.path(likes1)))
	}, nothingElse, []string{"stray"}},
	{"a temporary file among the parts", func(p *place) { p.write(p.path(likes1)+".tmp", nil) }, nothingElse, []string{"stray"}},
	{"a hidden temporary file among the parts", func(p *place) {
		p.write(filepath.Join(filepath.Dir(p.path(likes1)), ".part-ABC.tmp"), nil)
	}, nothingElse, []string{"stray"}},
	{"a temporary file in its folder", func(p *place) { p.write(filepath.Join(p.data, "_tmp", ".part-ABC.tmp"), nil) }, nothingElse, nil},

	{"a row of another window", func(p *place) {
		p.rewriteRows(posts1, func(c *content[event.Row]) {
			c.rows[len(c.rows)-1].IngestedAt = event.Some(int64(w1.EndMS()))
			c.meta.LastID = event.ID{MS: w1.EndMS()}
		})
	}, nothingElse, []string{"window"}},
	{"a reject of another window", func(p *place) {
		p.rewriteRejects(refused2, func(c *content[event.Reject]) {
			c.rows[0].IngestedAt = event.Some(int64(w2.StartMS() - 1))
			c.meta.FirstID = event.ID{MS: w2.StartMS() - 1}
		})
	}, nothingElse, []string{"window"}},
	{"a row outside what the footer says", func(p *place) {
		p.rewriteRows(posts1, func(c *content[event.Row]) { c.meta.LastID = idIn(w1, 5) })
	}, nothingElse, []string{"footer"}},
	{"an empty part that says it holds something", func(p *place) {
		p.rewriteRows(follows1, func(c *content[event.Row]) { c.meta.FirstID, c.meta.LastID = idIn(w1, 5), idIn(w1, 6) })
	}, nothingElse, []string{"footer"}},
	{"a footer with more rejects than there are", func(p *place) {
		p.rewriteRows(likes1, func(c *content[event.Row]) { c.meta.Rejected = 7 })
	}, nothingElse, []string{"footer"}},

	{"a hash of other bytes", func(p *place) {
		p.rewriteRows(posts1, func(c *content[event.Row]) { c.rows[0].EntryHash.Value++ })
	}, nothingElse, []string{"hash"}},
	{"a reject with other bytes", func(p *place) {
		p.rewriteRejects(rejects1, func(c *content[event.Reject]) { c.rows[0].Fields[1] = []byte("{") })
	}, nothingElse, []string{"hash"}},
	{"a column that contradicts its event", func(p *place) {
		p.rewriteRows(posts1, func(c *content[event.Row]) { c.rows[2].Text = event.Text("bye") })
	}, nothingElse, []string{"rows"}},
	{"a list that contradicts its event", func(p *place) {
		p.rewriteRows(posts1, func(c *content[event.Row]) { c.rows[2].Langs = event.List{[]byte("de")} })
	}, nothingElse, []string{"rows"}},
	{"an event_json where the columns suffice", func(p *place) {
		p.rewriteRows(likes1, func(c *content[event.Row]) { c.rows[0].EventJSON = event.Text(like(0)) })
	}, nothingElse, []string{"rows"}},
	{"a row that should have been rejected", func(p *place) {
		p.rewriteRows(likes1, func(c *content[event.Row]) { c.rows[0].Operation = event.Text("upsert") })
	}, nothingElse, []string{"rows"}},
	{"a reject without a reason", func(p *place) {
		p.rewriteRejects(rejects1, func(c *content[event.Reject]) { c.rows[0].Reason = event.Text{} })
	}, nothingElse, []string{"rows"}},

	{"a part written again with the same rows", func(p *place) {
		p.rewriteRows(posts1, func(*content[event.Row]) {})
	}, theRunLog, []string{"unchanged"}},
	{"more archived than was ever added", func(p *place) {
		for _, n := range []sink.Name{posts1, {Window: w2, Kind: event.Posts}} {
			p.rewriteRows(n, func(c *content[event.Row]) { c.meta.EntriesAdded = 20 })
		}
	}, nothingElse, []string{"counter"}},
}

// removeWindow removes every file of a window.
func removeWindow(p *place, w window.Window) {
	p.Helper()
	matches, err := filepath.Glob(filepath.Join(p.data, w.Start.Format("2006/01/02/15"), "*", w.Stem()+"-*"))
	p.ok(err)
	rejects, err := filepath.Glob(filepath.Join(p.data, "_rejected", w.Start.Format("2006/01/02/15"), "*", w.Stem()+"-*"))
	p.ok(err)
	if len(matches) < len(event.Kinds()) {
		p.Fatalf("the window has only the files %v", matches)
	}
	for _, match := range append(matches, rejects...) {
		p.ok(os.Remove(match))
	}
}

func TestEveryDamageIsSeenByItsCheck(t *testing.T) {
	good := goodArchive(t, sink.Plain)
	shown := make(map[string]bool)
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			p := good.copy(t)
			d.damage(p)
			p.want(d.asks, d.want...)
		})
		for _, check := range d.want {
			shown[check] = true
		}
	}
	for _, c := range good.want(nothingElse).Checks {
		if c.Asked && !shown[c.Check] {
			t.Errorf("nothing shows that the check %s can fail", c.Check)
		}
	}
}

func TestAViolationSaysWhereAndHowMuch(t *testing.T) {
	p := goodArchive(t, sink.Plain)
	p.rewriteRows(posts1, func(c *content[event.Row]) {
		for _, r := range c.rows {
			r.EntryHash.Value++
		}
	})
	r := p.want(nothingElse, "hash")
	if len(r.Violations) != 1 {
		t.Fatalf("%d violations for one file:\n%s", len(r.Violations), lines(r))
	}
	got := r.Violations[0]
	if got.Count != 20 || got.File != sink.Plain.Path(posts1) || *got.Window != w1 || *got.Kind != event.Posts {
		t.Errorf("the violation is %+v", got)
	}
	if line := got.String(); !strings.HasPrefix(line, "hash: "+sink.Plain.Path(posts1)+": entry ") || !strings.HasSuffix(line, "(and 19 more)") {
		t.Errorf("its line is %q", line)
	}
	text, err := json.Marshal(r)
	p.ok(err)
	for _, want := range []string{`"check":"hash"`, `"window":"` + w1.String() + `"`, `"kind":"posts"`, `"count":20`, `"range":"everything"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the document lacks %s: %s", want, text)
		}
	}
	var table strings.Builder
	p.ok(r.WriteTable(&table))
	for _, want := range []string{"windows", "hash", "not asked", got.String()} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}
}

func TestOnlyTheRangeIsLookedAt(t *testing.T) {
	good := goodArchive(t, sink.Plain)
	for _, c := range []struct {
		name     string
		from, to time.Time
		windows  int64
		want     []string
	}{
		{"one window", w1.Start, w1.End(), 1, nil},
		{"two windows across the hour", w1.Start, w2.End(), 2, []string{"readable"}},
		{"a day", w1.Start.Truncate(24 * time.Hour), w1.Start.Truncate(24 * time.Hour).Add(24 * time.Hour), 3, []string{"readable"}},
		{"windows that begin in it", w1.Start.Add(time.Second), w3.Start.Add(time.Second), 2, []string{"readable"}},
		{"a range without a drained window", after.Start, after.Start.Add(time.Hour), 0, []string{"missing"}},
		{"a range between two windows", w1.Start.Add(time.Second), w1.Start.Add(time.Minute), 0, []string{"missing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := good.copy(t)
			p.ok(os.Truncate(p.path(likes2), 500))
			r, err := p.verify(nothingElse, window.Range{From: c.from, To: c.to})
			p.ok(err)
			p.wantIn(r, c.want...)
			if r.Windows != c.windows {
				t.Errorf("it saw %d windows, want %d", r.Windows, c.windows)
			}
		})
	}
}

func TestWithoutAnArchiveThereIsNothingToVerify(t *testing.T) {
	p := &place{T: t, data: t.TempDir()}
	if _, err := p.verify(nothingElse, window.Range{}); !errors.Is(err, sink.ErrMisplaced) || !strings.Contains(err.Error(), "no archive") {
		t.Errorf("got %v, want ErrMisplaced and a sentence", err)
	}
}

func TestWhatAKilledRunLeavesIsNotChanged(t *testing.T) {
	p := goodArchive(t, sink.Plain).copy(t)
	// A run that was killed behind its publish has no line in the run log.
	p.ok(os.RemoveAll(filepath.Join(p.data, "_state")))
	p.ok(runlog.Open(filepath.Join(p.data, "_state")).Append(runlog.Record{Window: w3, Status: runlog.Nothing, End: w3.End()}))
	p.want(theRunLog)
}

func TestAGapOfYearsIsOneViolation(t *testing.T) {
	p := goodArchive(t, sink.Plain).copy(t)
	old := must(window.Parse("1996-01-01T00:00:00Z/5m"))
	for _, kind := range event.Kinds() {
		from := sink.Name{Window: w1, Kind: kind}
		to := from
		to.Window = old
		rewrite(p, from, to, event.RowColumns(kind), func(c *content[event.Row]) {
			c.rows, c.meta = nil, part.Meta{Kind: kind, Window: old, EntriesAdded: -1, RunID: "x"}
		})
	}
	r := p.want(nothingElse, "missing")
	want := int64(w1.Start.Sub(old.End()) / old.Length)
	if len(r.Violations) != 1 || r.Violations[0].Count != want || *r.Violations[0].Window != old.Next() {
		t.Errorf("want one violation of %d windows from %s on, got\n%s", want, old.Next(), lines(r))
	}
}

// TestAnyDamageIsReportedAndNoneEndsTheVerification: whatever bit is flipped,
// the other files are verified all the same.
func TestAnyDamageIsReportedAndNoneEndsTheVerification(t *testing.T) {
	p := goodArchive(t, sink.Plain).copy(t)
	good := p.read(p.path(likes1))
	seen, tried := 0, 0
	for at := 0; at < len(good); at += 97 {
		bad := slices.Clone(good)
		bad[at] ^= 1 << (at % 8)
		p.write(p.path(likes1), bad)
		r, err := p.verify(nothingElse, window.Range{From: w1.Start, To: w1.End()})
		p.ok(err)
		if r.Files != 6 {
			t.Errorf("a bit at %d: %d files were looked at, want 6", at, r.Files)
		}
		tried++
		if len(r.Violations) > 0 {
			seen++
		}
	}
	// In a file as small as this, half is statistics and page index, which have
	// no checksum and which a full read does not need.
	if seen < tried/2 {
		t.Errorf("only %d of %d flipped bits were seen", seen, tried)
	}
}
