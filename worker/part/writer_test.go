package part

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"datawriter/worker/event"
)

func TestWriterRefuses(t *testing.T) {
	full := func() *event.Row { return newRealistic().next(event.Likes, 0, 100) }
	columns := event.RowColumns(event.Likes)
	for _, c := range []struct {
		name string
		err  func() error
		want string
	}{
		{"a row without a time", func() error {
			r := full()
			r.IngestedAt = event.Int{}
			return NewWriter(io.Discard, columns, Options{}).Append(r)
		}, "row 0 has no ingested_at, which is not nullable"},
		{"a row without a did", func() error {
			r := full()
			r.DID = nil
			return NewWriter(io.Discard, columns, Options{}).Append(r)
		}, "row 0 has no did"},
		{"a reject without fields", func() error {
			r := event.NewReject(&event.Entry{}, event.ReasonNoEvent)
			return NewWriter(io.Discard, event.RejectColumns(), Options{}).Append(&r)
		}, "row 0 has no fields"},
		{"a Meta that counts other rows", func() error {
			return NewWriter(io.Discard, columns, Options{}).Close(testMeta(event.Likes, 1, 0))
		}, "would count 1 rows, but 0 were appended"},
		{"a Meta that counts other rejects", func() error {
			return NewWriter(io.Discard, event.RejectColumns(), Options{}).Close(testMeta(event.Likes, 0, 2))
		}, "would count 2 rejects, but 0 were appended"},
		{"a codec that it does not know", func() error {
			return NewWriter(io.Discard, columns, Options{Compression: "lz4"}).Append(full())
		}, `compression "lz4" is unknown: use zstd, snappy or none`},
		{"a row after Close", func() error {
			w := NewWriter(io.Discard, columns, Options{})
			if err := w.Close(testMeta(event.Likes, 0, 0)); err != nil {
				return err
			}
			return w.Append(full())
		}, "append to a closed part"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.err(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one that says %q", err, c.want)
			}
		})
	}
}

// limitedWriter fails once it has taken so many bytes, as a full disk does.
type limitedWriter struct{ left int }

var errFull = errors.New("no space left")

func (l *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return l.left, errFull
	}
	l.left -= len(p)
	return len(p), nil
}

// TestWriterReportsAFullDisk lets the disk be full at every tenth of a file.
func TestWriterReportsAFullDisk(t *testing.T) {
	columns := event.RowColumns(event.Posts)
	size := len(writeSample(t, columns, tight(Zstd), testMeta(event.Posts, 1000, 0), 1000, 1))
	for tenth := range 10 {
		w := NewWriter(&limitedWriter{left: size * tenth / 10}, columns, tight(Zstd))
		g := newGenerator(1)
		var err error
		for i := 0; i < 1000 && err == nil; i++ {
			var r event.Row
			fill(g, columns, &r, i)
			err = w.Append(&r)
		}
		if err := w.Close(testMeta(event.Posts, 1000, 0)); !errors.Is(err, errFull) {
			t.Errorf("full after %d tenths: Close returns %v", tenth, err)
		}
	}
}

func TestLongStringsAndLists(t *testing.T) {
	t.Parallel()
	columns := event.RowColumns(event.Posts)
	long := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	rows := make([]event.Row, 15)
	for i := range rows {
		r := newRealistic().next(event.Posts, i, 10)
		r.EventJSON = fmt.Appendf(nil, "%d%s", i%7, long)
		r.Text = event.Text{}
		r.Tags = event.List{{}, long, []byte("\x00")}
		for range i * 200 {
			r.Tags = append(r.Tags, []byte("tag"))
		}
		rows[i] = *r
	}
	for _, codec := range codecs() {
		var file bytes.Buffer
		w := NewWriter(&file, columns, Options{Compression: codec})
		for i := range rows {
			if err := w.Append(&rows[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(testMeta(event.Posts, 15, 0)); err != nil {
			t.Fatal(err)
		}
		at := 0
		err := ReadRows(openBytes(t, file.Bytes()), columns, func(r *event.Row) error {
			if !reflect.DeepEqual(*r, rows[at]) {
				return fmt.Errorf("row %d differs", at)
			}
			at++
			return nil
		})
		if err != nil || at != len(rows) {
			t.Errorf("%s: %d rows, %v", codec, at, err)
		}
	}
}

func TestAppendAllocatesAlmostNothing(t *testing.T) {
	columns := event.RowColumns(event.Posts)
	const count = 50_000
	rows := make([]event.Row, 500)
	for i := range rows {
		rows[i] = *newRealistic().next(event.Posts, i, 100)
	}
	perFile := testing.AllocsPerRun(1, func() {
		w := NewWriter(io.Discard, columns, Options{})
		for i := range count {
			if err := w.Append(&rows[i%len(rows)]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(testMeta(event.Posts, count, 0)); err != nil {
			t.Fatal(err)
		}
	})
	if perRow := perFile / count; perRow > 0.2 {
		t.Errorf("%.2f allocations per row", perRow)
	}
}

// TestMemoryIsBounded fills row groups by bytes and looks at what the writer
// holds: no more than a row group and a row, and no more after ten row groups
// than after three.
func TestMemoryIsBounded(t *testing.T) {
	columns := event.RowColumns(event.Posts)
	r := newRealistic().next(event.Posts, 0, 100)
	for _, c := range []struct {
		name  string
		bytes int // of an event
		rows  int
	}{
		{"events of 500 bytes", 500, 200_000},
		{"events of 50 KB", 50_000, 3_000},
		{"events of 4 MB", 4_000_000, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := NewWriter(io.Discard, columns, Options{Compression: None})
			noise := newGenerator(1)
			r.EventJSON = make(event.Text, c.bytes)
			for i := range c.rows {
				for k := 0; k < len(r.EventJSON); k += 100 {
					r.EventJSON[k] = byte('a' + noise.IntN(26))
				}
				if err := w.Append(r); err != nil {
					t.Fatal(err)
				}
				if most := w.options.RowGroupBytes; w.measure() > most {
					t.Fatalf("row %d: the writer holds %d bytes, more than %d", i, w.measure(), most)
				}
			}
			if len(w.footer.groups) < 3 {
				t.Fatalf("%d row groups, too few to show anything", len(w.footer.groups))
			}
			if err := w.endGroup(); err != nil {
				t.Fatal(err)
			}
			if n, most := w.capacity(), 2*w.options.RowGroupBytes; n > most {
				t.Errorf("between row groups the writer keeps buffers of %d bytes, more than %d", n, most)
			}
		})
	}
}

// capacity returns the bytes of all buffers that the writer keeps for reuse.
func (w *Writer[R]) capacity() int {
	pool := w.writers[0].chunk.data.pool
	n := cap(w.encoder.raw) + cap(w.encoder.compressor.out) + len(pool.free)*spoolBlock
	for _, c := range w.writers {
		n += cap(c.reps) + cap(c.defs) + len(c.chunk.data.blocks)*spoolBlock
		if c.ints != nil {
			n += 8 * cap(c.ints.numbers)
			continue
		}
		n += cap(c.texts.arrays.bytes) + 8*cap(c.texts.arrays.ends) + 4*cap(c.texts.indexes)
		if d := c.texts.dict; d != nil {
			n += cap(d.values.bytes) + 8*cap(d.values.ends) + 8*cap(d.slots)
		}
	}
	return n
}
