package ingest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// GapsFile is the file in the state folder with one line for each gap.
const GapsFile = "ingest-gaps.jsonl"

// Gap is a stretch of the source that its server no longer had when it was
// asked for: every event before After is stored, and what lies between After
// and Until may be missing. Until is by the clock of Host, After by that of the
// host before; where that is another, whose clock is ahead by more than the gap
// is long, Until is the earlier of both. A host that numbers its events bounds it
// by numbers as well: what may be missing has a number after AfterSeq and before
// UntilSeq; 0 where a bound is of another numbering, or none is known.
type Gap struct {
	After   time.Time `json:"after"`
	Until   time.Time `json:"until"`
	Host    string    `json:"host"`
	Wire    Wire      `json:"wire"`
	Noticed time.Time `json:"noticed"`

	AfterSeq int64 `json:"after_seq,omitempty"`
	UntilSeq int64 `json:"until_seq,omitempty"`
}

// Seconds returns how long the gap is; 0 where the clocks of two hosts hide it.
func (g Gap) Seconds() float64 { return max(0, g.Until.Sub(g.After).Seconds()) }

// ReadGaps returns the gaps that a state folder records, oldest first. One that
// was noticed twice, because the process died in between, is one, as long as
// the longer of both.
func ReadGaps(stateDir string) (gaps []Gap, err error) {
	file, err := os.Open(filepath.Join(stateDir, GapsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the gaps: %w", err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var g Gap
		if json.Unmarshal(lines.Bytes(), &g) != nil {
			continue // the line of a process that died while it wrote
		}
		if n := len(gaps); n > 0 && gaps[n-1].After.Equal(g.After) {
			if g.Until.After(gaps[n-1].Until) {
				gaps[n-1].Until, gaps[n-1].UntilSeq = g.Until, max(g.UntilSeq, gaps[n-1].UntilSeq)
			}
			continue
		}
		gaps = append(gaps, g)
	}
	return gaps, lines.Err()
}

// recordGap appends a line and makes it durable. It stands before the position
// moves past the gap, so that no gap is passed in silence.
func recordGap(stateDir string, g Gap) error {
	line, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("record a gap: %w", err)
	}
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return fmt.Errorf("record a gap: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(stateDir, GapsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("record a gap: %w", err)
	}
	// The newline in front ends a line that a dying process left half written.
	_, err = file.Write(append(append([]byte{'\n'}, line...), '\n'))
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("record a gap: %w", err)
	}
	return nil
}
