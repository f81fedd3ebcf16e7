package part

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"datawriter/worker/event"
)

// Identities yields what identifies each entry of the file, in file order:
// its ID and the hash of its event. It reads those three columns and no
// other. An error of yield ends it and is returned as it is.
func (f *File) Identities(yield func(id event.ID, hash uint64) error) error {
	return readRows(f, identityColumns(), func(i *identity) error {
		return yield(event.ID{MS: uint64(i.at.Value), Seq: uint64(i.seq.Value)}, uint64(i.hash.Value))
	})
}

// identity is a row cut down to the columns that parts and reject files share.
type identity struct{ at, seq, hash event.Int }

func identityColumns() []event.Column[identity] {
	return []event.Column[identity]{
		{Name: "ingested_at", Type: event.TimestampMillis, Int: func(i *identity) *event.Int { return &i.at }},
		{Name: "ingest_seq", Type: event.Int64, Int: func(i *identity) *event.Int { return &i.seq }},
		{Name: "entry_hash", Type: event.Int64, Int: func(i *identity) *event.Int { return &i.hash }},
	}
}

// ReadRows yields every row of the file, in file order. The columns must be
// all of the file's: event.RowColumns of its kind, or event.RejectColumns. A
// row is valid until the next yield. An error of yield ends it and is
// returned as it is.
func ReadRows[R any](f *File, columns []event.Column[R], yield func(*R) error) error {
	same := slices.EqualFunc(columns, f.leaves, func(c event.Column[R], l leaf) bool { return c.Name == l.name && c.Type == l.typ })
	if !same {
		return fmt.Errorf("the file has the columns of %s, not those asked for", f.contents())
	}
	return readRows(f, columns, yield)
}

// contents says in one word what the rows are.
func (f *File) contents() string {
	if f.rejects {
		return "rejects"
	}
	return f.meta.Kind.String()
}

func readRows[R any](f *File, columns []event.Column[R], yield func(*R) error) error {
	cells, err := newCells(f.leaves, columns)
	if err != nil {
		return err
	}
	for i, g := range f.footer.RowGroups {
		for _, c := range cells {
			c.chunk.start(f.source, g.Columns[c.at].MetaData)
		}
		if err := readGroup(i, g.NumRows, cells, yield); err != nil {
			return err
		}
	}
	return nil
}

// readGroup reads the row group's columns side by side.
func readGroup[R any](group int, rows int64, cells []*cellReader[R], yield func(*R) error) error {
	var r R
	for range rows {
		for _, c := range cells {
			if err := c.read(&r); err != nil {
				return fmt.Errorf("row group %d: column %s: %w", group, c.column.Name, noEOF(err))
			}
		}
		if err := yield(&r); err != nil {
			return err
		}
	}
	for _, c := range cells {
		if err := c.chunk.end(); err != nil {
			return fmt.Errorf("row group %d: column %s: %w", group, c.column.Name, err)
		}
	}
	return nil
}

// noEOF keeps an end that comes too early from looking like a proper end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// cellReader fills one column's cell of a row.
type cellReader[R any] struct {
	column   *event.Column[R]
	at       int // the column's place in the file
	chunk    *chunkReader
	elements event.List // space of the row's list
	arena    []byte     // space of the row's elements
}

func newCells[R any](leaves []leaf, columns []event.Column[R]) ([]*cellReader[R], error) {
	var cells []*cellReader[R]
	decoder := &zstdDecoder{}
	for i := range columns {
		at := slices.IndexFunc(leaves, func(l leaf) bool { return l.name == columns[i].Name })
		if at < 0 {
			return nil, fmt.Errorf("there is no column %s", columns[i].Name)
		}
		chunk := newChunkReader(&leaves[at], decoder)
		cells = append(cells, &cellReader[R]{column: &columns[i], at: at, chunk: chunk, elements: event.List{}, arena: []byte{}})
	}
	return cells, nil
}

func (c *cellReader[R]) read(r *R) (err error) {
	switch c.column.Type {
	case event.String:
		*c.column.Text(r), err = c.readText()
	case event.StringList, event.BinaryList:
		*c.column.List(r), err = c.readList()
	default:
		*c.column.Int(r), err = c.readInt()
	}
	return err
}

func (c *cellReader[R]) readInt() (event.Int, error) {
	def, err := c.chunk.level()
	if err != nil || def < c.chunk.leaf.maxDef {
		return event.Int{}, err
	}
	v, err := c.chunk.ints.next()
	return event.Some(v), err
}

func (c *cellReader[R]) readText() (event.Text, error) {
	def, err := c.chunk.level()
	if err != nil || def < c.chunk.leaf.maxDef {
		return nil, err
	}
	v, err := c.chunk.texts.next()
	return event.Text(v), err
}

// readList copies the elements, since a textReader's next string may
// overwrite the one before.
func (c *cellReader[R]) readList() (event.List, error) {
	c.elements, c.arena = c.elements[:0], c.arena[:0]
	there := c.chunk.leaf.maxDef - 2 // the definition level of an empty list
	for ended := false; !ended; {
		def, err := c.chunk.level()
		switch {
		case err != nil:
			return nil, err
		case def < there:
			return nil, c.alone()
		case def == there:
			return c.elements, c.alone()
		case def < c.chunk.leaf.maxDef:
			return nil, errors.New("a list has a null element")
		}
		if err := c.addElement(); err != nil {
			return nil, err
		}
		if ended, err = c.chunk.startsRow(); err != nil {
			return nil, err
		}
	}
	return c.elements, nil
}

func (c *cellReader[R]) addElement() error {
	v, err := c.chunk.texts.next()
	start := len(c.arena)
	c.arena = append(c.arena, v...)
	c.elements = append(c.elements, c.arena[start:len(c.arena):len(c.arena)])
	return err
}

// alone makes sure that a null or empty list is all that its row has.
func (c *cellReader[R]) alone() error {
	if len(c.elements) > 0 {
		return errors.New("a list ends before its row does")
	}
	ended, err := c.chunk.startsRow()
	if err == nil && !ended {
		err = errors.New("a row goes on after a null or empty list")
	}
	return err
}
