package part

import (
	"errors"
	"io"

	"datawriter/worker/event"
)

type File struct{ meta Meta }

func Open(f io.ReaderAt, size int64) (*File, error) { return nil, errors.New("not yet") }
func (f *File) Meta() Meta                          { return f.meta }
func (f *File) NumRows() int64                      { return 0 }
func (f *File) IsRejects() bool                     { return false }
func (f *File) Identities(yield func(id event.ID, hash uint64) error) error {
	return errors.New("not yet")
}
func ReadRows[R any](f *File, columns []event.Column[R], yield func(*R) error) error {
	return errors.New("not yet")
}
