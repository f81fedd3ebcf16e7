package runlog_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"datawriter/worker/runlog"
)

// tail reads what is new and returns the number of each record.
func tail(t *testing.T, l *runlog.Log, at runlog.Position) (numbers []int, broken int) {
	t.Helper()
	broken, err := l.ReadNew(at, func(r runlog.Record) error {
		numbers = append(numbers, r.Attempts)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return numbers, broken
}

func wantTail(t *testing.T, what string, l *runlog.Log, at runlog.Position, want []int, wantBroken int) {
	t.Helper()
	if got, broken := tail(t, l, at); !reflect.DeepEqual(got, want) || broken != wantBroken {
		t.Errorf("%s: records %v and %d broken, want %v and %d", what, got, broken, want, wantBroken)
	}
}

func on(day string, n int) runlog.Record {
	r := record(n)
	r.End, _ = time.Parse(time.DateOnly, day)
	return r
}

func TestAReaderGoesOnWhereItStopped(t *testing.T) {
	l, at := runlog.Open(t.TempDir()), runlog.Position{}
	wantTail(t, "an empty log", l, at, nil, 0)
	add(t, l, on("2026-11-23", 1))
	add(t, l, on("2026-11-23", 2))
	wantTail(t, "the first look", l, at, []int{1, 2}, 0)
	wantTail(t, "nothing new", l, at, nil, 0)
	add(t, l, on("2026-11-24", 4))
	add(t, l, on("2026-11-23", 3))
	wantTail(t, "a new day, and a straggler of the old one", l, at, []int{3, 4}, 0)
	text, err := json.Marshal(at)
	if err != nil {
		t.Fatal(err)
	}
	restarted := runlog.Position{}
	if err := json.Unmarshal(text, &restarted); err != nil {
		t.Fatal(err)
	}
	add(t, l, on("2026-11-24", 5))
	wantTail(t, "after a restart", l, restarted, []int{5}, 0)
}

func TestALineThatIsBeingWrittenWaits(t *testing.T) {
	state := t.TempDir()
	l, at := runlog.Open(state), runlog.Position{}
	add(t, l, record(1))
	file := filepath.Join(state, "runs", "2026-11-23.jsonl")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wantTail(t, "a whole line", l, at, []int{1}, 0)
	write(append(whole[:len(whole):len(whole)], whole[:40]...))
	wantTail(t, "a part of a line", l, at, nil, 0)
	write(append(whole[:len(whole):len(whole)], whole[:len(whole)-1]...))
	wantTail(t, "all but its end", l, at, []int{1}, 0)
	add(t, l, record(2))
	wantTail(t, "the line behind it", l, at, []int{2}, 0)
}

func TestATornLineIsCountedOnce(t *testing.T) {
	state := t.TempDir()
	l, at := runlog.Open(state), runlog.Position{}
	add(t, l, record(1))
	file, err := os.OpenFile(filepath.Join(state, "runs", "2026-11-23.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"window":"2026-11-2`); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	wantTail(t, "while nobody knows what becomes of it", l, at, []int{1}, 0)
	add(t, l, record(2))
	wantTail(t, "once another run has closed it", l, at, []int{2}, 1)
	wantTail(t, "later", l, at, nil, 0)
}

func TestAFileThatWasCutIsNotReadTwice(t *testing.T) {
	state := t.TempDir()
	l, at := runlog.Open(state), runlog.Position{}
	add(t, l, record(1))
	add(t, l, record(2))
	wantTail(t, "before", l, at, []int{1, 2}, 0)
	file := filepath.Join(state, "runs", "2026-11-23.jsonl")
	if err := os.Truncate(file, 10); err != nil {
		t.Fatal(err)
	}
	wantTail(t, "cut", l, at, nil, 1)
	add(t, l, record(3))
	wantTail(t, "and appended to", l, at, []int{3}, 0)
}

func TestAReaderThatStopsStandsBehindTheLastRecord(t *testing.T) {
	l, at := runlog.Open(t.TempDir()), runlog.Position{}
	for n := range 3 {
		add(t, l, record(n))
	}
	enough := errors.New("enough")
	if _, err := l.ReadNew(at, func(runlog.Record) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("it ended with %v", err)
	}
	wantTail(t, "the rest", l, at, []int{1, 2}, 0)
}
