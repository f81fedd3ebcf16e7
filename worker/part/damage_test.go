package part

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"datawriter/worker/event"

	"github.com/xitongsys/parquet-go/parquet"
)

func likesFile(tb testing.TB) []byte {
	return writeSample(tb, event.RowColumns(event.Likes), tight(Zstd), testMeta(event.Likes, 1000, 0), 1000, 2)
}

// readAll opens a file and reads everything in it.
func readAll(file []byte) error {
	f, err := Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return err
	}
	if err := f.Identities(func(event.ID, uint64) error { return nil }); err != nil {
		return err
	}
	if f.IsRejects() {
		return ReadRows(f, event.RejectColumns(), func(*event.Reject) error { return nil })
	}
	return ReadRows(f, event.RowColumns(f.Meta().Kind), func(*event.Row) error { return nil })
}

func TestDamageIsNamed(t *testing.T) {
	good := likesFile(t)
	if err := readAll(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		damage func(file []byte) []byte
		want   string
	}{
		{"an empty file", func([]byte) []byte { return nil }, "too short for Parquet"},
		{"a file without its last byte", func(f []byte) []byte { return f[:len(f)-1] }, "was cut off"},
		{"the first half of a file", func(f []byte) []byte { return f[:len(f)/2] }, "was cut off"},
		{"a text file", func([]byte) []byte { return []byte("did,rkey\nalice,bob\n") }, "is not Parquet"},
		{"a footer longer than the file", func(f []byte) []byte { return setFooterLength(f, math.MaxUint32) }, "does not fit"},
		{"a footer of the wrong length", func(f []byte) []byte { return setFooterLength(f, 100) }, "footer is damaged"},
		{"a flipped bit in the first page", func(f []byte) []byte { f[40] ^= 1; return f }, "checksum"},
		{"a page header that is none", func(f []byte) []byte { f[4] = 0xFF; return f }, "page header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := readAll(c.damage(slices.Clone(good)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one that says %q", err, c.want)
			}
		})
	}
}

func setFooterLength(file []byte, n uint32) []byte {
	binary.LittleEndian.PutUint32(file[len(file)-8:], n)
	return file
}

// TestEveryFlippedBitIsNoticed flips a bit in every byte of a small file:
// either reading fails, or the rows are the same, because readers of rows do
// not look at that byte (statistics, indexes).
func TestEveryFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	columns, m := event.RejectColumns(), testMeta(event.Likes, 0, 12)
	good := writeSample(t, columns, Options{PageRows: 5}, m, 12, 4)
	want := allRows(t, good, columns)
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 1 << (i % 8)
		f, err := Open(bytes.NewReader(bad), int64(len(bad)))
		if err != nil {
			continue
		}
		var rows []string
		err = ReadRows(f, columns, func(r *event.Reject) error { rows = append(rows, fmt.Sprint(*r)); return nil })
		if err == nil && !slices.Equal(rows, want) {
			t.Fatalf("byte %d of %d: other rows and no error", i, len(good))
		}
	}
}

func allRows[R any](t *testing.T, file []byte, columns []event.Column[R]) (rows []string) {
	t.Helper()
	err := ReadRows(openBytes(t, file), columns, func(r *R) error { rows = append(rows, fmt.Sprint(*r)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// rewrite replaces a file's footer by what change makes of it.
func rewrite(tb testing.TB, file []byte, change func(*parquet.FileMetaData)) []byte {
	tb.Helper()
	footer, start, err := readFooter(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		tb.Fatal(err)
	}
	change(footer)
	data, err := newThriftEncoder().encode(footer)
	if err != nil {
		tb.Fatal(err)
	}
	out := append(slices.Clone(file[:start]), data...)
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(data))), magic...)
}

func TestFooterThatContradictsItself(t *testing.T) {
	setKey := func(key, value string) func(*parquet.FileMetaData) {
		return func(m *parquet.FileMetaData) {
			for _, kv := range m.KeyValueMetadata {
				if kv.Key == keyPrefix+key {
					kv.Value = &value
				}
			}
		}
	}
	chunk := func(m *parquet.FileMetaData, column int) *parquet.ColumnMetaData {
		return m.RowGroups[0].Columns[column].MetaData
	}
	for _, c := range []struct {
		name   string
		change func(*parquet.FileMetaData)
		want   string
	}{
		{"no keys", func(m *parquet.FileMetaData) { m.KeyValueMetadata = nil }, "nothing in it says that datawriter wrote it"},
		{"another schema version", setKey("schema_version", "2"), "schema version 2 is not the 1"},
		{"an unknown kind", setKey("kind", "quotes"), `kind "quotes" is unknown`},
		{"another kind's columns", setKey("kind", "follows"), "neither those of follows"},
		{"a window that ends before it starts", setKey("window_end", "2026-11-23T10:00:00Z"), "window_start and window_end"},
		{"an ID that is none", setKey("first_id", "7"), `entry ID "7"`},
		{"a count that is none", setKey("rows", "many"), "datawriter.rows"},
		{"keys that count other rows", setKey("rows", "999"), "its keys 999"},
		{"a footer that counts other rows", func(m *parquet.FileMetaData) { m.NumRows++ }, "counts 1001 rows"},
		{"a row group of no rows", func(m *parquet.FileMetaData) { m.RowGroups[0].NumRows = 0 }, "0 rows"},
		{"a missing column chunk", func(m *parquet.FileMetaData) { m.RowGroups[0].Columns = m.RowGroups[0].Columns[1:] }, "column chunks"},
		{"a chunk of another column", func(m *parquet.FileMetaData) { chunk(m, 4).PathInSchema = []string{"did"} }, "column operation"},
		{"a chunk behind the end", func(m *parquet.FileMetaData) { chunk(m, 2).DataPageOffset = 1 << 40 }, "do not lie between"},
		{"a chunk of negative size", func(m *parquet.FileMetaData) { chunk(m, 2).TotalCompressedSize = -1 }, "do not lie between"},
		{"a chunk of other values", func(m *parquet.FileMetaData) { chunk(m, 2).NumValues-- }, "values for 700 rows"},
		{"a chunk that ends early", func(m *parquet.FileMetaData) { chunk(m, 0).TotalCompressedSize -= 5 }, "column ingested_at"},
		{"a chunk that goes on", func(m *parquet.FileMetaData) { chunk(m, 0).TotalCompressedSize += 5 }, "behind the last page"},
		{"another codec", func(m *parquet.FileMetaData) { chunk(m, 0).Codec = parquet.CompressionCodec_SNAPPY }, "decompress"},
		{"a codec nobody here writes", func(m *parquet.FileMetaData) { chunk(m, 0).Codec = parquet.CompressionCodec_GZIP }, "codec GZIP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := readAll(rewrite(t, likesFile(t), c.change))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one that says %q", err, c.want)
			}
		})
	}
}

// TestClaimsAreNotAllocated reads small files that claim to be huge.
func TestClaimsAreNotAllocated(t *testing.T) {
	page := func(h *parquet.PageHeader, body []byte) []byte {
		h.CompressedPageSize = int32(len(body))
		h.Crc = pointer(int32(crc32.ChecksumIEEE(body)))
		header, err := newThriftEncoder().encode(h)
		if err != nil {
			t.Fatal(err)
		}
		return append(slices.Clone(header), body...)
	}
	for _, c := range []struct {
		name  string
		codec parquet.CompressionCodec
		page  []byte
	}{
		{"a zstd page of 2 GB", parquet.CompressionCodec_ZSTD, page(&parquet.PageHeader{UncompressedPageSize: math.MaxInt32}, []byte("\x28\xb5\x2f\xfd\xa0\xff\xff\xff\x7f"))},
		{"a snappy page of 2 GB", parquet.CompressionCodec_SNAPPY, page(&parquet.PageHeader{UncompressedPageSize: math.MaxInt32}, []byte("\xff\xff\xff\xff\x07"))},
		{"a page longer than its chunk", parquet.CompressionCodec_UNCOMPRESSED, page(&parquet.PageHeader{UncompressedPageSize: math.MaxInt32}, nil)},
		{"a dictionary of two billion", parquet.CompressionCodec_UNCOMPRESSED, page(&parquet.PageHeader{
			Type:                 parquet.PageType_DICTIONARY_PAGE,
			DictionaryPageHeader: &parquet.DictionaryPageHeader{NumValues: math.MaxInt32},
		}, nil)},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLeaf("x", event.String, false)
			r := newChunkReader(&l, &zstdDecoder{})
			before := allocated()
			r.start(bytes.NewReader(c.page), &parquet.ColumnMetaData{Codec: c.codec, NumValues: 5, TotalCompressedSize: int64(len(c.page))})
			if _, err := r.level(); err == nil {
				t.Error("no error")
			}
			if n := allocated() - before; n > 8<<20 {
				t.Errorf("%d bytes allocated", n)
			}
		})
	}
}

func TestFooterClaimsAreNotAllocated(t *testing.T) {
	// a list of two billion schema elements
	footer := []byte{0x15, 0x02, 0x19, 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0x07}
	file := append([]byte(magic), footer...)
	file = append(binary.LittleEndian.AppendUint32(file, uint32(len(footer))), magic...)
	before := allocated()
	if err := readAll(file); err == nil {
		t.Error("no error")
	}
	if n := allocated() - before; n > 1<<20 {
		t.Errorf("%d bytes allocated", n)
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// FuzzOpen reads arbitrary bytes and damaged files.
func FuzzOpen(f *testing.F) {
	for _, codec := range codecs() {
		o := Options{Compression: codec, RowGroupRows: 3, PageRows: 2}
		f.Add(writeSample(f, event.RejectColumns(), o, testMeta(event.Likes, 0, 5), 5, 1))
		f.Add(writeSample(f, event.RowColumns(event.Posts), o, testMeta(event.Posts, 4, 0), 4, 1))
		f.Add(writeSample(f, event.RowColumns(event.Blocks), o, testMeta(event.Blocks, 0, 0), 0, 1))
	}
	f.Add([]byte("PAR1PAR1"))
	f.Fuzz(func(_ *testing.T, file []byte) { _ = readAll(file) })
}

// FuzzFooter reads a good file's pages behind a footer of arbitrary bytes.
func FuzzFooter(f *testing.F) {
	good := writeSample(f, event.RejectColumns(), Options{PageRows: 2}, testMeta(event.Likes, 0, 5), 5, 1)
	_, start, err := readFooter(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[start : len(good)-tailBytes])
	f.Fuzz(func(_ *testing.T, footer []byte) {
		file := append(slices.Clone(good[:start]), footer...)
		file = append(binary.LittleEndian.AppendUint32(file, uint32(len(footer))), magic...)
		_ = readAll(file)
	})
}

// FuzzPage reads an arbitrary page behind an intact header and checksum, in
// every encoding and for every type of column.
func FuzzPage(f *testing.F) {
	f.Add([]byte("\x03\x00\x00\x00abc"), []byte("\x01\x00\x00\x00x"), uint8(0), uint8(3), uint16(1))
	f.Add([]byte("\x02\x00\x00\x00\x06\x01\x02\x00\x00\x00\x06\x03\x01\x06\x00"), []byte("\x01\x00\x00\x00x"), uint8(2), uint8(4), uint16(3))
	encodings := []parquet.Encoding{parquet.Encoding_PLAIN, parquet.Encoding_DELTA_BINARY_PACKED, parquet.Encoding_RLE_DICTIONARY, parquet.Encoding_DELTA_BYTE_ARRAY}
	f.Fuzz(func(_ *testing.T, raw, dictionary []byte, encoding, typ uint8, levels uint16) {
		l := newLeaf("x", event.Type(typ%6), typ%2 == 0)
		e := &pageEncoder{compressor: &compressor{}, thrift: newThriftEncoder()}
		var file []byte
		if l.isText() {
			page, _ := e.seal(dictionary, &parquet.PageHeader{
				Type:                 parquet.PageType_DICTIONARY_PAGE,
				DictionaryPageHeader: &parquet.DictionaryPageHeader{NumValues: int32(len(dictionary) / 4)},
			})
			file = slices.Concat(page.header, page.body)
		}
		page, _ := e.dataPage(raw, int(levels), encodings[encoding%4])
		file = slices.Concat(file, page.header, page.body)
		readColumn(file, l, int64(levels))
	})
}

// readColumn reads a chunk as the one column of a row group.
func readColumn(file []byte, l leaf, levels int64) {
	type record struct {
		n event.Int
		s event.Text
		l event.List
	}
	columns := []event.Column[record]{{
		Name: l.name, Type: l.typ, Nullable: l.nullable,
		Int:  func(r *record) *event.Int { return &r.n },
		Text: func(r *record) *event.Text { return &r.s },
		List: func(r *record) *event.List { return &r.l },
	}}
	cells, err := newCells([]leaf{l}, columns)
	if err != nil {
		panic(err)
	}
	cells[0].chunk.start(bytes.NewReader(file), &parquet.ColumnMetaData{NumValues: levels, TotalCompressedSize: int64(len(file))})
	_ = readGroup(0, levels, cells, func(*record) error { return nil })
}
