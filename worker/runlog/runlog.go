// Package runlog owns the run log: one JSON line for every window that a run
// tried to drain, in one file a day below the state folder. Drains append to
// it, the exporter and the reports read it.
//
// It knows nothing of how a window is drained.
package runlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/failure"
	"datawriter/worker/window"
)

// Status is how the drain of a window ended.
type Status string

// Statuses.
const (
	Drained Status = "drained" // entries were moved
	Nothing Status = "nothing" // it was drained already, or empty
	Held    Status = "held"    // another run holds a stream of it
	Failed  Status = "failed"  // see Error and Class
	Stopped Status = "stopped" // a signal came
)

// Record is what is known of one drained window.
type Record struct {
	Window   window.Window `json:"window"`
	Status   Status        `json:"status"`
	Start    time.Time     `json:"start"` // of the work, by the local clock, which decides nothing
	End      time.Time     `json:"end"`
	Seconds  float64       `json:"seconds"`  // of the kind that took longest; windows of a backlog overlap
	Attempts int           `json:"attempts"` // of the kind that needed most
	Kinds    []Kind        `json:"kinds"`
	Error    string        `json:"error,omitempty"`
	Class    string        `json:"class,omitempty"` // of the error: held, configuration, integrity, unavailable, stopped
}

// Kind is what is known of one kind of a drained window.
type Kind struct {
	Kind       event.Kind             `json:"kind"`
	Stream     string                 `json:"stream"`
	Entries    int64                  `json:"entries"`  // read and not yet in a part
	Rows       int64                  `json:"rows"`     // written by this run
	Rejected   int64                  `json:"rejected"` // written by this run
	RejectedBy map[event.Reason]int64 `json:"rejected_by,omitempty"`
	Late       int64                  `json:"late"`               // of the rows and rejects, those in a part beyond 00
	Misdated   int64                  `json:"misdated,omitempty"` // of the rows and rejects, those whose ID is of another time
	Settled    int64                  `json:"settled"`            // entries acked or deleted
	Vanished   int64                  `json:"vanished,omitempty"`
	Unkept     int64                  `json:"unkept_fields,omitempty"` // of the rows' entries: those beside event and seq, for which there is no column
	Parts      []string               `json:"parts"`                   // paths below the data folder that this run published
	Bytes      int64                  `json:"bytes"`                   // of those files
	FirstID    *event.ID              `json:"first_id,omitempty"`
	LastID     *event.ID              `json:"last_id,omitempty"`
	Added      int64                  `json:"entries_added"` // the stream's entries-added when it was read; -1 unknown
	Losses     []Loss                 `json:"losses,omitempty"`
	Attempts   int                    `json:"attempts"`
	Seconds    float64                `json:"seconds"`
	Error      string                 `json:"error,omitempty"`
}

// Loss is how many entries Redis took and lost before they were in a part.
type Loss struct {
	Class string `json:"class"` // of the cause
	Count int64  `json:"count"` // entries; 0 when the cause is known and the number is not
}

// extension ends the name of every day's file.
const extension = ".jsonl"

// Log is the run log below one state folder. Several processes may append at once.
type Log struct{ folder string }

// Open returns the run log of a state folder. It creates nothing yet.
func Open(stateDir string) *Log { return &Log{folder: filepath.Join(stateDir, "runs")} }

// Append adds a record durably to the file of the day on which its work ended.
// A line that a crash left unfinished is closed first, so it costs only itself.
func (l *Log) Append(r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("append to the run log: %w", err)
	}
	if err := os.MkdirAll(l.folder, 0o755); err != nil {
		return fmt.Errorf("append to the run log: %w", failure.Explained(err))
	}
	if err := appendLine(l.file(r.End), append(line, '\n')); err != nil {
		return fmt.Errorf("append to the run log: %w", failure.Explained(err))
	}
	return nil
}

// file returns the path of a day's file.
func (l *Log) file(day time.Time) string {
	return filepath.Join(l.folder, day.UTC().Format(time.DateOnly)+extension)
}

func appendLine(name string, line []byte) (err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := lock(file); err != nil {
		return err
	}
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	unfinished, err := endsUnfinished(file, end)
	if err != nil {
		return err
	}
	if unfinished {
		line = append([]byte{'\n'}, line...)
	}
	if _, err := file.Write(line); err != nil {
		return err
	}
	if err := file.Sync(); err != nil || end > 0 {
		return err
	}
	return syncNames(filepath.Dir(name))
}

// patience is how long a holder of the lock is waited for: far longer than an
// append takes, far shorter than a run may be kept from ending.
const patience = 2 * time.Second

// lock lets "look at the end, then write" be one step among processes. A holder
// may have been stopped in the middle; then the log does without the lock: each
// line is one write, so at worst it follows a line that a crash left unfinished.
func lock(file *os.File) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if time.Now().After(deadline) {
			return nil
		}
	}
}

func endsUnfinished(file *os.File, end int64) (bool, error) {
	if end == 0 {
		return false, nil
	}
	last := make([]byte, 1)
	_, err := file.ReadAt(last, end-1)
	return !bytes.Equal(last, []byte{'\n'}), err
}

// syncNames makes the name of a new day's file durable, and those of the two
// folders that the log itself may have created.
func syncNames(folder string) error {
	for range 3 {
		opened, err := os.Open(folder)
		if errors.Is(err, fs.ErrPermission) {
			return nil // so it was not this process that created a name in it
		}
		if err != nil {
			return err
		}
		if err := errors.Join(opened.Sync(), opened.Close()); err != nil {
			return err
		}
		folder = filepath.Dir(folder)
	}
	return nil
}
