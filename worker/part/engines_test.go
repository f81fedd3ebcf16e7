package part

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"datawriter/worker/event"
)

// TestEngines writes files of every kind and codec, each with the truth about
// every cell, and has pyarrow, DuckDB, Polars and DataFusion read them.
func TestEngines(t *testing.T) {
	t.Parallel()
	python := enginesPython(t)
	dir := t.TempDir()
	writeEngineFiles(t, dir)
	out, err := exec.CommandContext(t.Context(), python, filepath.Join("enginetest", "check.py"), dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// enginesPython returns the interpreter that has the engines.
func enginesPython(tb testing.TB) string {
	tb.Helper()
	python := os.Getenv("TEST_ENGINES_PYTHON")
	if python == "" {
		python = filepath.Join("..", "..", ".cache", "venv-engines", "bin", "python")
	}
	path, err := filepath.Abs(python)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		tb.Fatalf("there is no %s: run make engines, or set TEST_ENGINES_PYTHON", path)
	}
	return path
}

// engineFile is what check.py is told about a file.
type engineFile struct {
	Name      string         `json:"name"`
	Truth     string         `json:"truth"`
	Columns   []engineColumn `json:"columns"`
	Thorough  bool           `json:"thorough"` // every query, not only equality and null counts
	Codec     string         `json:"codec"`
	PageRows  int            `json:"page_rows"`
	GroupRows int            `json:"group_rows"`
}

type engineColumn struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Nullable bool   `json:"nullable"`
}

var engineTypes = map[event.Type]string{
	event.Int64: "int", event.TimestampMillis: "ms", event.TimestampMicros: "us",
	event.String: "string", event.StringList: "strings", event.BinaryList: "binaries",
}

func writeEngineFiles(t *testing.T, dir string) {
	var files []engineFile
	for _, codec := range codecs() {
		for _, kind := range event.AllKinds() {
			m := testMeta(kind, 2500, 0)
			files = append(files, writeEngineFile(t, dir, kind.String(), event.RowColumns(kind), tight(codec), m, 2500))
		}
		m := testMeta(event.Likes, 0, 2500)
		files = append(files, writeEngineFile(t, dir, "rejects", event.RejectColumns(), tight(codec), m, 2500))
	}
	files = append(files,
		writeEngineFile(t, dir, "empty", event.RowColumns(event.Posts), Options{}, testMeta(event.Posts, 0, 0), 0),
		writeEngineFile(t, dir, "one row", event.RowColumns(event.Posts), Options{}, testMeta(event.Posts, 1, 0), 1),
		writeEngineFile(t, dir, "usual sizes", event.RowColumns(event.Posts), Options{RowGroupRows: 25_000}, testMeta(event.Posts, 30_000, 0), 30_000),
	)
	writeJSON(t, filepath.Join(dir, "files.json"), files)
}

// writeEngineFile writes a sample and, as JSON lists by column, its truth.
func writeEngineFile[R any](t *testing.T, dir, name string, columns []event.Column[R], o Options, m Meta, count int) engineFile {
	o = o.withDefaults()
	f := engineFile{
		Name: fmt.Sprintf("%s.%s.parquet", name, o.Compression), Truth: name + ".json", Codec: string(o.Compression),
		Thorough: o.Compression == Zstd && count == 2500, PageRows: o.PageRows, GroupRows: o.RowGroupRows,
	}
	truth := make([][]any, len(columns))
	for i, c := range columns {
		f.Columns = append(f.Columns, engineColumn{Name: c.Name, Type: engineTypes[c.Type], Nullable: c.Nullable})
		truth[i] = []any{}
	}
	g := newGenerator(11)
	for at := range count {
		var r R
		fill(g, columns, &r, at)
		for i := range columns {
			truth[i] = append(truth[i], plainCell(&columns[i], &r))
		}
	}
	writeJSON(t, filepath.Join(dir, f.Truth), truth)
	file := writeSample(t, columns, o, m, count, 11)
	if err := os.WriteFile(filepath.Join(dir, f.Name), file, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// plainCell returns a cell as JSON can carry it; bytes become base64.
func plainCell[R any](c *event.Column[R], r *R) any {
	switch {
	case c.Int != nil:
		if v := *c.Int(r); v.Valid {
			return v.Value
		}
	case c.Text != nil:
		if v := *c.Text(r); v != nil {
			if !utf8.Valid(v) {
				panic("a sample string is not UTF-8")
			}
			return string(v)
		}
	case *c.List(r) != nil:
		list := []any{}
		for _, v := range *c.List(r) {
			if c.Type == event.BinaryList {
				list = append(list, v)
			} else {
				list = append(list, string(v))
			}
		}
		return list
	}
	return nil
}

func writeJSON(tb testing.TB, path string, v any) {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}
