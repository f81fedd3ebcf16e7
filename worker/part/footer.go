package part

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/xitongsys/parquet-go/parquet"
)

// magic frames every Parquet file.
const magic = "PAR1"

// describe returns what the footer says about the chunk, whose data pages
// begin at that offset of the file, behind a dictionary page of that size.
func (c *columnWriter) describe(codec parquet.CompressionCodec, offset int64, dictionary int) *parquet.ColumnChunk {
	k := &c.chunk
	m := &parquet.ColumnMetaData{
		Type: c.leaf.physical(), Encodings: k.usedEncodings(&c.leaf), PathInSchema: c.leaf.path, Codec: codec,
		NumValues: k.levels, TotalUncompressedSize: k.rawSize, TotalCompressedSize: k.data.length + int64(dictionary),
		DataPageOffset: offset, Statistics: k.bounds.statistics(k.nulls), EncodingStats: k.encodings,
	}
	if dictionary > 0 {
		m.DictionaryPageOffset = pointer(offset - int64(dictionary))
	}
	return &parquet.ColumnChunk{MetaData: m}
}

// usedEncodings returns the encodings of values and levels, each once.
func (k *chunk) usedEncodings(l *leaf) []parquet.Encoding {
	var used []parquet.Encoding
	if l.maxDef > 0 {
		used = append(used, parquet.Encoding_RLE)
	}
	for _, s := range k.encodings {
		if !slices.Contains(used, s.Encoding) {
			used = append(used, s.Encoding)
		}
	}
	return used
}

// chunkIndex is the page index of one chunk.
type chunkIndex struct {
	columns *parquet.ColumnIndex // nil when a bound has no short form
	offsets *parquet.OffsetIndex
}

// newChunkIndex returns the page index of a chunk whose data pages begin at
// that offset of the file.
func newChunkIndex(l *leaf, pages []pageEntry, offset int64) *chunkIndex {
	locations := make([]*parquet.PageLocation, len(pages))
	for i, p := range pages {
		locations[i] = &parquet.PageLocation{Offset: offset + p.offset, CompressedPageSize: int32(p.size), FirstRowIndex: p.firstRow}
	}
	return &chunkIndex{columns: columnIndex(l, pages), offsets: &parquet.OffsetIndex{PageLocations: locations}}
}

// columnIndex returns nil, and readers fall back on the chunk's statistics,
// when one page's upper bound cannot be cut: a bound that does not hold would
// make them skip rows that match.
func columnIndex(l *leaf, pages []pageEntry) *parquet.ColumnIndex {
	index := &parquet.ColumnIndex{}
	var filled []bounds // of the pages that have values
	for _, p := range pages {
		short := bounds{low: []byte{}, high: []byte{}}
		if p.bounds.low != nil {
			var ok bool
			if short, ok = p.bounds.forIndex(l.typ); !ok {
				return nil
			}
			filled = append(filled, short)
		}
		index.NullPages = append(index.NullPages, p.bounds.low == nil)
		index.MinValues = append(index.MinValues, short.low)
		index.MaxValues = append(index.MaxValues, short.high)
		index.NullCounts = append(index.NullCounts, p.nulls)
	}
	index.BoundaryOrder = boundaryOrder(l, filled)
	return index
}

// footer gathers what stands behind the row groups. It is the one thing that
// grows with the file: some 200 bytes for each page, of 10,000 values.
type footer struct {
	rows    int64
	groups  []*parquet.RowGroup
	indexes [][]*chunkIndex // per group and column
}

// add notes a row group that begins at that offset of the file.
func (f *footer) add(columns []*parquet.ColumnChunk, indexes []*chunkIndex, offset, rows int64) {
	g := &parquet.RowGroup{Columns: columns, NumRows: rows, FileOffset: &offset, TotalCompressedSize: new(int64)}
	for _, c := range columns {
		g.TotalByteSize += c.MetaData.TotalUncompressedSize
		*g.TotalCompressedSize += c.MetaData.TotalCompressedSize
	}
	if n := len(f.groups); n <= 1<<15-1 { // more than the field can count: leave it out
		g.Ordinal = pointer(int16(n))
	}
	f.rows += rows
	f.groups = append(f.groups, g)
	f.indexes = append(f.indexes, indexes)
}

// write writes the page indexes, all column indexes first as readers like to
// fetch them at once, then the footer itself.
func (f *footer) write(w *countingWriter, t *thriftEncoder, leaves []leaf, m Meta) error {
	if err := f.writeColumnIndexes(w, t); err != nil {
		return fmt.Errorf("write column index: %w", err)
	}
	if err := f.writeOffsetIndexes(w, t); err != nil {
		return fmt.Errorf("write offset index: %w", err)
	}
	data, err := t.encode(f.metadata(leaves, m))
	if err != nil {
		return fmt.Errorf("encode footer: %w", err)
	}
	tail := binary.LittleEndian.AppendUint32(nil, uint32(len(data)))
	for _, b := range [][]byte{data, append(tail, magic...)} {
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("write footer: %w", err)
		}
	}
	return nil
}

func (f *footer) writeColumnIndexes(w *countingWriter, t *thriftEncoder) error {
	return f.each(func(c *parquet.ColumnChunk, index *chunkIndex) error {
		if index.columns == nil {
			return nil
		}
		offset := w.written
		length, err := writeThrift(w, t, index.columns)
		c.ColumnIndexOffset, c.ColumnIndexLength = &offset, &length
		return err
	})
}

func (f *footer) writeOffsetIndexes(w *countingWriter, t *thriftEncoder) error {
	return f.each(func(c *parquet.ColumnChunk, index *chunkIndex) error {
		offset := w.written
		length, err := writeThrift(w, t, index.offsets)
		c.OffsetIndexOffset, c.OffsetIndexLength = &offset, &length
		return err
	})
}

func (f *footer) each(do func(*parquet.ColumnChunk, *chunkIndex) error) error {
	for g := range f.groups {
		for i, c := range f.groups[g].Columns {
			if err := do(c, f.indexes[g][i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeThrift(w *countingWriter, t *thriftEncoder, s thriftStruct) (length int32, err error) {
	data, err := t.encode(s)
	if err == nil {
		_, err = w.Write(data)
	}
	return int32(len(data)), err
}

// metadata returns the footer. Without column orders readers would not trust
// the bounds of strings, which older writers ordered by signed bytes.
func (f *footer) metadata(leaves []leaf, m Meta) *parquet.FileMetaData {
	orders := make([]*parquet.ColumnOrder, len(leaves))
	for i := range orders {
		orders[i] = &parquet.ColumnOrder{TYPE_ORDER: &parquet.TypeDefinedOrder{}}
	}
	groups := f.groups
	if groups == nil {
		groups = []*parquet.RowGroup{} // a required field of the format
	}
	return &parquet.FileMetaData{
		Version: 2, Schema: schemaElements(leaves), NumRows: f.rows, RowGroups: groups,
		KeyValueMetadata: m.keyValues(), ColumnOrders: orders,
		CreatedBy: pointer("datawriter version " + m.WriterVersion),
	}
}
