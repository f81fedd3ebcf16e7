package part

import (
	"bytes"
	"testing"

	"datawriter/worker/event"
	"datawriter/worker/window"
)

func TestAResetWriterWritesTheSameFileAsANewOne(t *testing.T) {
	w, err := window.Parse("2026-11-23T10:05:00Z/5m")
	if err != nil {
		t.Fatal(err)
	}
	columns := event.RowColumns(event.Posts)
	o := Options{RowGroupRows: 700, PageRows: 90}
	meta := func(rows int) Meta {
		return Meta{Kind: event.Posts, Window: w, Rows: int64(rows), RunID: "r", WriterVersion: "v"}
	}
	var out bytes.Buffer
	writer := NewWriter(&out, columns, o)
	if writer.Reset(&out) {
		t.Fatal("a writer that is not closed was reset")
	}
	for seed, count := range []int{2000, 0, 1500} {
		if seed > 0 {
			out.Reset()
			if !writer.Reset(&out) {
				t.Fatal("a closed writer was not reset")
			}
		}
		g := newGenerator(uint64(seed))
		for i := range count {
			var r event.Row
			fill(g, columns, &r, i)
			if err := writer.Append(&r); err != nil {
				t.Fatal(err)
			}
		}
		if err := writer.Close(meta(count)); err != nil {
			t.Fatal(err)
		}
		if want := writeSample(t, columns, o, meta(count), count, uint64(seed)); !bytes.Equal(out.Bytes(), want) {
			t.Errorf("file %d of %d rows differs from what a new writer writes", seed, count)
		}
	}
	if err := writer.Close(meta(7)); err != nil {
		t.Fatal(err)
	}
	writer = NewWriter(&out, columns, o)
	if err := writer.Close(meta(7)); err == nil {
		t.Fatal("rows that were never appended were accepted")
	}
	if writer.Reset(&out) {
		t.Error("a writer that failed was reset")
	}
}
