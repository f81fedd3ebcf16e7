package part

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/xitongsys/parquet-go/parquet"
)

// chunkReader reads one column chunk page by page. It holds one page, and the
// dictionary where there is one.
type chunkReader struct {
	leaf  *leaf
	codec parquet.CompressionCodec
	input *bufio.Reader
	bytes int64 // of the chunk, not yet read
	left  int64 // levels of the chunk that no page read so far has
	inner int64 // levels of the page, not yet yielded

	body        []byte // of the page as it stands in the file
	decompress  decompressor
	dictionary  *byteArrays
	reps, defs  hybridReader
	ints        intReader
	texts       textReader
	hasPeek     bool
	rep, def    uint8 // of the level that was peeked
	pageStarted bool  // the next level is the first of its page
}

// maxHeader bounds a page header: this package's take less than 64 bytes.
const maxHeader = 1 << 10

const chunkBuffer = 32 << 10

// newChunkReader returns a reader of that column's chunks; start gives it one.
func newChunkReader(l *leaf, decoder *zstdDecoder) *chunkReader {
	return &chunkReader{leaf: l, decompress: decompressor{zstd: decoder}, input: bufio.NewReaderSize(nil, chunkBuffer)}
}

// start begins a chunk.
func (c *chunkReader) start(f io.ReaderAt, m *parquet.ColumnMetaData) {
	c.input.Reset(io.NewSectionReader(f, chunkStart(m), m.TotalCompressedSize))
	c.codec, c.left, c.bytes = m.Codec, m.NumValues, m.TotalCompressedSize
	c.inner, c.hasPeek, c.dictionary = 0, false, nil
}

// end returns an error unless the chunk has been read to its end.
func (c *chunkReader) end() error {
	_, err := c.level()
	switch {
	case err == nil:
		return errors.New("more values than the row group has rows")
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// level yields the next definition level: how much of the cell is there.
// io.EOF ends the chunk.
func (c *chunkReader) level() (uint8, error) {
	if !c.hasPeek {
		if err := c.peek(); err != nil {
			return 0, err
		}
	}
	c.hasPeek = false
	return c.def, nil
}

// startsRow reports whether the next level begins a row; the end of the
// chunk does.
func (c *chunkReader) startsRow() (bool, error) {
	if c.hasPeek {
		return c.rep == 0, nil
	}
	if c.inner == 0 {
		return true, nil // pages end with rows
	}
	err := c.peek()
	return c.rep == 0, err
}

func (c *chunkReader) peek() error {
	for c.inner == 0 {
		if err := c.nextPage(); err != nil {
			return err
		}
	}
	rep, err := levelOf(&c.reps, c.leaf.maxRep)
	if err != nil {
		return fmt.Errorf("repetition levels: %w", err)
	}
	def, err := levelOf(&c.defs, c.leaf.maxDef)
	if err != nil {
		return fmt.Errorf("definition levels: %w", err)
	}
	if c.pageStarted && rep != 0 {
		return errors.New("a page begins inside a row")
	}
	c.rep, c.def, c.hasPeek, c.pageStarted = rep, def, true, false
	c.inner--
	return nil
}

func levelOf(levels *hybridReader, most uint8) (uint8, error) {
	if most == 0 {
		return 0, nil
	}
	v, err := levels.next()
	if err == nil && v > uint32(most) {
		err = fmt.Errorf("level %d is above %d", v, most)
	}
	return uint8(v), err
}

// nextPage makes the next data page the current one.
func (c *chunkReader) nextPage() error {
	if c.left == 0 {
		if c.bytes != 0 {
			return fmt.Errorf("%d bytes behind the last page", c.bytes)
		}
		return io.EOF
	}
	header, page, err := c.readPage()
	if err != nil {
		return err
	}
	if header.Type == parquet.PageType_DICTIONARY_PAGE {
		return c.startDictionary(header.DictionaryPageHeader, page)
	}
	if header.Type != parquet.PageType_DATA_PAGE || header.DataPageHeader == nil {
		return fmt.Errorf("a page of type %s is neither a data page of version 1 nor a dictionary", header.Type)
	}
	return c.startPage(header.DataPageHeader, page)
}

// readPage returns a page's header and its bytes, decompressed. The checksum
// is compared first, so that nothing decodes what a disk has changed.
func (c *chunkReader) readPage() (*parquet.PageHeader, []byte, error) {
	header, err := c.readHeader()
	if err != nil {
		return nil, nil, fmt.Errorf("page header: %w", err)
	}
	size := int64(header.CompressedPageSize)
	if size < 0 || size > c.bytes || header.UncompressedPageSize < 0 {
		return nil, nil, fmt.Errorf("a page of %d bytes, of which %d are there", size, c.bytes)
	}
	if int64(cap(c.body)) < size {
		c.body = make([]byte, size)
	}
	c.body = c.body[:size]
	if _, err := io.ReadFull(c.input, c.body); err != nil {
		return nil, nil, fmt.Errorf("page: %w", err)
	}
	c.bytes -= size
	if !header.IsSetCrc() || uint32(header.GetCrc()) != crc32.ChecksumIEEE(c.body) {
		return nil, nil, errors.New("a page's checksum is wrong or missing: the file is damaged")
	}
	page, err := c.decompress.decompress(c.codec, c.body, int(header.UncompressedPageSize))
	if err != nil {
		return nil, nil, fmt.Errorf("decompress: %w", err)
	}
	return header, page, nil
}

func (c *chunkReader) readHeader() (*parquet.PageHeader, error) {
	// Thrift does not say how long a structure is before it has been read, so
	// it reads from a copy of what lies ahead.
	ahead, err := c.input.Peek(int(min(maxHeader, c.bytes)))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	header := parquet.NewPageHeader()
	n, err := decodeThrift(ahead, header)
	if err != nil {
		return nil, err
	}
	_, err = c.input.Discard(n)
	c.bytes -= int64(n)
	return header, err
}

// startDictionary keeps a copy of the page, which outlives it.
func (c *chunkReader) startDictionary(h *parquet.DictionaryPageHeader, page []byte) error {
	switch {
	case h == nil || c.dictionary != nil || !c.leaf.isText():
		return errors.New("a dictionary page where none belongs")
	case h.Encoding != parquet.Encoding_PLAIN:
		return fmt.Errorf("a dictionary in encoding %s", h.Encoding)
	case h.NumValues < 0 || int64(h.NumValues)*4 > int64(len(page)):
		return fmt.Errorf("a dictionary of %d values in %d bytes", h.NumValues, len(page))
	}
	c.dictionary = &byteArrays{bytes: make([]byte, 0, len(page)), ends: make([]int, 0, h.NumValues)}
	values := plainTexts{data: page}
	for range h.NumValues {
		v, err := values.next()
		if err != nil {
			return fmt.Errorf("dictionary: %w", err)
		}
		c.dictionary.add(v)
	}
	return nil
}

func (c *chunkReader) startPage(h *parquet.DataPageHeader, page []byte) (err error) {
	if h.NumValues <= 0 || int64(h.NumValues) > c.left {
		return fmt.Errorf("a page of %d values where %d are left", h.NumValues, c.left)
	}
	if c.reps, page, err = cutLevels(page, c.leaf.maxRep); err != nil {
		return fmt.Errorf("repetition levels: %w", err)
	}
	if c.defs, page, err = cutLevels(page, c.leaf.maxDef); err != nil {
		return fmt.Errorf("definition levels: %w", err)
	}
	if c.leaf.isText() {
		c.texts, err = c.textsOf(h.Encoding, page)
	} else {
		c.ints, err = intsOf(h.Encoding, page)
	}
	c.inner, c.pageStarted = int64(h.NumValues), true
	c.left -= c.inner
	return err
}

// cutLevels takes the levels off the front of a data page; a column without
// levels of that kind has none there.
func cutLevels(page []byte, most uint8) (levels hybridReader, rest []byte, err error) {
	if most == 0 {
		return levels, page, nil
	}
	if len(page) < 4 {
		return levels, nil, errTruncated
	}
	n, rest := uint64(binary.LittleEndian.Uint32(page)), page[4:]
	if n > uint64(len(rest)) {
		return levels, nil, errTruncated
	}
	return hybridReader{data: rest[:n:n], width: widthOf(uint64(most))}, rest[n:], nil
}

func (c *chunkReader) textsOf(encoding parquet.Encoding, page []byte) (textReader, error) {
	switch encoding {
	case parquet.Encoding_PLAIN:
		return &plainTexts{data: page}, nil
	case parquet.Encoding_DELTA_BYTE_ARRAY:
		return newDeltaTexts(page)
	case parquet.Encoding_RLE_DICTIONARY:
		if c.dictionary == nil {
			return nil, errors.New("a page of indexes without a dictionary")
		}
		return newIndexedTexts(page, c.dictionary)
	}
	return nil, fmt.Errorf("strings in encoding %s", encoding)
}

// intReader yields the numbers of a page one by one.
type intReader interface {
	next() (int64, error)
}

func intsOf(encoding parquet.Encoding, page []byte) (intReader, error) {
	switch encoding {
	case parquet.Encoding_PLAIN:
		return &plainInts{data: page}, nil
	case parquet.Encoding_DELTA_BINARY_PACKED:
		d, err := newDeltaReader(page)
		return &d, err
	}
	return nil, fmt.Errorf("numbers in encoding %s", encoding)
}

// plainInts reads PLAIN.
type plainInts struct{ data []byte }

func (p *plainInts) next() (int64, error) {
	if len(p.data) < 8 {
		return 0, errTruncated
	}
	v := int64(binary.LittleEndian.Uint64(p.data))
	p.data = p.data[8:]
	return v, nil
}
