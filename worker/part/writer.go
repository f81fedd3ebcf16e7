package part

import (
	"errors"
	"io"

	"datawriter/worker/event"
)

type Writer[R any] struct{ rows int64 }

func NewWriter[R any](w io.Writer, columns []event.Column[R], o Options) *Writer[R] {
	return &Writer[R]{}
}

func (w *Writer[R]) Append(r *R) error  { return errors.New("not yet") }
func (w *Writer[R]) Rows() int64        { return w.rows }
func (w *Writer[R]) Close(m Meta) error { return errors.New("not yet") }
