package part

import (
	"io"
	"slices"

	"datawriter/worker/event"

	"github.com/xitongsys/parquet-go/parquet"
)

// columnWriter gathers one column: the page that is being filled, and the
// finished pages of the current chunk.
type columnWriter struct {
	leaf       leaf
	reps, defs []uint8 // of the page; empty where the column needs none
	rows       int     // of the page
	ints       *intValues
	texts      *textValues
	values     pageValues // whichever of the two the column has
	chunk      chunk
}

// chunk is what a footer will say about the finished pages, and the pages.
// They wait in memory until the row group is full, since a chunk is one
// stretch of the file and the rows fill all chunks at once.
type chunk struct {
	pages     []pageEntry
	data      spool
	rows      int64
	levels    int64 // values and nulls
	nulls     int64
	rawSize   int64
	bounds    bounds
	encodings []*parquet.PageEncodingStats
}

// pageEntry is a data page as the column index and the offset index list it.
type pageEntry struct {
	offset   int64 // from the first data page of the chunk
	size     int   // header and body
	firstRow int64 // in the row group
	nulls    int64
	bounds   bounds
}

func newColumnWriter(l leaf, pool *blockPool, dictBytes int) *columnWriter {
	c := &columnWriter{leaf: l}
	c.chunk.data.pool = pool
	if l.isText() {
		c.texts = newTextValues(dictBytes)
		c.values = c.texts
	} else {
		c.ints = &intValues{}
		c.values = c.ints
	}
	return c
}

// The three appends take one row's cell and return the bytes of memory that
// it costs. A null takes a definition level and no value: that is all that
// Parquet keeps of it.

func (c *columnWriter) appendInt(v event.Int) int {
	c.rows++
	if c.leaf.nullable && !c.level(v.Valid) {
		return 1
	}
	c.ints.numbers = append(c.ints.numbers, v.Value)
	return 9
}

func (c *columnWriter) appendText(v event.Text) int {
	c.rows++
	if c.leaf.nullable && !c.level(v != nil) {
		return 1
	}
	return 1 + c.texts.add(v)
}

// level notes whether the cell is there, and returns that.
func (c *columnWriter) level(there bool) bool {
	def := uint8(0)
	if there {
		def = 1
	}
	c.defs = append(c.defs, def)
	return there
}

// appendList takes a list as its elements; the repetition level is 0 for the
// first, which begins the row, and 1 for the others. A null or empty list is
// one level without a value, and which of the two its definition level says.
func (c *columnWriter) appendList(v event.List) int {
	c.rows++
	if len(v) == 0 {
		def := c.leaf.maxDef - 2 // there, and empty
		if v == nil {
			def = 0
		}
		c.reps, c.defs = append(c.reps, 0), append(c.defs, def)
		return 2
	}
	cost := 0
	for i, element := range v {
		c.reps = append(c.reps, uint8(min(i, 1)))
		c.defs = append(c.defs, c.leaf.maxDef)
		cost += 2 + c.texts.add(element)
	}
	return cost
}

// full reports whether the page has reached its size.
func (c *columnWriter) full(o *Options) bool {
	return c.rows >= o.PageRows || c.texts != nil && c.texts.full(o.PageBytes)
}

// held returns the bytes of memory in use.
func (c *columnWriter) held() int {
	return len(c.reps) + len(c.defs) + c.values.held() + int(c.chunk.data.length)
}

// levels returns how many values and nulls the page has.
func (c *columnWriter) levels() int {
	if c.leaf.maxDef == 0 {
		return c.rows
	}
	return len(c.defs)
}

// endPage encodes the page and adds it to the chunk.
func (c *columnWriter) endPage(e *pageEncoder) error {
	if c.rows == 0 {
		return nil
	}
	raw, encoding := c.encode(e)
	page, err := e.dataPage(raw, c.levels(), encoding)
	if err != nil {
		return err
	}
	c.chunk.add(&c.leaf, c.entry(&page), &page, encoding, c.rows, c.levels())
	c.reps, c.defs, c.rows = c.reps[:0], c.defs[:0], 0
	c.values.reset()
	return nil
}

// encode lays the page out as version 1 does: repetition levels, definition
// levels, values, all compressed together.
func (c *columnWriter) encode(e *pageEncoder) ([]byte, parquet.Encoding) {
	raw := e.raw[:0]
	if c.leaf.maxRep > 0 {
		raw = appendLevels(raw, c.reps, widthOf(uint64(c.leaf.maxRep)))
	}
	if c.leaf.maxDef > 0 {
		raw = appendLevels(raw, c.defs, widthOf(uint64(c.leaf.maxDef)))
	}
	encoding := parquet.Encoding_PLAIN // of no values at all
	if c.values.count() > 0 {
		raw, encoding = c.values.encode(raw, &e.scratch)
	}
	e.raw = raw
	return raw, encoding
}

// entry describes the page; its values are still there.
func (c *columnWriter) entry(page *encodedPage) pageEntry {
	entry := pageEntry{
		offset: c.chunk.data.length, size: page.size(), firstRow: c.chunk.rows,
		nulls: int64(c.levels() - c.values.count()),
	}
	if c.values.count() > 0 {
		low, high := c.values.bounds()
		entry.bounds = bounds{low: append([]byte{}, low...), high: append([]byte{}, high...)} // not nil, even when empty
	}
	return entry
}

func (k *chunk) add(l *leaf, entry pageEntry, page *encodedPage, encoding parquet.Encoding, rows, levels int) {
	k.pages = append(k.pages, entry)
	k.data.add(page.header)
	k.data.add(page.body)
	k.rows += int64(rows)
	k.levels += int64(levels)
	k.nulls += entry.nulls
	k.rawSize += page.rawSize
	if entry.bounds.low != nil {
		k.bounds.widen(l, entry.bounds)
	}
	k.count(parquet.PageType_DATA_PAGE, encoding)
}

// count counts a page under its encoding.
func (k *chunk) count(typ parquet.PageType, encoding parquet.Encoding) {
	i := slices.IndexFunc(k.encodings, func(s *parquet.PageEncodingStats) bool { return s.PageType == typ && s.Encoding == encoding })
	if i < 0 {
		i = len(k.encodings)
		k.encodings = append(k.encodings, &parquet.PageEncodingStats{PageType: typ, Encoding: encoding})
	}
	k.encodings[i].Count++
}

// endChunk writes the chunk to w, describes it, and begins the next one. The
// dictionary stands first, though it is known last: that is why pages wait.
func (c *columnWriter) endChunk(w *countingWriter, e *pageEncoder) (*parquet.ColumnChunk, *chunkIndex, error) {
	if err := c.endPage(e); err != nil {
		return nil, nil, err
	}
	dictionary, err := c.writeDictionary(w, e)
	if err != nil {
		return nil, nil, err
	}
	described := c.describe(e.compressor.codec, w.written, dictionary)
	index := newChunkIndex(&c.leaf, c.chunk.pages, w.written)
	if err := c.chunk.data.drain(w); err != nil {
		return nil, nil, err
	}
	c.chunk = chunk{data: c.chunk.data, pages: c.chunk.pages[:0]}
	if c.texts != nil {
		c.texts.resetChunk()
	}
	return described, index, nil
}

// writeDictionary returns the bytes that the dictionary page takes in the
// file; none when no page points into it.
func (c *columnWriter) writeDictionary(w io.Writer, e *pageEncoder) (size int, err error) {
	if c.texts == nil || !c.texts.used {
		return 0, nil
	}
	page, err := e.dictionaryPage(c.texts.dict)
	if err != nil {
		return 0, err
	}
	c.chunk.rawSize += page.rawSize
	c.chunk.count(parquet.PageType_DICTIONARY_PAGE, parquet.Encoding_PLAIN)
	if _, err := w.Write(page.header); err != nil {
		return 0, err
	}
	_, err = w.Write(page.body)
	return page.size(), err
}
