package part

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"datawriter/worker/event"
	"datawriter/worker/window"
)

// tight are sizes at which a few thousand rows make several row groups of
// several pages each.
func tight(c Compression) Options {
	return Options{Compression: c, RowGroupRows: 700, PageRows: 150, PageBytes: 4 << 10, DictBytes: 2 << 10}
}

func codecs() []Compression { return []Compression{Zstd, Snappy, None} }

func testMeta(kind event.Kind, rows, rejected int64) Meta {
	w, err := window.Parse("2026-11-23T10:05:00Z/5m")
	if err != nil {
		panic(err)
	}
	return Meta{
		Kind: kind, Window: w, Part: 1, Rows: rows, Rejected: rejected,
		FirstID: event.ID{MS: w.StartMS(), Seq: 0}, LastID: event.ID{MS: w.EndMS() - 1, Seq: 7},
		EntriesAdded: rows + rejected, RunID: strings.Repeat("ab", 20), WriterVersion: "1.2.3", Misdated: rows == 700,
	}
}

// generator makes rows whose cells take every shape a column allows: nulls,
// empty and NUL strings, repeated and distinct ones, long ones, lists.
type generator struct {
	*rand.Rand
	words []string
}

func newGenerator(seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
	for i := range 40 {
		g.words = append(g.words, fmt.Sprintf("word-%02d-%s", i, strings.Repeat("é", i%5)))
	}
	return g
}

// fill sets every column of r. at is the row's number, so that some columns
// ascend as real ones do.
func fill[R any](g *generator, columns []event.Column[R], r *R, at int) {
	for i, c := range columns {
		null := c.Nullable && g.null(i, at)
		switch c.Type {
		case event.String:
			*c.Text(r) = nil
			if !null {
				*c.Text(r) = g.text(i, at)
			}
		case event.StringList, event.BinaryList:
			*c.List(r) = nil
			if !null {
				*c.List(r) = g.list(c.Type, i)
			}
		default:
			*c.Int(r) = event.Int{}
			if !null {
				*c.Int(r) = event.Some(g.number(c.Name, c.Type, at))
			}
		}
	}
}

// null varies from column to column: some rarely, some always over whole
// pages, some often.
func (g *generator) null(column, at int) bool {
	switch column % 3 {
	case 0:
		return g.IntN(20) == 0
	case 1:
		return at/400%2 == 1
	}
	return g.IntN(3) > 0
}

const sampleStart = 1_795_000_000_000 // milliseconds; in 2026

func (g *generator) number(name string, typ event.Type, at int) int64 {
	switch {
	case name == "entry_hash":
		return int64(g.Uint64())
	case name == "cursor" && g.IntN(50) == 0:
		return []int64{math.MinInt64, math.MaxInt64, 0, -1}[g.IntN(4)]
	case typ == event.TimestampMillis:
		return sampleStart + int64(at/3)
	case typ == event.TimestampMicros:
		return (sampleStart+int64(at))*1000 + g.Int64N(5_000_000) - 2_500_000
	}
	return int64(at % 3)
}

func (g *generator) text(column, at int) event.Text {
	switch kind := g.IntN(40); {
	case kind == 0:
		return event.Text{}
	case kind == 1:
		return event.Text("nul\x00inside")
	case kind == 2 && at%50 == 0:
		return event.Text(strings.Repeat("\U0010FFFF", 70) + g.word())
	case kind == 3 && at%20 == 0:
		return event.Text(strings.Repeat("long 😀 ", 40) + g.word())
	case column%2 == 0:
		return event.Text(g.word())
	}
	return event.Text(fmt.Sprintf("did:plc:%024x/%06d", g.Uint64(), at))
}

func (g *generator) word() string { return g.words[g.IntN(len(g.words))] }

func (g *generator) list(typ event.Type, column int) event.List {
	list := event.List{}
	for range g.IntN(4) {
		element := []byte(g.text(column, 1))
		if typ == event.BinaryList && g.IntN(3) == 0 {
			element = append(element, 0xFF, 0x00, 0xFE)
		}
		list = append(list, element)
	}
	return list
}

// writeSample writes count rows of the columns and returns the file.
func writeSample[R any](tb testing.TB, columns []event.Column[R], o Options, m Meta, count int, seed uint64) []byte {
	tb.Helper()
	var file bytes.Buffer
	w := NewWriter(&file, columns, o)
	g := newGenerator(seed)
	for i := range count {
		var r R
		fill(g, columns, &r, i)
		if err := w.Append(&r); err != nil {
			tb.Fatalf("append row %d: %v", i, err)
		}
	}
	if err := w.Close(m); err != nil {
		tb.Fatalf("close: %v", err)
	}
	return file.Bytes()
}

func openBytes(tb testing.TB, file []byte) *File {
	tb.Helper()
	f, err := Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	return f
}
