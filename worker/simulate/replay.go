package simulate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"datawriter/worker/event"
)

// maxLine bounds one recorded event: far above what is ever accepted, so that
// oversized events can be replayed too.
const maxLine = 64 << 20

// replayed sends recorded events, one a line and byte for byte, to the streams
// of their collections. Lines that belong to no stream are counted by what they
// are.
type replayed struct {
	lines *bufio.Scanner
	read  int64
	tally *tally
}

func newReplayed(from io.Reader, t *tally) *replayed {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	lines.Split(splitLines)
	return &replayed{lines: lines, tally: t}
}

func (m *replayed) make(b *batch, _ int64) error {
	for m.lines.Scan() {
		m.read++
		line := m.lines.Bytes()
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		kind, other := streamOf(line)
		if other != "" {
			m.tally.note(func(r *Result) { r.Skipped[other]++ })
			continue
		}
		start := len(b.arena)
		b.arena = append(b.arena, line...)
		b.add(kind, event.ID{}, one(b.arena[start:len(b.arena):len(b.arena)]), "")
		return nil
	}
	if err := m.lines.Err(); err != nil {
		return m.failed(err)
	}
	return io.EOF
}

func (m *replayed) failed(err error) error {
	if errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%w: line %d of the replay is longer than %d bytes: it is not one recorded event a line", ErrUsage, m.read+1, maxLine)
	}
	return fmt.Errorf("read line %d of the replay: %w", m.read+1, err)
}

// splitLines is bufio.ScanLines without its removal of carriage returns: an
// event is sent byte for byte.
func splitLines(chunk []byte, atEOF bool) (advance int, line []byte, err error) {
	if end := bytes.IndexByte(chunk, '\n'); end >= 0 {
		return end + 1, chunk[:end], nil
	}
	if atEOF && len(chunk) > 0 {
		return len(chunk), chunk, nil
	}
	return 0, nil, nil
}

// streamOf returns the kind in whose stream a recorded event belongs, or what
// else it is.
func streamOf(line []byte) (kind event.Kind, other string) {
	var recorded struct {
		Kind   string `json:"kind"`
		Commit struct {
			Collection string `json:"collection"`
		} `json:"commit"`
	}
	if json.Unmarshal(line, &recorded) != nil {
		return 0, "not_an_event"
	}
	kind, ok := event.KindOfCollection(recorded.Commit.Collection)
	switch {
	case ok:
		return kind, ""
	case recorded.Kind == "identity", recorded.Kind == "account":
		return 0, recorded.Kind
	}
	return 0, "other_collection"
}

// countLines returns how many lines follow, and goes back to where it began.
func countLines(from io.ReadSeeker) (lines int64, err error) {
	start, err := from.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, fmt.Errorf("%w: the replay is not a file, so its length is unknown: say how many entries there are with a count", ErrUsage)
	}
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		lines += int64(bytes.Count(buffer[:n], []byte("\n")))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("count the lines of the replay: %w", err)
		}
	}
	_, err = from.Seek(start, io.SeekStart)
	return lines + 1, err // the last line may have no end
}
