package account

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"datawriter/worker/failure"
)

// ErrBusy: another process keeps an account open, perhaps because it was stopped.
var ErrBusy = errors.New("another process holds the account")

// patience is how long another process may hold an account: far longer than
// arithmetic takes, far shorter than a drain may wait.
const patience = 2 * time.Second

// Book is where accounts are kept: one file a stream, below the state folder.
// Several processes may use it at once.
type Book struct{ folder string }

// OpenBook returns the book of a state folder. It creates nothing yet.
func OpenBook(stateDir string) *Book { return &Book{filepath.Join(stateDir, "account")} }

// Update reads the account of that name, lets change work on it and replaces it
// durably, in one step among processes. An account that is not there, does not
// parse, or is another stream's begins anew. ErrBusy when another process does
// not let go of it. An error of change leaves it as it was.
func (b *Book) Update(name, stream string, change func(*State) error) error {
	if err := os.MkdirAll(b.folder, 0o755); err != nil {
		return fmt.Errorf("keep the account of %s: %w", stream, failure.Explained(err))
	}
	unlock, err := b.lock(name)
	if err != nil {
		return fmt.Errorf("keep the account of %s: %w", stream, failure.Explained(err))
	}
	defer unlock()
	state, before, err := b.read(name, stream)
	if err != nil {
		return fmt.Errorf("keep the account of %s: %w", stream, failure.Explained(err))
	}
	if err := change(&state); err != nil {
		return err
	}
	if err := b.replace(name, state, before); err != nil {
		return fmt.Errorf("keep the account of %s: %w", stream, failure.Explained(err))
	}
	return nil
}

// Read returns an account as it stands, of whatever stream when that is empty; the
// zero State when there is none.
func (b *Book) Read(name, stream string) (State, error) {
	state, _, err := b.read(name, stream)
	return state, err
}

func (b *Book) file(name string) string { return filepath.Join(b.folder, name+".json") }

func (b *Book) read(name, stream string) (State, []byte, error) {
	text, err := os.ReadFile(b.file(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return State{}, nil, failure.Explained(err)
	}
	var state State
	kept := err == nil && json.Unmarshal(text, &state) == nil
	if !kept {
		return State{Stream: stream}, nil, nil
	}
	if stream != "" && state.Stream != stream {
		// What was drained is a matter of the archive, whichever stream it came from.
		return State{Stream: stream, Drained: state.Drained}, nil, nil
	}
	return state, text, nil
}

// replace writes the account unless it is what stands there already.
func (b *Book) replace(name string, state State, before []byte) error {
	text, err := json.Marshal(state)
	if err != nil || bytes.Equal(text, before) {
		return err
	}
	next := b.file(name) + ".new" // the lock is ours
	if err := writeDurably(next, text); err != nil {
		return err
	}
	if err := os.Rename(next, b.file(name)); err != nil {
		return err
	}
	return syncFolder(b.folder)
}

func writeDurably(name string, text []byte) (err error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(text); err != nil {
		return err
	}
	return file.Sync()
}

func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// lock takes the account for this process; the kernel gives it back when the
// process ends, however it does.
func (b *Book) lock(name string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(b.folder, name+".lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			_ = file.Close()
			return nil, fmt.Errorf("%w: %w", ErrBusy, err)
		}
	}
}
