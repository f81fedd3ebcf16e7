package runlog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

var (
	win = window.Window{Start: time.Date(2026, 11, 23, 10, 5, 0, 0, time.UTC), Length: 5 * time.Minute}
	end = time.Date(2026, 11, 23, 10, 10, 7, 0, time.UTC)
)

// record is the nth record of a test.
func record(n int) runlog.Record {
	first, last := event.ID{MS: 1, Seq: 2}, event.ID{MS: 3}
	return runlog.Record{
		Window: win, Status: runlog.Drained, Start: end.Add(-time.Second), End: end, Seconds: 1, Attempts: n,
		Kinds: []runlog.Kind{{
			Kind: event.Likes, Stream: "bluesky:{likes}", Entries: 12, Rows: 10, Rejected: 2, Late: 1, Settled: 12,
			RejectedBy: map[event.Reason]int64{event.ReasonNotJSON: 2},
			Parts:      []string{"2026/11/23/10/likes/20261123T100500Z-5m-00.parquet"}, Bytes: 512,
			FirstID: &first, LastID: &last, Added: 99, Attempts: 1, Seconds: 0.5,
		}},
	}
}

// read returns all records from a day on, and how many lines were broken.
func read(t *testing.T, l *runlog.Log, since time.Time) (records []runlog.Record, broken int) {
	t.Helper()
	broken, err := l.Read(since, func(r runlog.Record) error {
		records = append(records, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, broken
}

func add(t *testing.T, l *runlog.Log, r runlog.Record) {
	t.Helper()
	if err := l.Append(r); err != nil {
		t.Fatal(err)
	}
}

func TestARecordComesBackAsItWas(t *testing.T) {
	l := runlog.Open(filepath.Join(t.TempDir(), "state"))
	add(t, l, record(1))
	add(t, l, record(2))
	got, broken := read(t, l, time.Time{})
	if want := []runlog.Record{record(1), record(2)}; broken != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v and %d broken, want %+v", got, broken, want)
	}
}

// TestALineIsWhatOthersRead holds the names of the document, which are an
// interface to the exporter and to people with jq.
func TestALineIsWhatOthersRead(t *testing.T) {
	state := t.TempDir()
	add(t, runlog.Open(state), record(1))
	text, err := os.ReadFile(filepath.Join(state, "runs", "2026-11-23.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"window":"2026-11-23T10:05:00Z/5m","status":"drained","start":"2026-11-23T10:10:06Z","end":"2026-11-23T10:10:07Z","seconds":1,"attempts":1,` +
		`"kinds":[{"kind":"likes","stream":"bluesky:{likes}","entries":12,"rows":10,"rejected":2,"rejected_by":{"not_json":2},"late":1,"settled":12,` +
		`"parts":["2026/11/23/10/likes/20261123T100500Z-5m-00.parquet"],"bytes":512,"first_id":"1-2","last_id":"3-0","entries_added":99,"attempts":1,"seconds":0.5}]}` + "\n"
	var got, wanted any
	if json.Unmarshal(text, &got) != nil || json.Unmarshal([]byte(want), &wanted) != nil || !reflect.DeepEqual(got, wanted) || strings.Count(string(text), "\n") != 1 {
		t.Errorf("the line is\n%swant\n%s", text, want)
	}
}

func TestADayIsTheDayOnWhichTheWorkEnded(t *testing.T) {
	state := t.TempDir()
	l := runlog.Open(state)
	for n, at := range []time.Time{
		time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 23, 23, 59, 59, 0, time.UTC),
		time.Date(2026, 11, 25, 1, 30, 0, 0, time.FixedZone("east", 2*3600)), // the 24th in UTC
	} {
		r := record(n)
		r.End = at
		add(t, l, r)
	}
	for since, want := range map[time.Time][]int{
		{}: {1, 0, 2},
		time.Date(2026, 11, 24, 18, 0, 0, 0, time.UTC): {0, 2},
		time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC):  nil,
	} {
		var got []int
		records, _ := read(t, l, since)
		for _, r := range records {
			got = append(got, r.Attempts)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("since %s: %v, want %v", since, got, want)
		}
	}
}

func TestACrashCostsOnlyItsOwnLine(t *testing.T) {
	state := t.TempDir()
	l := runlog.Open(state)
	add(t, l, record(1))
	file := filepath.Join(state, "runs", "2026-11-23.jsonl")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{1, len(whole) / 2, len(whole) - 1} {
		if err := os.WriteFile(file, append(whole, whole[:cut]...), 0o600); err != nil {
			t.Fatal(err)
		}
		add(t, l, record(2))
		records, broken := read(t, l, time.Time{})
		unharmed := cut == len(whole)-1 // only the end of the line was missing
		if unharmed && (len(records) != 3 || broken != 0) || !unharmed && (len(records) != 2 || broken != 1) {
			t.Errorf("cut at %d: %d records and %d broken lines", cut, len(records), broken)
		}
		if last := records[len(records)-1]; last.Attempts != 2 {
			t.Errorf("cut at %d: the last record is %+v", cut, last)
		}
	}
}

func TestWhatIsNotThereIsEmpty(t *testing.T) {
	l := runlog.Open(filepath.Join(t.TempDir(), "none"))
	if records, broken := read(t, l, time.Time{}); len(records) != 0 || broken != 0 {
		t.Errorf("%d records, %d broken", len(records), broken)
	}
}

func TestOtherFilesAreNoDays(t *testing.T) {
	state := t.TempDir()
	l := runlog.Open(state)
	add(t, l, record(1))
	for _, name := range []string{"notes.txt", "2026-11-23.jsonl.bak", "2026-13-01.jsonl"} {
		if err := os.WriteFile(filepath.Join(state, "runs", name), []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if records, broken := read(t, l, time.Time{}); len(records) != 1 || broken != 0 {
		t.Errorf("%d records, %d broken, want the one", len(records), broken)
	}
}

func TestReadingEndsWithTheReader(t *testing.T) {
	l := runlog.Open(t.TempDir())
	add(t, l, record(1))
	add(t, l, record(2))
	enough, seen := errors.New("enough"), 0
	if _, err := l.Read(time.Time{}, func(runlog.Record) error { seen++; return enough }); !errors.Is(err, enough) || seen != 1 {
		t.Errorf("it ended after %d records with %v", seen, err)
	}
}

func TestAFolderThatCannotBeWrittenSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := runlog.Open(file).Append(record(1)); err == nil || !strings.Contains(err.Error(), "append to the run log") {
		t.Errorf("got %v", err)
	}
}

// appendEnv tells the test binary, run again, which state folder to append to.
const appendEnv = "RUNLOG_TEST_STATE"

func TestMain(m *testing.M) {
	if state := os.Getenv(appendEnv); state != "" {
		for n := range 50 {
			if err := runlog.Open(state).Append(record(n)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestSeveralProcessesAppendAtOnce(t *testing.T) {
	state := t.TempDir()
	const processes = 4
	var all sync.WaitGroup
	for range processes {
		all.Go(func() {
			other := exec.Command(os.Args[0])
			other.Env = append(os.Environ(), appendEnv+"="+state)
			if out, err := other.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	if records, broken := read(t, runlog.Open(state), time.Time{}); len(records) != 50*processes || broken != 0 {
		t.Errorf("%d records and %d broken lines, want %d", len(records), broken, 50*processes)
	}
}

// A run that is stopped in the middle of its line must not keep all others from
// ending.
func TestAHolderOfTheLockThatHangsKeepsNobodyForLong(t *testing.T) {
	dir := t.TempDir()
	l := runlog.Open(dir)
	add(t, l, record(1))
	names, err := filepath.Glob(filepath.Join(dir, "runs", "*.jsonl"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	held, err := os.Open(names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	add(t, l, record(2))
	if records, broken := read(t, l, end); len(records) != 2 || broken != 0 {
		t.Errorf("%d records and %d broken lines, want both records", len(records), broken)
	}
}
