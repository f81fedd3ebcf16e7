package part

import (
	"errors"
	"fmt"
	"io"

	"datawriter/worker/event"

	"github.com/xitongsys/parquet-go/parquet"
)

// Writer writes the rows of one part, or the rejects of one reject file, to
// an io.Writer. It holds at most one row group in memory, compressed, beside
// one unfinished page per column. It is not for concurrent use.
//
// After an error the file is of no use, and every further call returns that
// error.
type Writer[R any] struct {
	out     countingWriter
	options Options
	columns []event.Column[R]
	writers []*columnWriter // one per column
	leaves  []leaf
	pool    *blockPool
	encoder *pageEncoder
	footer  footer
	rows    int64 // of the current row group
	held    int   // bytes of memory that the current row group takes
	err     error
	closed  bool
}

// NewWriter returns a Writer of rows with these columns. Options that make no
// sense are the error of the first Append or Close.
func NewWriter[R any](w io.Writer, columns []event.Column[R], o Options) *Writer[R] {
	o = o.withDefaults()
	compressor, err := newCompressor(o.Compression)
	pool := &blockPool{}
	pw := &Writer[R]{
		out: countingWriter{w: w}, options: o, columns: columns, leaves: leavesOf(columns), pool: pool, err: err,
		encoder: &pageEncoder{compressor: compressor, thrift: newThriftEncoder()},
	}
	for _, l := range pw.leaves {
		pw.writers = append(pw.writers, newColumnWriter(l, pool, o.DictBytes))
	}
	return pw
}

// Reset makes a Writer that was closed without an error ready for another file
// of the same columns, with the memory that it has. It returns false, and
// changes nothing, when the Writer failed or was not closed.
func (w *Writer[R]) Reset(out io.Writer) bool {
	if w.err != nil || !w.closed {
		return false
	}
	w.out, w.footer, w.closed = countingWriter{w: out}, footer{}, false
	w.held = w.measure()
	return true
}

// Rows returns how many rows have been appended.
func (w *Writer[R]) Rows() int64 { return w.footer.rows + w.rows }

// Append adds a row; it copies what it keeps. A null in a column that is not
// nullable is an error that names the column.
func (w *Writer[R]) Append(r *R) error {
	if w.err == nil {
		w.err = w.append(r)
	}
	return w.err
}

func (w *Writer[R]) append(r *R) error {
	if w.closed {
		return errors.New("append to a closed part")
	}
	if err := w.begin(); err != nil {
		return err
	}
	for i := range w.columns {
		if err := w.appendCell(&w.columns[i], w.writers[i], r); err != nil {
			return err
		}
	}
	w.rows++
	if err := w.endFullPages(); err != nil {
		return err
	}
	if w.rows >= int64(w.options.RowGroupRows) || w.held >= w.options.RowGroupBytes {
		return w.endGroup()
	}
	return nil
}

func (w *Writer[R]) appendCell(c *event.Column[R], to *columnWriter, r *R) error {
	var null bool
	switch c.Type {
	case event.String:
		v := *c.Text(r)
		null = v == nil
		w.held += to.appendText(v)
	case event.StringList, event.BinaryList:
		v := *c.List(r)
		null = v == nil
		w.held += to.appendList(v)
	default:
		v := *c.Int(r)
		null = !v.Valid
		w.held += to.appendInt(v)
	}
	if null && !c.Nullable {
		return fmt.Errorf("row %d has no %s, which is not nullable", w.Rows(), c.Name)
	}
	return nil
}

// endFullPages ends the pages that this row has filled. Columns fill at
// their own pace: a page of one need not span the rows of a page of another.
func (w *Writer[R]) endFullPages() error {
	ended := false
	for _, c := range w.writers {
		if !c.full(&w.options) {
			continue
		}
		if err := c.endPage(w.encoder); err != nil {
			return fmt.Errorf("column %s: %w", c.leaf.name, err)
		}
		ended = true
	}
	if ended {
		w.shrink()
		w.held = w.measure()
	}
	return nil
}

// measure returns what appendCell has been adding up, now that a page has
// shrunk to its compressed size.
func (w *Writer[R]) measure() (held int) {
	for _, c := range w.writers {
		held += c.held()
	}
	return held
}

// endGroup writes the current row group and begins the next.
func (w *Writer[R]) endGroup() error {
	offset := w.out.written
	columns := make([]*parquet.ColumnChunk, len(w.writers))
	indexes := make([]*chunkIndex, len(w.writers))
	for i, c := range w.writers {
		var err error
		if columns[i], indexes[i], err = c.endChunk(&w.out, w.encoder); err != nil {
			return fmt.Errorf("column %s: %w", c.leaf.name, err)
		}
	}
	w.footer.add(columns, indexes, offset, w.rows)
	w.shrink()
	w.pool.trim(w.options.RowGroupBytes)
	w.rows, w.held = 0, w.measure()
	return nil
}

// shrink gives back the buffers that a few huge rows have stretched: the
// usual ones stay below two pages and are kept.
func (w *Writer[R]) shrink() {
	most := 2 * w.options.PageBytes
	w.encoder.raw = keepBelow(w.encoder.raw, most)
	w.encoder.compressor.out = keepBelow(w.encoder.compressor.out, most)
	for _, c := range w.writers {
		if c.texts != nil && len(c.texts.arrays.bytes) == 0 {
			c.texts.arrays.bytes = keepBelow(c.texts.arrays.bytes, most)
		}
	}
}

// keepBelow returns the empty buffer to be reused, or none when it is larger.
func keepBelow(buffer []byte, most int) []byte {
	if cap(buffer) > most {
		return nil
	}
	return buffer[:0]
}

// begin writes what stands before the first row group, once.
func (w *Writer[R]) begin() error {
	if w.out.written > 0 {
		return nil
	}
	_, err := io.WriteString(&w.out, magic)
	return err
}

// Close writes what is left and the footer. It neither closes nor syncs the
// io.Writer. The Meta must count what was appended: Rows in a part, Rejected
// in a reject file.
func (w *Writer[R]) Close(m Meta) error {
	if w.err == nil {
		w.err = w.close(m)
	}
	return w.err
}

func (w *Writer[R]) close(m Meta) error {
	if w.closed {
		return nil
	}
	w.closed = true
	if err := w.check(m); err != nil {
		return err
	}
	if err := w.begin(); err != nil {
		return err
	}
	if w.rows > 0 {
		if err := w.endGroup(); err != nil {
			return err
		}
	}
	return w.footer.write(&w.out, w.encoder.thrift, w.leaves, m)
}

// check refuses a Meta that contradicts the rows: a footer that lies about
// its file would be found out only after the entries have left Redis.
func (w *Writer[R]) check(m Meta) error {
	name, counted := "rows", m.Rows
	if _, rejects := any((*R)(nil)).(*event.Reject); rejects {
		name, counted = "rejects", m.Rejected
	}
	if counted != w.Rows() {
		return fmt.Errorf("the footer would count %d %s, but %d were appended", counted, name, w.Rows())
	}
	return nil
}

// countingWriter knows its position, since a footer points at everything by
// its offset and an io.Writer cannot be asked.
type countingWriter struct {
	w       io.Writer
	written int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.written += int64(n)
	return n, err
}
