package event

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// samples returns the sample events of a kind, one per line of its file.
func samples(tb testing.TB, kind Kind) [][]byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "samples", kind.String()+".jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(text), []byte("\n"))
}

// TestGolden pins what the rows of the samples look like, in words that a
// reader of a part would see.
func TestGolden(t *testing.T) {
	for _, kind := range AllKinds() {
		t.Run(kind.String(), func(t *testing.T) {
			got := goldenText(t, kind)
			path := filepath.Join("testdata", "golden", kind.String()+".json")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("rows differ from %s (if that is meant, run go test ./worker/event -update):\n%s", path, got)
			}
		})
	}
}

// goldenText is a JSON array of rows, the columns in file order.
func goldenText(t *testing.T, kind Kind) string {
	var d Decoder
	var row Row
	var rows []string
	for i, event := range samples(t, kind) {
		entry := Entry{ID: ID{MS: 1795428300000 + uint64(i)}, Fields: [][]byte{[]byte(FieldName), event}}
		if reason := d.Decode(kind, &entry, &row); reason != "" {
			t.Fatalf("%s: %s", event, reason)
		}
		rows = append(rows, goldenRow(t, kind, &row))
	}
	return "[\n" + strings.Join(rows, ",\n") + "\n]\n"
}

func goldenRow(t *testing.T, kind Kind, row *Row) string {
	values := columnsOf(kind, row)
	var members []string
	for _, column := range RowColumns(kind) {
		text := new(bytes.Buffer)
		enc := json.NewEncoder(text)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(values[column.Name]); err != nil {
			t.Fatal(err)
		}
		members = append(members, quote(column.Name)+": "+strings.TrimSpace(text.String()))
	}
	return "  {\n    " + strings.Join(members, ",\n    ") + "\n  }"
}

// TestRecordedEvents runs the comparison with the reference over a file of
// recorded events, whichever TEST_JETSTREAM_SAMPLE names, beside the samples.
func TestRecordedEvents(t *testing.T) {
	var events [][]byte
	for _, kind := range AllKinds() {
		events = append(events, samples(t, kind)...)
	}
	if path := os.Getenv("TEST_JETSTREAM_SAMPLE"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, bytes.Split(bytes.TrimSpace(text), []byte("\n"))...)
	}
	rows := 0
	for _, event := range events {
		for _, kind := range AllKinds() {
			if _, reason := checkDecode(t, kind, event); reason == "" {
				rows++
			}
		}
	}
	t.Logf("%d events, %d rows", len(events), rows)
}
