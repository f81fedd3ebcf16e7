package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/stream/streamtest"
)

// sampleFile names recorded events; without it the samples of package event serve.
const sampleFile = "TEST_JETSTREAM_SAMPLE"

// sampleLines returns the lines of recorded commit events of the five kinds.
func sampleLines(t *testing.T) (lines []string) {
	t.Helper()
	files, _ := filepath.Glob("../../event/testdata/samples/*.jsonl")
	if name := os.Getenv(sampleFile); name != "" {
		files = []string{name}
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var e struct {
				Commit struct{ Collection string }
			}
			if json.Unmarshal([]byte(line), &e) != nil {
				continue
			}
			if _, ok := event.KindOfCollection(e.Commit.Collection); ok {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) < 20 {
		t.Fatalf("only %d sample events were found", len(lines))
	}
	return lines
}

// canonical returns JSON lines as sorted values, so that order does not matter.
func canonical(t *testing.T, lines []string) []string {
	t.Helper()
	var values []string
	for _, line := range lines {
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.UseNumber()
		var v any
		if err := decoder.Decode(&v); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, string(text))
	}
	slices.Sort(values)
	return values
}

// archive drains sent events into a new archive and returns its folder.
func archive(t *testing.T, send ...string) string {
	t.Helper()
	server := streamtest.Start(t)
	data := filepath.Join(t.TempDir(), "data")
	environ := []string{"DATAWRITER_REDIS_URL=" + server.URL()}
	if r := run(t, environ, append([]string{"simulate", "--window", testWindow}, send...)...); r.code != exitOK {
		t.Fatalf("simulate: exit %d\n%s", r.code, r.stderr)
	}
	if r := run(t, environ, "run", "--window", testWindow, "--data", data); r.code != exitOK {
		t.Fatalf("run: exit %d\n%s", r.code, r.stderr)
	}
	return data
}

func TestRecordedEventsComeBackEqual(t *testing.T) {
	sent := sampleLines(t)
	recording := filepath.Join(t.TempDir(), "recording.jsonl")
	if err := os.WriteFile(recording, []byte(strings.Join(sent, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	data := archive(t, "--replay", recording)
	parts, err := filepath.Glob(filepath.Join(data, "2026/*/*/*/*/*.parquet"))
	if err != nil || len(parts) != len(event.Kinds()) {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	printed := run(t, nil, append([]string{"cat"}, parts...)...)
	if printed.code != exitOK {
		t.Fatalf("cat: exit %d\n%s", printed.code, printed.stderr)
	}
	got := canonical(t, slices.Collect(strings.Lines(printed.stdout)))
	if want := canonical(t, sent); !slices.Equal(got, want) {
		t.Errorf("%d events came back of %d, or not all equal", len(got), len(want))
	}
}

func TestPlainSimulatedEventsNeedNoJSON(t *testing.T) {
	data := archive(t, "--count", "2000", "--seed", "3")
	for _, kind := range []event.Kind{event.Likes, event.Reposts, event.Follows, event.Blocks} {
		files, _ := filepath.Glob(filepath.Join(data, "2026/*/*/*", kind.String(), "*.parquet"))
		for _, name := range files {
			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			info, _ := file.Stat()
			opened, err := part.Open(file, info.Size())
			if err != nil {
				t.Fatal(err)
			}
			err = part.ReadRows(opened, event.RowColumns(kind), func(r *event.Row) error {
				if r.EventJSON != nil {
					t.Errorf("%s: event_json holds %s", kind, r.EventJSON)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// enginesPython is the interpreter that has DuckDB; `make engines` makes it.
func enginesPython(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("TEST_ENGINES_PYTHON"); path != "" {
		return path
	}
	path, err := filepath.Abs("../../../.cache/venv-engines/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("there is no %s: run make engines", path)
	}
	return path
}

// TestQueriesOfTheReadmeAnswer runs every SQL block of the README with DuckDB.
func TestQueriesOfTheReadmeAnswer(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	queries := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(queries) < 3 {
		t.Fatalf("the README has %d queries", len(queries))
	}
	data := archive(t, "--count", "5000")
	for _, q := range queries {
		c := exec.Command(enginesPython(t), "-c", "import duckdb, sys; assert duckdb.sql(sys.stdin.read()).arrow().read_all().num_rows > 0, 'no rows'")
		c.Dir = filepath.Dir(data)
		c.Stdin = strings.NewReader(q[1])
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s\n%v\n%s", q[1], err, out)
		}
	}
}
