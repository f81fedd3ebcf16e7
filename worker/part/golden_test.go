package part

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datawriter/worker/event"

	"github.com/xitongsys/parquet-go/parquet"
)

var update = flag.Bool("update", false, "rewrite testdata/golden")

// TestGoldenFooter keeps the schema, the keys and what the footer says about
// each chunk from changing unnoticed: other programs rely on them.
func TestGoldenFooter(t *testing.T) {
	o := Options{Compression: None, RowGroupRows: 40, PageRows: 16} // uncompressed: sizes do not depend on a codec's version
	for _, kind := range event.AllKinds() {
		golden(t, kind.String(), writeSample(t, event.RowColumns(kind), o, testMeta(kind, 50, 3), 50, 8))
	}
	golden(t, "rejects", writeSample(t, event.RejectColumns(), o, testMeta(event.Likes, 7, 50), 50, 8))
}

func golden(t *testing.T, name string, file []byte) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		got := describeFooter(openBytes(t, file).footer)
		path := filepath.Join("testdata", "golden", name+".txt")
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v: run go test -update and look at the difference", err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("the footer is not that of %s: run go test -update and look at the difference\n%s", path, got)
		}
	})
}

func describeFooter(m *parquet.FileMetaData) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "version %d, created by %q, %d rows, %d column orders\n\nschema\n", m.Version, m.GetCreatedBy(), m.NumRows, len(m.ColumnOrders))
	for _, e := range m.Schema {
		b.WriteString("  " + describeElement(e) + "\n")
	}
	b.WriteString("\nkeys\n")
	for _, kv := range m.KeyValueMetadata {
		fmt.Fprintf(&b, "  %s = %s\n", kv.Key, kv.GetValue())
	}
	for i, g := range m.RowGroups {
		fmt.Fprintf(&b, "\nrow group %d: %d rows at %d, %d bytes, %d uncompressed, ordinal %d\n",
			i, g.NumRows, g.GetFileOffset(), g.GetTotalCompressedSize(), g.TotalByteSize, g.GetOrdinal())
		for _, c := range g.Columns {
			b.WriteString("  " + describeChunk(c) + "\n")
		}
	}
	return b.Bytes()
}

func describeElement(e *parquet.SchemaElement) string {
	var words []string
	add := func(there bool, word string) {
		if there {
			words = append(words, word)
		}
	}
	add(e.RepetitionType != nil, strings.ToLower(e.GetRepetitionType().String()))
	add(e.Type != nil, e.GetType().String())
	add(true, e.Name)
	add(e.NumChildren != nil, fmt.Sprintf("of %d", e.GetNumChildren()))
	add(e.ConvertedType != nil, e.GetConvertedType().String())
	if l := e.LogicalType; l != nil {
		add(l.STRING != nil, "STRING")
		add(l.LIST != nil, "LIST")
		if ts := l.TIMESTAMP; ts != nil {
			add(true, fmt.Sprintf("TIMESTAMP(utc %t, millis %t, micros %t)", ts.IsAdjustedToUTC, ts.Unit.MILLIS != nil, ts.Unit.MICROS != nil))
		}
	}
	return strings.Join(words, " ")
}

func describeChunk(c *parquet.ColumnChunk) string {
	m, s := c.MetaData, c.MetaData.Statistics
	text := fmt.Sprintf("%s: %s %v, %d values, %d nulls, %d bytes at %d", strings.Join(m.PathInSchema, "."), m.Codec, m.Encodings,
		m.NumValues, s.GetNullCount(), m.TotalCompressedSize, m.DataPageOffset)
	if m.IsSetDictionaryPageOffset() {
		text += fmt.Sprintf(", dictionary at %d", m.GetDictionaryPageOffset())
	}
	for _, e := range m.EncodingStats {
		text += fmt.Sprintf(", %d %s %s", e.Count, e.PageType, e.Encoding)
	}
	if m.Type == parquet.Type_BYTE_ARRAY {
		return text + fmt.Sprintf(", %.20q..%.20q", s.MinValue, s.MaxValue)
	}
	return text + fmt.Sprintf(", %x..%x", s.MinValue, s.MaxValue)
}
