package part

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"datawriter/worker/event"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, codec := range codecs() {
		for _, kind := range event.AllKinds() {
			t.Run(fmt.Sprintf("%s with %s", kind, codec), func(t *testing.T) {
				for _, count := range []int{0, 1, 700, 1500} {
					roundTrip(t, event.RowColumns(kind), tight(codec), testMeta(kind, int64(count), 3), count)
				}
			})
		}
		t.Run(fmt.Sprintf("usual sizes with %s", codec), func(t *testing.T) {
			roundTrip(t, event.RowColumns(event.Posts), Options{Compression: codec}, testMeta(event.Posts, 12_000, 0), 12_000)
		})
		t.Run(fmt.Sprintf("rejects with %s", codec), func(t *testing.T) {
			for _, count := range []int{0, 1, 1500} {
				roundTrip(t, event.RejectColumns(), tight(codec), testMeta(event.Likes, 9, int64(count)), count)
			}
		})
	}
}

// roundTrip writes a sample, reads it back, and compares every cell and the Meta.
func roundTrip[R any](t *testing.T, columns []event.Column[R], o Options, m Meta, count int) {
	t.Helper()
	f := openBytes(t, writeSample(t, columns, o, m, count, 5))
	m.SchemaVersion = SchemaVersion
	if f.Meta() != m {
		t.Errorf("meta is %+v, want %+v", f.Meta(), m)
	}
	if f.NumRows() != int64(count) {
		t.Errorf("%d rows, want %d", f.NumRows(), count)
	}
	g, at := newGenerator(5), 0
	err := ReadRows(f, columns, func(got *R) error {
		var want R
		fill(g, columns, &want, at)
		if !reflect.DeepEqual(*got, want) {
			return fmt.Errorf("row %d is\n%+v, want\n%+v", at, *got, want)
		}
		at++
		return nil
	})
	if err != nil || at != count {
		t.Fatalf("read %d of %d rows: %v", at, count, err)
	}
}

func TestIdentities(t *testing.T) {
	columns := event.RowColumns(event.Posts)
	f := openBytes(t, writeSample(t, columns, tight(Zstd), testMeta(event.Posts, 1000, 0), 1000, 6))
	g, at := newGenerator(6), 0
	err := f.Identities(func(id event.ID, hash uint64) error {
		var want event.Row
		fill(g, columns, &want, at)
		if id != want.ID() || int64(hash) != want.EntryHash.Value {
			return fmt.Errorf("entry %d is %s %x, want %s %x", at, id, hash, want.ID(), want.EntryHash.Value)
		}
		at++
		return nil
	})
	if err != nil || at != 1000 {
		t.Fatalf("read %d of 1000 identities: %v", at, err)
	}
}

// FuzzRoundTrip writes rows whose cells the fuzzer chooses, and reads them back.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("\x01did\x00\x02a,b,,\xff"), int64(-1), uint8(0), uint8(3))
	f.Add([]byte(""), int64(1)<<62, uint8(1), uint8(1))
	f.Add(bytes.Repeat([]byte("x\x00y"), 200), int64(0), uint8(2), uint8(40))
	f.Fuzz(func(t *testing.T, cells []byte, number int64, codec, pageRows uint8) {
		type record struct {
			n, m event.Int
			s, u event.Text
			l, k event.List
		}
		columns := []event.Column[record]{
			{Name: "ingested_at", Type: event.TimestampMillis, Int: func(r *record) *event.Int { return &r.n }},
			{Name: "maybe", Type: event.Int64, Nullable: true, Int: func(r *record) *event.Int { return &r.m }},
			{Name: "text", Type: event.String, Text: func(r *record) *event.Text { return &r.s }},
			{Name: "maybe_text", Type: event.String, Nullable: true, Text: func(r *record) *event.Text { return &r.u }},
			{Name: "list", Type: event.BinaryList, List: func(r *record) *event.List { return &r.l }},
			{Name: "maybe_list", Type: event.StringList, Nullable: true, List: func(r *record) *event.List { return &r.k }},
		}
		var rows []record
		for i, cell := range bytes.Split(cells, []byte{0}) {
			r := record{n: event.Some(number * int64(i)), s: cell, l: bytes.Split(cell, []byte(","))}
			if r.l = r.l[:len(r.l)-i%2*min(len(r.l), 1)]; i%3 > 0 {
				r.m, r.u, r.k = event.Some(number+int64(len(cell))), cell, r.l
			}
			rows = append(rows, r)
		}
		var file bytes.Buffer
		o := Options{Compression: codecs()[codec%3], PageRows: int(pageRows), RowGroupRows: 3 * int(pageRows), DictBytes: 40}
		w := NewWriter(&file, columns, o)
		for i := range rows {
			if err := w.Append(&rows[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(testMeta(event.Likes, int64(len(rows)), 0)); err != nil {
			t.Fatal(err)
		}
		footer, _, err := readFooter(bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		opened := &File{source: bytes.NewReader(file.Bytes()), footer: footer, leaves: leavesOf(columns)}
		err = ReadRows(opened, columns, func(r *record) error {
			if !reflect.DeepEqual(*r, rows[at]) {
				return fmt.Errorf("row %d is %+v, want %+v", at, *r, rows[at])
			}
			at++
			return nil
		})
		if err != nil || at != len(rows) {
			t.Fatalf("%d of %d rows: %v", at, len(rows), err)
		}
	})
}
