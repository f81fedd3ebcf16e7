package sink

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"datawriter/worker/failure"
	"datawriter/worker/fault"
)

// stagingFolder holds temporary files. Being one folder, it can be swept; being
// in the archive, it lies on the same file system as every final name.
const stagingFolder = "_tmp"

// local is a Sink on a file system that has hard links.
type local struct {
	root   string
	faults *fault.Injector

	mu       sync.Mutex
	hardened map[string]bool // folders whose own name is durable
}

// NewLocal opens a folder as a sink, creating it when it is missing. One on a
// file system that is mounted read-only can be read, and refuses to stage.
func NewLocal(root string, faults *fault.Injector) (Sink, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w: %w", ErrMisplaced, err)
	}
	err = os.MkdirAll(filepath.Join(root, stagingFolder), 0o755)
	if errors.Is(err, syscall.EROFS) {
		_, err = os.ReadDir(root)
	}
	if err != nil {
		return nil, classify("create the data folder", err)
	}
	if err := syncFolder(filepath.Dir(root)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, classify("sync the folder above the data folder", err)
	}
	return &local{root: root, faults: faults, hardened: make(map[string]bool)}, nil
}

func (l *local) Root() string { return l.root }

func (l *local) Stage(_ context.Context, role string) (Staged, error) {
	if err := l.faults.Error(fault.Of(role, fault.Staged)); err != nil {
		return nil, classify("stage a file", err)
	}
	name := filepath.Join(l.root, stagingFolder, "."+role+"-"+rand.Text()+".tmp")
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrNotExist) { // somebody swept the folder away, or it could not be made
		if err = os.MkdirAll(filepath.Dir(name), 0o755); err == nil {
			file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		}
	}
	if err != nil {
		return nil, classify("stage a file", err)
	}
	l.faults.At(fault.Of(role, fault.Staged))
	return &staged{local: l, file: file, role: role}, nil
}

func (l *local) List(_ context.Context, folder string) ([]string, error) {
	entries, err := os.ReadDir(l.path(folder))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil // a stray file that has a folder's name is no folder either
	}
	if err != nil {
		return nil, classify("list "+folder, err)
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, nil
}

func (l *local) Open(_ context.Context, name string) (File, error) {
	file, err := os.Open(l.path(name))
	if err != nil {
		return nil, classify("open "+name, err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, classify("open "+name, err)
	}
	return &localFile{File: file, size: info.Size()}, nil
}

// Harden syncs the folder and, once per process, all that lead to it from the
// root: an earlier run may have created them and been killed before it synced
// them, so that "it exists" says nothing of durability.
func (l *local) Harden(_ context.Context, folder string) error {
	if err := l.syncFolder(folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return classify("sync "+folder, err)
	}
	for child := path.Clean(folder); child != "."; child = path.Dir(child) {
		if err := l.hardenName(child); err != nil {
			return err
		}
	}
	return nil
}

func (l *local) Withdraw(_ context.Context, name string) error {
	err := os.Remove(l.path(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return classify("withdraw "+name, err)
	}
	if err := l.syncFolder(path.Dir(name)); err != nil {
		return classify("sync "+path.Dir(name), err)
	}
	return nil
}

// hardenName makes a folder's own name durable, once per process.
func (l *local) hardenName(folder string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hardened[folder] {
		return nil
	}
	parent := path.Dir(folder)
	if err := l.syncFolder(parent); err != nil {
		return classify("sync "+parent, err)
	}
	l.hardened[folder] = true
	return nil
}

// RemoveAbandoned deletes temporary files that nobody has written for age.
func (l *local) RemoveAbandoned(age time.Duration) (int, error) {
	entries, err := os.ReadDir(filepath.Join(l.root, stagingFolder))
	if err != nil {
		return 0, classify("list temporary files", err)
	}
	removed := 0
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !strings.HasSuffix(entry.Name(), ".tmp") || time.Since(info.ModTime()) < age {
			continue // gone meanwhile, not ours, or perhaps still in use
		}
		if os.Remove(filepath.Join(l.root, stagingFolder, entry.Name())) == nil {
			removed++
		}
	}
	return removed, nil
}

// syncFolder makes the names in a folder of the archive durable.
func (l *local) syncFolder(folder string) error {
	if fault.NoFolderSync.Is() {
		return nil
	}
	err := syncFolder(l.path(folder))
	if err == nil {
		l.faults.Trace(fault.TraceNames, l.path(folder))
	}
	return err
}

func (l *local) path(name string) string { return filepath.Join(l.root, filepath.FromSlash(name)) }

// localFile is a published file opened for reading.
type localFile struct {
	*os.File
	size int64
}

func (f *localFile) Size() int64 { return f.size }

// syncFolder makes the names in a folder durable.
func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// classify wraps an error once, with the operation and what to do. What package
// failure does not know to pass is ErrMisplaced.
func classify(operation string, err error) error {
	if failure.Passing(err) {
		return fmt.Errorf("%s: %w", operation, failure.Explained(err))
	}
	return fmt.Errorf("%s: %w: %w", operation, ErrMisplaced, failure.Explained(err))
}
