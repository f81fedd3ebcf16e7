package part

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"

	"datawriter/worker/event"

	"github.com/xitongsys/parquet-go/parquet"
)

// File is a part or a reject file that was opened for reading. Its methods
// read the io.ReaderAt anew each time and may be called side by side.
type File struct {
	source  io.ReaderAt
	size    int64
	footer  *parquet.FileMetaData
	leaves  []leaf
	meta    Meta
	rejects bool
}

const (
	tailBytes = 4 + len(magic) // length of the footer, magic
	minSize   = int64(len(magic) + tailBytes)
)

// Errors of Open beside those of the disk. Whatever else it finds is damage of a file
// that says of itself that datawriter wrote it.
var (
	// ErrForeign: nothing in the bytes says that datawriter wrote them. They are whole
	// and another program's, or the end is missing that would say so.
	ErrForeign = errors.New("nothing in it says that datawriter wrote it")
	// ErrVersion: another version of datawriter wrote the file.
	ErrVersion = errors.New("another version of datawriter wrote it")
)

// Open reads the footer of a file of that size and checks it: the schema is
// that of the kind's parts or of reject files, the counts agree, every column
// chunk lies inside the file. The pages are checked when they are read.
func Open(f io.ReaderAt, size int64) (*File, error) {
	footer, start, err := readFooter(f, size)
	if err != nil {
		return nil, err
	}
	meta, err := parseMeta(footer.KeyValueMetadata)
	if err != nil {
		return nil, err
	}
	file := &File{source: f, size: size, footer: footer, meta: meta}
	if err := file.matchSchema(); err != nil {
		return nil, err
	}
	if err := file.checkCounts(); err != nil {
		return nil, err
	}
	for i := range footer.RowGroups {
		if err := file.checkGroup(footer.RowGroups[i], start); err != nil {
			return nil, fmt.Errorf("row group %d: %w", i, err)
		}
	}
	return file, nil
}

// Meta returns what the file says about itself.
func (f *File) Meta() Meta { return f.meta }

// NumRows returns how many rows, or rejects, the file holds.
func (f *File) NumRows() int64 { return f.footer.NumRows }

// IsRejects reports whether the file holds rejects, not rows.
func (f *File) IsRejects() bool { return f.rejects }

// readFooter returns the footer and where in the file it starts.
func readFooter(f io.ReaderAt, size int64) (*parquet.FileMetaData, int64, error) {
	if size < minSize {
		return nil, 0, fmt.Errorf("a file of %d bytes is too short for Parquet: it was cut off or is something else: %w", size, ErrForeign)
	}
	tail := make([]byte, tailBytes)
	if err := readAt(f, tail, size-int64(tailBytes)); err != nil {
		return nil, 0, err
	}
	if string(tail[4:]) != magic {
		return nil, 0, fmt.Errorf("the file ends with %q, not with %q: it was cut off or is not Parquet: %w", tail[4:], magic, ErrForeign)
	}
	length := int64(binary.LittleEndian.Uint32(tail))
	start := size - int64(tailBytes) - length
	if start < int64(len(magic)) {
		return nil, 0, fmt.Errorf("a footer of %d bytes does not fit into a file of %d: the file is damaged: %w", length, size, ErrForeign)
	}
	data := make([]byte, length)
	if err := readAt(f, data, start); err != nil {
		return nil, 0, err
	}
	footer := parquet.NewFileMetaData()
	if _, err := decodeThrift(data, footer); err != nil {
		return nil, 0, fmt.Errorf("the footer is damaged: %w: %w", ErrForeign, err)
	}
	return footer, start, nil
}

func readAt(f io.ReaderAt, p []byte, offset int64) error {
	n, err := f.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(p), offset, err)
}

// matchSchema finds out which of the two kinds of files this is. The schema
// must be equal in everything: a column that is missing, or nullable where it
// was not, is a file of another version and would be misread.
func (f *File) matchSchema() error {
	parts, rejects := leavesOf(event.RowColumns(f.meta.Kind)), leavesOf(event.RejectColumns())
	switch {
	case reflect.DeepEqual(f.footer.Schema, schemaElements(parts)):
		f.leaves = parts
	case reflect.DeepEqual(f.footer.Schema, schemaElements(rejects)):
		f.leaves, f.rejects = rejects, true
	default:
		return fmt.Errorf("the columns are neither those of %s nor those of rejects (schema version %d)", f.meta.Kind, SchemaVersion)
	}
	return nil
}

// checkCounts compares the three places that count rows.
func (f *File) checkCounts() error {
	var inGroups int64
	for _, g := range f.footer.RowGroups {
		if g.NumRows <= 0 {
			return fmt.Errorf("a row group has %d rows", g.NumRows)
		}
		inGroups += g.NumRows
	}
	claimed := f.meta.Rows
	if f.rejects {
		claimed = f.meta.Rejected
	}
	if f.footer.NumRows != inGroups || claimed != inGroups {
		return fmt.Errorf("the footer counts %d rows, its keys %d, its row groups %d", f.footer.NumRows, claimed, inGroups)
	}
	return nil
}

// checkGroup makes sure that a chunk can be looked up by its leaf and read
// without leaving the file's data.
func (f *File) checkGroup(g *parquet.RowGroup, end int64) error {
	if len(g.Columns) != len(f.leaves) {
		return fmt.Errorf("%d column chunks for %d columns", len(g.Columns), len(f.leaves))
	}
	for i, c := range g.Columns {
		if c.MetaData == nil {
			return fmt.Errorf("column %s has no metadata", f.leaves[i].name)
		}
		if err := checkChunk(&f.leaves[i], c.MetaData, g.NumRows, end); err != nil {
			return fmt.Errorf("column %s: %w", f.leaves[i].name, err)
		}
	}
	return nil
}

func checkChunk(l *leaf, m *parquet.ColumnMetaData, rows, end int64) error {
	start := chunkStart(m)
	switch {
	case m.Type != l.physical() || !reflect.DeepEqual(m.PathInSchema, l.path):
		return fmt.Errorf("the chunk is %s %v, not %s %v", m.Type, m.PathInSchema, l.physical(), l.path)
	case start < int64(len(magic)) || m.TotalCompressedSize <= 0 || start > end-m.TotalCompressedSize:
		return fmt.Errorf("%d bytes at %d do not lie between %d and %d", m.TotalCompressedSize, start, len(magic), end)
	case m.NumValues < rows || m.NumValues != rows && !l.isList():
		return fmt.Errorf("%d values for %d rows", m.NumValues, rows)
	}
	return nil
}

// chunkStart returns where the chunk's first page stands.
func chunkStart(m *parquet.ColumnMetaData) int64 {
	if m.IsSetDictionaryPageOffset() {
		return m.GetDictionaryPageOffset()
	}
	return m.DataPageOffset
}
