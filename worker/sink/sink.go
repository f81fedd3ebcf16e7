package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"datawriter/worker/fault"
	"datawriter/worker/window"
)

// ErrExists: the name is taken. The file that has it is untouched.
var ErrExists = errors.New("a file of that name is published already")

// ErrMisplaced: the place cannot be written by this process, whatever is tried.
var ErrMisplaced = errors.New("the data folder cannot be used")

// Sink is a place where published files live. Every implementation passes
// sinktest. All paths are relative, with slashes. Methods are safe for
// concurrent use.
type Sink interface {
	// Stage opens an unpublished file on the same file system as its final
	// name. role names it in faults: "part", "rejects" or "archive".
	Stage(ctx context.Context, role string) (Staged, error)
	// List returns the names, without folder, of the files and folders in a
	// folder, ascending; a folder that does not exist is empty.
	List(ctx context.Context, folder string) ([]string, error)
	// Open opens a published file for reading.
	Open(ctx context.Context, path string) (File, error)
	// Harden makes the names in a folder durable, whoever published them.
	Harden(ctx context.Context, folder string) error
	// Withdraw takes a published name back, durably; one that is gone already is
	// no error. It is for rejects that no part counts, never for parts.
	Withdraw(ctx context.Context, path string) error
}

// Staged is a file that has no final name yet. It is written by one goroutine.
type Staged interface {
	io.Writer
	io.ReaderAt
	// Size returns the bytes written so far.
	Size() int64
	// Sync makes the content durable.
	Sync() error
	// Publish gives the synced file its final name, durably, without replacing:
	// ErrExists when the name is taken. After an error the name may or may not
	// be there, and the rerun finds out.
	Publish(path string) error
	// Discard removes what is not published. It can always be called.
	Discard() error
}

// File is a published file.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Local marks sinks that have folders of this machine behind them.
type Local interface {
	// Root returns the archive's folder.
	Root() string
	// RemoveAbandoned deletes unpublished files older than age: what killed
	// runs left behind.
	RemoveAbandoned(age time.Duration) (int, error)
}

// OpenURL opens the sink of a folder path or a file:// URL.
func OpenURL(place string, faults *fault.Injector) (Sink, error) {
	folder, err := FolderOf(place)
	if err != nil {
		return nil, err
	}
	return NewLocal(folder, faults)
}

// FolderOf returns the folder of this machine that a place means: a path as it is,
// a file:// URL decoded. ErrMisplaced where it means none.
func FolderOf(place string) (string, error) {
	refuse := func(why string) (string, error) {
		return "", fmt.Errorf("data folder %q: %w: %s", place, ErrMisplaced, why)
	}
	if scheme, _, ok := strings.Cut(place, "://"); ok && scheme != "file" {
		return refuse(scheme + ":// is not supported, use a folder or file:///folder")
	}
	if !strings.HasPrefix(place, "file:") {
		return place, nil
	}
	u, err := url.Parse(place)
	switch {
	case err != nil:
		return refuse(err.Error())
	case u.Opaque != "" || u.Host != "" && u.Host != "localhost":
		return refuse("a file URL names a whole path on this machine, like file:///srv/data; a relative folder is written without file:")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return refuse("what stands behind ? or # is no part of the folder: write %3F and %23, or the path without file://")
	case u.Path == "":
		return refuse("it names no folder")
	}
	return u.Path, nil
}

// Published lists the files of one (window, kind, shard): the parts, then the
// files of rejects, each ascending by part number.
func Published(ctx context.Context, s Sink, layout Layout, n Name) ([]Name, error) {
	var names []Name
	for _, rejects := range []bool{false, true} {
		n.Rejects = rejects
		files, err := s.List(ctx, layout.Folder(n))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if !strings.HasPrefix(file, n.stem()) || !strings.HasSuffix(file, extension) {
				continue
			}
			found, err := layout.Parse(layout.Folder(n) + "/" + file)
			if err != nil {
				continue // somebody's copy, see Strays
			}
			if found.Window == n.Window && found.Shard == n.Shard {
				names = append(names, found)
			}
		}
	}
	slices.SortFunc(names, compareNames) // "100" stands before "11" in a listing
	return names, nil
}

// Strays lists the files beside those of one (window, kind, shard) that begin
// like them and are none: copies that a file manager, a backup or a synchronizer
// left. A reader of *.parquet reads the rows of one twice.
func Strays(ctx context.Context, s Sink, layout Layout, n Name) (paths []string, err error) {
	for _, rejects := range []bool{false, true} {
		n.Rejects = rejects
		files, err := s.List(ctx, layout.Folder(n))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			path := layout.Folder(n) + "/" + file
			if _, err := layout.Parse(path); err != nil && strings.HasPrefix(file, n.stem()) && strings.HasSuffix(file, extension) {
				paths = append(paths, path)
			}
		}
	}
	return paths, nil
}

// Drained reports which windows beginning in [from, to) have a part 0 of the
// kind. It looks at one folder an hour.
func Drained(ctx context.Context, s Sink, layout Layout, n Name, from, to time.Time) (map[window.Window]bool, error) {
	drained := make(map[window.Window]bool)
	n.Rejects, n.Part = false, 0
	for hour := from.UTC().Truncate(time.Hour); hour.Before(to); hour = hour.Add(time.Hour) {
		at := n
		at.Window.Start = hour
		files, err := s.List(ctx, layout.Folder(at))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			found, err := layout.Parse(layout.Folder(at) + "/" + file)
			if err == nil && found.Part == 0 && found.Shard == n.Shard {
				drained[found.Window] = true
			}
		}
	}
	return drained, nil
}
