package runlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Read calls yield for every record whose work ended on the UTC day of since or
// later, in the order in which they were appended; the zero time means all. It
// returns how many lines it could not read: each is what a crash left of one
// record. It holds one line at a time. A log that does not exist is empty. An
// error of yield ends it and is returned as it is.
func (l *Log) Read(since time.Time, yield func(Record) error) (broken int, err error) {
	days, err := l.days(since)
	if err != nil {
		return 0, fmt.Errorf("read the run log: %w", err)
	}
	for _, day := range days {
		n, err := readDay(filepath.Join(l.folder, day), yield)
		broken += n
		if err != nil {
			return broken, err
		}
	}
	return broken, nil
}

// days lists the names of the files from a day on, ascending.
func (l *Log) days(since time.Time) ([]string, error) {
	entries, err := os.ReadDir(l.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var days []string
	for _, entry := range entries {
		day, err := time.Parse(time.DateOnly+extension, entry.Name())
		if err == nil && !day.Before(since.UTC().Truncate(24*time.Hour)) {
			days = append(days, entry.Name())
		}
	}
	slices.SortFunc(days, strings.Compare)
	return days, err
}

func readDay(name string, yield func(Record) error) (broken int, err error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, fmt.Errorf("read the run log: %w", err)
	}
	defer file.Close()
	in := bufio.NewReader(file)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return broken, fmt.Errorf("read the run log: %w", err)
		}
		var r Record
		switch {
		case len(bytes.TrimSpace(line)) == 0:
		case json.Unmarshal(line, &r) != nil:
			broken++
		default:
			if err := yield(r); err != nil {
				return broken, err
			}
		}
		if err != nil {
			return broken, nil
		}
	}
}
