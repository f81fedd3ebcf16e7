package part

import (
	"fmt"
	"testing"
	"unicode/utf8"

	"datawriter/worker/event"

	"github.com/xitongsys/parquet-go/parquet"
)

// TestPageIndex holds the column index and the offset index of every chunk
// against the pages and the rows that were written.
func TestPageIndex(t *testing.T) {
	t.Parallel()
	for _, kind := range event.AllKinds() {
		t.Run(kind.String(), func(t *testing.T) {
			checkIndexes(t, event.RowColumns(kind), testMeta(kind, 2500, 0))
		})
	}
	t.Run("rejects", func(t *testing.T) {
		checkIndexes(t, event.RejectColumns(), testMeta(event.Likes, 0, 2500))
	})
}

func checkIndexes[R any](t *testing.T, columns []event.Column[R], m Meta) {
	file := writeSample(t, columns, tight(Zstd), m, 2500, 3)
	f := openBytes(t, file)
	rows := make([]R, 2500)
	g := newGenerator(3)
	for i := range rows {
		fill(g, columns, &rows[i], i)
	}
	for _, group := range f.footer.RowGroups {
		for i, chunk := range group.Columns {
			x := indexCheck{leaf: &f.leaves[i], file: file, chunk: chunk, rows: group.NumRows}
			x.values = func(row int64) ([][]byte, int) { return plainValues(&columns[i], &rows[row]) }
			x.run(t)
		}
		rows = rows[group.NumRows:]
	}
}

// plainValues returns a cell's values as statistics write them, and how many nulls it counts.
func plainValues[R any](c *event.Column[R], r *R) (values [][]byte, nulls int) {
	switch {
	case c.Int != nil:
		if v := *c.Int(r); v.Valid {
			return [][]byte{appendInts(nil, []int64{v.Value})}, 0
		}
	case c.Text != nil:
		if v := *c.Text(r); v != nil {
			return [][]byte{v}, 0
		}
	case len(*c.List(r)) > 0:
		return *c.List(r), 0
	}
	return nil, 1
}

type indexCheck struct {
	leaf   *leaf
	file   []byte
	chunk  *parquet.ColumnChunk
	rows   int64
	values func(row int64) (values [][]byte, nulls int)
}

func (x *indexCheck) run(t *testing.T) {
	t.Helper()
	offsets := parquet.NewOffsetIndex()
	x.decode(t, offsets, x.chunk.OffsetIndexOffset, x.chunk.OffsetIndexLength)
	if len(offsets.PageLocations) < 2 {
		t.Fatalf("column %s has %d pages, too few to show anything", x.leaf.name, len(offsets.PageLocations))
	}
	for i, location := range offsets.PageLocations {
		x.location(t, i, location)
	}
	if x.chunk.ColumnIndexOffset == nil {
		return // a bound without a short form; TestBoundsForIndex says when
	}
	index := parquet.NewColumnIndex()
	x.decode(t, index, x.chunk.ColumnIndexOffset, x.chunk.ColumnIndexLength)
	for i, location := range offsets.PageLocations {
		end := x.rows
		if i+1 < len(offsets.PageLocations) {
			end = offsets.PageLocations[i+1].FirstRowIndex
		}
		x.page(t, fmt.Sprintf("column %s page %d", x.leaf.name, i), index, i, location.FirstRowIndex, end)
	}
	x.order(t, index)
}

func (x *indexCheck) decode(t *testing.T, s thriftStruct, offset *int64, length *int32) {
	t.Helper()
	n, err := decodeThrift(x.file[*offset:*offset+int64(*length)], s)
	if err != nil || n != int(*length) {
		t.Fatalf("column %s: index of %d bytes: %d read, %v", x.leaf.name, *length, n, err)
	}
}

// location checks that a page stands where the index says, header included.
func (x *indexCheck) location(t *testing.T, i int, l *parquet.PageLocation) {
	t.Helper()
	header := parquet.NewPageHeader()
	n, err := decodeThrift(x.file[l.Offset:], header)
	if err != nil || header.Type != parquet.PageType_DATA_PAGE {
		t.Fatalf("column %s page %d at %d: %v %v", x.leaf.name, i, l.Offset, header.Type, err)
	}
	if size := int32(n) + header.CompressedPageSize; size != l.CompressedPageSize {
		t.Errorf("column %s page %d takes %d bytes, the index says %d", x.leaf.name, i, size, l.CompressedPageSize)
	}
}

func (x *indexCheck) page(t *testing.T, what string, index *parquet.ColumnIndex, i int, first, end int64) {
	t.Helper()
	var nulls, count int64
	for row := first; row < end; row++ {
		values, n := x.values(row)
		nulls += int64(n)
		count += int64(len(values))
		for _, v := range values {
			if x.leaf.compare(index.MinValues[i], v) > 0 || x.leaf.compare(v, index.MaxValues[i]) > 0 {
				t.Fatalf("%s: %q is outside %q..%q", what, v, index.MinValues[i], index.MaxValues[i])
			}
		}
	}
	if index.NullCounts[i] != nulls || index.NullPages[i] != (count == 0) {
		t.Errorf("%s has %d nulls and %d values; the index says %d, null page %t", what, nulls, count, index.NullCounts[i], index.NullPages[i])
	}
	if x.leaf.isUTF8() && (!utf8.Valid(index.MinValues[i]) || !utf8.Valid(index.MaxValues[i])) {
		t.Errorf("%s: bounds %q..%q are not UTF-8", what, index.MinValues[i], index.MaxValues[i])
	}
}

func (x *indexCheck) order(t *testing.T, index *parquet.ColumnIndex) {
	t.Helper()
	var low, high []byte
	for i, null := range index.NullPages {
		if null {
			continue
		}
		if low != nil && index.BoundaryOrder == parquet.BoundaryOrder_ASCENDING &&
			(x.leaf.compare(low, index.MinValues[i]) > 0 || x.leaf.compare(high, index.MaxValues[i]) > 0) {
			t.Errorf("column %s claims ascending pages, but page %d descends", x.leaf.name, i)
		}
		low, high = index.MinValues[i], index.MaxValues[i]
	}
	ascends := x.leaf.name == "ingested_at"
	if ascends && index.BoundaryOrder != parquet.BoundaryOrder_ASCENDING {
		t.Errorf("column %s ascends, but claims %s", x.leaf.name, index.BoundaryOrder)
	}
}

func TestBoundaryOrder(t *testing.T) {
	l := newLeaf("x", event.String, false)
	page := func(low, high string) bounds { return bounds{low: []byte(low), high: []byte(high)} }
	for _, c := range []struct {
		name  string
		pages []bounds
		want  parquet.BoundaryOrder
	}{
		{"no page counts as ascending", nil, parquet.BoundaryOrder_ASCENDING},
		{"equal pages count as ascending", []bounds{page("a", "b"), page("a", "b")}, parquet.BoundaryOrder_ASCENDING},
		{"both bounds rise", []bounds{page("a", "b"), page("a", "c")}, parquet.BoundaryOrder_ASCENDING},
		{"both bounds fall", []bounds{page("b", "d"), page("a", "c")}, parquet.BoundaryOrder_DESCENDING},
		{"the bounds part", []bounds{page("b", "c"), page("a", "d")}, parquet.BoundaryOrder_UNORDERED},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := boundaryOrder(&l, c.pages); got != c.want {
				t.Errorf("order is %s, want %s", got, c.want)
			}
		})
	}
}
