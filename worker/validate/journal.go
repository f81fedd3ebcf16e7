package validate

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// identity is what an entry is known by: its ID and the hash of its event.
type identity struct {
	id   event.ID
	hash uint64
}

func (i identity) compare(other identity) int { return i.id.Compare(other.id) }

// journal is the producer's own book: every entry that Redis acknowledged, in a
// file a kind. It knows nothing of what became of them. It is safe for
// concurrent use.
type journal struct {
	folder string

	mu    sync.Mutex
	files [5]*os.File
	out   [5]*bufio.Writer
	count int64
	err   error
}

// identitySize is what an entry takes in the file.
const identitySize = 24

// createJournal begins a journal in a folder.
func createJournal(folder string) (*journal, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("begin the journal: %w", err)
	}
	j := &journal{folder: folder}
	for _, kind := range event.Kinds() {
		file, err := os.Create(j.file(kind))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("begin the journal: %w", err), j.close())
		}
		j.files[kind], j.out[kind] = file, bufio.NewWriterSize(file, 1<<16)
	}
	return j, nil
}

func (j *journal) file(kind event.Kind) string {
	return filepath.Join(j.folder, kind.String()+".journal")
}

// add notes an entry that Redis acknowledged.
func (j *journal) add(a stream.Addition, id event.ID) {
	entry := event.Entry{ID: id, Fields: a.Fields}
	var line [identitySize]byte
	binary.LittleEndian.PutUint64(line[0:], id.MS)
	binary.LittleEndian.PutUint64(line[8:], id.Seq)
	binary.LittleEndian.PutUint64(line[16:], entry.Hash())
	j.mu.Lock()
	defer j.mu.Unlock()
	j.count++
	if _, err := j.out[a.Kind].Write(line[:]); err != nil {
		j.err = err
	}
}

// added returns how many entries stand in it.
func (j *journal) added() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.count
}

// close makes the files complete. An entry that could not be noted is an error here.
func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for kind, file := range j.files {
		if file == nil {
			continue
		}
		j.err = errors.Join(j.err, j.out[kind].Flush(), file.Close())
		j.files[kind] = nil
	}
	return j.err
}

// read returns what was noted of a kind, in no order.
func (j *journal) read(kind event.Kind) ([]identity, error) {
	file, err := os.Open(j.file(kind))
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<16)
	var found []identity
	var line [identitySize]byte
	for {
		if _, err := io.ReadFull(in, line[:]); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the journal: %w", err)
		}
		id := event.ID{MS: binary.LittleEndian.Uint64(line[0:]), Seq: binary.LittleEndian.Uint64(line[8:])}
		found = append(found, identity{id, binary.LittleEndian.Uint64(line[16:])})
	}
}
