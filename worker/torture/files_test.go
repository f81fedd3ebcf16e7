package torture

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// file is one published file as a reader saw it first.
type file struct {
	sum     [sha256.Size]byte
	info    fs.FileInfo
	name    sink.Name
	meta    part.Meta
	entries []identity

	compared bool // its rows are the events that were sent
}

// pause between two looks of a reader; short enough to meet every state of a
// file that lives longer than a page write.
const pause = 5 * time.Millisecond

// reader lists and reads the data folder all the time. Whatever has a final name
// must parse at any moment and never change.
type reader struct {
	root string
	mu   sync.Mutex // held while the rig itself takes names away
	seen map[string]*file
	stop chan struct{}
	done chan struct{}
	bad  error
	laps int
}

func startReader(root string) *reader {
	r := &reader{root: root, seen: make(map[string]*file), stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		for {
			select {
			case <-r.stop:
				return
			case <-time.After(pause):
				if _, err := r.look(false); err != nil {
					r.mu.Lock()
					r.bad = err
					r.mu.Unlock()
					return
				}
				r.laps++
			}
		}
	}()
	return r
}

func (r *reader) end() error {
	close(r.stop)
	<-r.done
	return r.bad
}

// look lists the folder, reads what is new and compares what is not: by stat, or
// byte by byte when thorough. It returns the files.
func (r *reader) look(thorough bool) (map[string]*file, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := make(map[string]*file)
	err := filepath.WalkDir(r.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "_tmp":
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".parquet"):
			return nil
		}
		f, err := r.read(path, thorough)
		if errors.Is(err, fs.ErrNotExist) && isRejects(path) {
			return nil // whether it may be gone is looked at below
		}
		now[path] = f
		return err
	})
	if err != nil {
		return nil, err
	}
	for path := range r.seen {
		if now[path] == nil {
			if _, err := os.Stat(path); err != nil && !r.withdrawn(path) {
				return nil, fmt.Errorf("%s was published and is gone", path)
			}
		}
	}
	return now, nil
}

// withdrawn reports whether a file that is gone had to go: rejects whose part
// counts none. It is as if they had never been there.
func (r *reader) withdrawn(path string) bool {
	of := r.seen[strings.Replace(path, "/_rejected/", "/", 1)]
	if !isRejects(path) || of == nil || of.meta.Rejected > 0 {
		return false
	}
	delete(r.seen, path)
	return true
}

func isRejects(path string) bool { return strings.Contains(path, "/_rejected/") }

// losePart takes the first part of a kind's window out of the archive, as a
// restored backup or a person does.
func (w *world) losePart(k event.Kind, win window.Window) {
	w.inspect("before a part was lost")
	w.reader.mu.Lock()
	w.reader.forget(w.partPath(k, win))
	w.reader.mu.Unlock()
	w.lostParts++
	w.excuse("a part lost")
}

func (w *world) partPath(k event.Kind, win window.Window) string {
	return filepath.Join(w.data, sink.Plain.Path(sink.Name{Window: win, Kind: k}))
}

// forget removes a file as a loss of power does.
func (r *reader) forget(path string) {
	delete(r.seen, path)
	try(os.Remove(path))
}

func (r *reader) read(path string, thorough bool) (*file, error) {
	before, known := r.seen[path]
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if known && (!os.SameFile(info, before.info) || info.Size() != before.info.Size() || !info.ModTime().Equal(before.info.ModTime())) {
		return nil, fmt.Errorf("%s was published and has changed since", path)
	}
	if known && !thorough {
		return before, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if known {
		if sha256.Sum256(text) != before.sum {
			return nil, fmt.Errorf("%s was published and its bytes have changed since", path)
		}
		return before, nil
	}
	f, err := parse(r.root, path, text, info)
	if err != nil {
		return nil, fmt.Errorf("%s has a final name and does not parse: %w", path, err)
	}
	r.seen[path] = f
	return f, nil
}

func parse(root, path string, text []byte, info fs.FileInfo) (*file, error) {
	relative, err := filepath.Rel(root, path)
	if err != nil {
		return nil, err
	}
	f := &file{sum: sha256.Sum256(text), info: info}
	if f.name, err = sink.Plain.Parse(filepath.ToSlash(relative)); err != nil {
		return nil, err
	}
	opened, err := part.Open(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return nil, err
	}
	f.meta = opened.Meta()
	return f, opened.Identities(func(id event.ID, hash uint64) error {
		f.entries = append(f.entries, identity{f.name.Kind, id, hash})
		return nil
	})
}

// compareRows rebuilds every event of a part and compares it with the journal's.
func (f *file) compareRows(path string, j *journal) error {
	if f.compared || f.name.Rejects {
		return nil
	}
	f.compared = true
	kind := f.name.Kind
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	opened, err := part.Open(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return err
	}
	return part.ReadRows(opened, event.RowColumns(kind), func(r *event.Row) error {
		want, _ := j.event(identity{kind, r.ID(), uint64(r.EntryHash.Value)})
		var a, b any
		if err := json.Unmarshal(event.AppendEvent(nil, kind, r), &a); err != nil {
			return fmt.Errorf("the event of %s does not parse: %w", r.ID(), err)
		}
		if err := json.Unmarshal(want, &b); err != nil || !reflect.DeepEqual(a, b) {
			return fmt.Errorf("the row of %s is not the event that was sent", r.ID())
		}
		return nil
	})
}
