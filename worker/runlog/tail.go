package runlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Position is how far a reader got: bytes read of each day's file, by its name.
// It outlives the reader as JSON. The empty Position is the beginning.
type Position map[string]int64

// ReadNew calls yield for every record that was appended since the position,
// and moves it behind each. Days are in order; a record that is appended to an
// older day's file later, by a run that ended just before midnight, is found
// too. A line without its end is left for the next call unless it is a whole
// record, so a reader may look while another process writes.
//
// It returns how many lines it could not read, as Read does. An error of yield
// ends it and is returned as it is, with the position behind that record.
func (l *Log) ReadNew(at Position, yield func(Record) error) (broken int, err error) {
	days, err := l.days(time.Time{})
	if err != nil {
		return 0, fmt.Errorf("read the run log: %w", err)
	}
	for _, day := range days {
		n, err := l.readDayNew(day, at, yield)
		broken += n
		if err != nil {
			return broken, err
		}
	}
	return broken, nil
}

func (l *Log) readDayNew(day string, at Position, yield func(Record) error) (broken int, err error) {
	file, err := os.Open(filepath.Join(l.folder, day))
	if err != nil {
		return 0, fmt.Errorf("read the run log: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the run log: %w", err)
	case info.Size() == at[day]:
		return 0, nil
	case info.Size() < at[day]: // somebody cut it: what is left was read before
		at[day] = info.Size()
		return 1, nil
	}
	in := bufio.NewReader(io.NewSectionReader(file, at[day], info.Size()-at[day]))
	for {
		line, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return broken, fmt.Errorf("read the run log: %w", err)
		}
		ended := err == nil
		var r Record
		whole := json.Unmarshal(line, &r) == nil
		if !ended && !whole {
			return broken, nil
		}
		at[day] += int64(len(line))
		switch {
		case whole:
			if err := yield(r); err != nil {
				return broken, err
			}
		case len(bytes.TrimSpace(line)) > 0:
			broken++
		}
		if !ended {
			return broken, nil
		}
	}
}
