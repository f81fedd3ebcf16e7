package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"datawriter/worker/failure"
	"datawriter/worker/fault"
)

// staged is a temporary file on the way to its final name.
type staged struct {
	*local
	file *os.File
	role string
	size int64
	gone bool // the temporary name has been removed
}

func (s *staged) Write(p []byte) (int, error) {
	if err := s.faults.Error(fault.Of(s.role, fault.Written)); err != nil {
		return 0, classify("write", err)
	}
	n, err := s.file.Write(p)
	s.size += int64(n)
	if err != nil {
		return n, classify("write", err)
	}
	s.faults.At(fault.Of(s.role, fault.Written))
	return n, nil
}

func (s *staged) ReadAt(p []byte, off int64) (int, error) { return s.file.ReadAt(p, off) }

func (s *staged) Size() int64 { return s.size }

func (s *staged) Sync() error {
	if err := s.syncContent(); err != nil && !fault.IgnoresIOError.Is() {
		return classify("sync", err)
	}
	s.faults.At(fault.Of(s.role, fault.Synced))
	return nil
}

func (s *staged) syncContent() error {
	if err := s.faults.Error(fault.Of(s.role, fault.Synced)); err != nil || fault.NoContentSync.Is() {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.faults.Trace(fault.TraceContent, s.file.Name())
	return nil
}

// Publish links the file under its final name, which fails where one exists,
// removes the temporary name and syncs every folder on the way.
func (s *staged) Publish(name string) error {
	folder := path.Dir(name)
	s.faults.Trace(fault.TraceFolder, s.path(folder))
	if err := os.MkdirAll(s.path(folder), 0o755); err != nil {
		return classify("create "+folder, err)
	}
	err := s.faults.Error(fault.Of(s.role, fault.Linked))
	if err == nil {
		err = link(s.file.Name(), s.path(name))
	}
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if errors.Is(err, syscall.EPERM) { // Linux says so where there are none
		return fmt.Errorf("link %s: %w: %w: %s", name, ErrMisplaced, err, failure.NeedsHardLinks)
	}
	if err != nil {
		return classify("link "+name, err)
	}
	s.faults.Trace(fault.TraceLinked, s.file.Name(), s.path(name))
	s.faults.At(fault.Of(s.role, fault.Linked))
	if err := s.unlink(); err != nil {
		return err
	}
	s.faults.At(fault.Of(s.role, fault.Unlinked))
	if err := s.faults.Error(fault.Of(s.role, fault.Hardened)); err != nil {
		return classify("sync "+folder, err)
	}
	if err := s.Harden(context.Background(), folder); err != nil {
		return err
	}
	s.faults.At(fault.Of(s.role, fault.Hardened))
	return nil
}

// link gives a file a second name, if that is free.
func link(from, to string) error {
	if fault.Replaces.Is() {
		return os.Rename(from, to)
	}
	return os.Link(from, to)
}

// Discard closes the file and removes its temporary name.
func (s *staged) Discard() error {
	return errors.Join(s.unlink(), s.close())
}

func (s *staged) unlink() error {
	if s.gone {
		return nil
	}
	s.gone = true
	if err := os.Remove(s.file.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return classify("remove a temporary name", err)
	}
	return nil
}

func (s *staged) close() error {
	if err := s.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return classify("close a temporary file", err)
	}
	return nil
}
