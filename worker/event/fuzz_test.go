package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// entryOf is an entry as every producer writes it.
func entryOf(event []byte) Entry {
	return Entry{ID: ID{MS: 1795428300000, Seq: 7}, Fields: [][]byte{[]byte(FieldName), event}}
}

// checkDecode compares Decode with the reference on one event, and the event
// that AppendEvent makes of the row with the one it came from. It returns the
// row's columns, those of the entry left out.
func checkDecode(tb testing.TB, kind Kind, event []byte) (columns, Reason) {
	tb.Helper()
	var d Decoder
	var row Row
	return checkReuse(tb, &d, &row, kind, event)
}

func checkReuse(tb testing.TB, d *Decoder, row *Row, kind Kind, event []byte) (columns, Reason) {
	tb.Helper()
	entry := entryOf(event)
	want, wantReason := referenceDecode(tb, kind, event)
	reason := d.Decode(kind, &entry, row)
	if reason != wantReason {
		tb.Fatalf("%s %q\nreason %q, want %q", kind, event, reason, wantReason)
	}
	if reason != "" {
		return nil, reason
	}
	got := columnsOf(kind, row)
	checkIdentity(tb, &entry, got)
	if !reflect.DeepEqual(got, want) {
		tb.Fatalf("%s %q\ngot  %q\nwant %q", kind, event, got, want)
	}
	checkRebuilt(tb, kind, row, event)
	return got, ""
}

// checkIdentity checks the columns that the entry fills, and drops them.
func checkIdentity(tb testing.TB, entry *Entry, got columns) {
	tb.Helper()
	for name, want := range map[string]uint64{"ingested_at": entry.ID.MS, "ingest_seq": entry.ID.Seq, "entry_hash": entry.Hash()} {
		if got[name] != int64(want) {
			tb.Fatalf("%s is %v, want %d", name, got[name], int64(want))
		}
		delete(got, name)
	}
}

func checkRebuilt(tb testing.TB, kind Kind, row *Row, event []byte) {
	tb.Helper()
	rebuilt := AppendEvent(nil, kind, row)
	if row.EventJSON != nil {
		if !bytes.Equal(rebuilt, event) {
			tb.Fatalf("%s %q\nrebuilt %q", kind, event, rebuilt)
		}
		return
	}
	if !json.Valid(rebuilt) || !equal(parseJSON(tb, rebuilt), parseJSON(tb, event)) {
		tb.Fatalf("%s %q\nrebuilt %q", kind, event, rebuilt)
	}
}

// oddEvents are inputs at the edges of JSON and of every rule of the schema.
func oddEvents() []string {
	event := func(record string) string {
		return `{"did":"did:plc:a","time_us":1795428300000000,"kind":"commit","commit":{"rev":"r","operation":"create",` +
			`"collection":"app.bsky.feed.post","rkey":"k","record":{"$type":"app.bsky.feed.post",` + record + `},"cid":"c"}}`
	}
	like := func(record string) string {
		return strings.ReplaceAll(event(record), "app.bsky.feed.post", "app.bsky.feed.like")
	}
	odd := []string{
		"", " ", "null", "[]", `"x"`, "{", "{}", "{} x", "\ufeff{}", "{}\x00", `{"a":tru}`, `{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":1e}`, `{"a":[1,]}`, `{"a":1,}`,
		`{"did":""}`, `{"did":1,"time_us":1}`, `{"did":"d","time_us":1e15}`, `{"did":"d","time_us":-0}`, `{"did":"d","time_us":9223372036854775808}`,
		`{"did":"d","time_us":1}`, `{"did":"d","time_us":946684800000000}`, `{"did":"d","time_us":4102444800000000,"commit":{}}`,
		`{"did":"d","time_us":1795428300000000,"commit":null}`, `{"did":"d","time_us":1795428300000000,"commit":{"operation":"create","collection":"app.bsky.feed.like","rkey":""}}`,
		event(`"text":"\ud83d\ude00 \ud800 \udc00\ud800 \ud800\ud800\udc00 \ud800\u0041 \ufffd \uFFFD ` + "\ufffd" + `"`),
		event(`"text":"\"\\\/\b\f\n\r\t\u0000\u001f\u007f\u2028"`), event(`"text":"\u00zz"`), event(`"text":"\ud800\u00"`), event("\"text\":\"\x01\""), event(`"text":"\x"`),
		event(`"text":"a","text":"b"`), event(`"t\u0065xt":"escaped name"`), event(`"text":"a","t\u0065xt":null`), event(`"\ud800":1`),
		event(`"createdAt":"2026-11-23T10:05:00.123Z"`), event(`"createdAt":"2026-02-29T10:05:00.123Z"`), event(`"createdAt":"2026-11-23T10:05:60.123Z"`), event(`"createdAt":"0000-01-01T00:00:00.000Z"`),
		event(`"createdAt":"2026-11-23T10:05:00.123456789+05:30"`), event(`"createdAt":"1969-12-31T23:59:59.9999999-00:00"`), event(`"createdAt":"2026-11-23 10:05:00Z"`), event(`"createdAt":5,"createdAt":"x"`),
		event(`"langs":[],"tags":["a",null]`), event(`"langs":["en"],"langs":["de","\ud800"],"tags":{}`), event(`"langs":[["en"]]`),
		event(`"reply":{}`), event(`"reply":{"root":{},"parent":{"uri":"u"}}`), event(`"reply":{"root":{"uri":"u","cid":"c"},"root":{"cid":"d"}}`), event(`"reply":{"root":{"uri":"u"}},"reply":[]`), event(`"reply":null`),
		event(`"embed":{"$type":"t","x":[{"y":1.5e300}]}`), event(`"embed":{"$type":5}`), event(`"embed":[]`), event(`"embed":{"$type":"a"},"embed":{"$type":"b","$type":"c"}`),
		like(`"subject":{"cid":"c","uri":"u"},"via":{"cid":"c","uri":"u"}`), like(`"subject":"did"`), like(`"subject":{"uri":"u","cid":5}`), like(`"via":{}`),
		strings.Replace(event(`"text":"x"`), `"kind":"commit"`, `"cursor":-9223372036854775808`, 1), strings.Replace(event(`"text":"x"`), `"kind"`, `"cursor":1.0,"kind"`, 1),
		strings.Replace(event(`"text":"x"`), `"create"`, `"delete"`, 1), strings.Replace(event(`"text":"x"`), `"did"`, `"commit":{"rkey":"first","record":{"text":"first"}},"did"`, 1),
		strings.Replace(event(`"text":"x"`), `"cid"`, `"record":{"$type":"app.bsky.feed.post"},"cid"`, 1),
	}
	for _, depth := range []int{maxDepth - 4, maxDepth - 3, maxDepth - 2} { // below event, commit, record
		odd = append(odd, event(`"x":`+strings.Repeat("[", depth)+strings.Repeat("]", depth)))
	}
	return odd
}

func FuzzDecode(f *testing.F) {
	for _, event := range oddEvents() {
		f.Add([]byte(event))
	}
	f.Add([]byte("{\"did\":\"\xff\"}"))
	for _, kind := range AllKinds() {
		for _, event := range samples(f, kind) {
			f.Add(event)
		}
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		var d Decoder
		var row Row
		for _, kind := range AllKinds() {
			checkReuse(t, &d, &row, kind, event)
		}
	})
}

// FuzzRebuild goes the other way: a row of arbitrary strings becomes valid
// JSON, and the same row again.
func FuzzRebuild(f *testing.F) {
	f.Add(uint8(0), uint32(1<<32-1), int64(1795428300123456), "did:plc:a", "a \"quoted\" \\ \x00\x1f\u2028\ufffd😀", "2026-11-23T10:05:00.123Z")
	f.Add(uint8(1), uint32(0), int64(-1), "\xff\xc3", "", "2026-11-23T10:05:00+01:00")
	f.Add(uint8(13), uint32(0x5555), int64(0), "x", "\xed\xa0\x80", "yesterday")
	f.Fuzz(func(t *testing.T, which uint8, present uint32, number int64, did, text, createdAt string) {
		kind := Kinds()[int(which)%len(Kinds())]
		row := rowOf(kind, present, number, did, text, createdAt)
		rebuilt := AppendEvent(nil, kind, &row)
		if !json.Valid(rebuilt) || !utf8.Valid(rebuilt) {
			t.Fatalf("rebuilt %q", rebuilt)
		}
		if !utf8.ValidString(did) || !utf8.ValidString(text) || !utf8.ValidString(createdAt) {
			return
		}
		got, reason := checkDecode(t, kind, rebuilt)
		if want := columnsOf(kind, &row); reason != "" || !reflect.DeepEqual(got, want) {
			t.Fatalf("rebuilt %q\nreason %q\ngot  %q\nwant %q", rebuilt, reason, got, want)
		}
	})
}

// rowOf returns a lossless row; present says bit by bit which nullable columns
// have a value.
func rowOf(kind Kind, present uint32, number int64, did, text, createdAt string) Row {
	row := Row{EventAt: Some(MinTimeUS), Operation: Text("update"), DID: Text("did:" + did), RKey: Text("k" + text)}
	if number%5 == 0 {
		row.Operation = Text("delete")
	}
	for i, column := range RowColumns(kind) {
		bit := present>>i&1 == 1
		record := i >= len(leadingColumns) || column.Name == "cid"
		if !column.Nullable || !bit || record && string(row.Operation) == "delete" {
			continue
		}
		switch column.Name {
		case "event_json", "embed_type", "created_at", "created_at_raw":
		case "cursor":
			row.Cursor = Some(number)
		case "langs", "tags":
			*column.List(&row) = append(List{}, bytes.SplitAfter([]byte(text), []byte("a"))[number&1:]...)
		default:
			*column.Text(&row) = append(Text{}, fmt.Sprintf("%s%d", text, i)...)
		}
	}
	if present>>31 == 1 && string(row.Operation) != "delete" {
		c := columns{}
		c.takeTime(createdAt)
		fillTime(&row, c)
	}
	return row
}

func fillTime(row *Row, c columns) {
	if at, ok := c["created_at"]; ok {
		row.CreatedAt = Some(at.(int64))
	}
	if raw, ok := c["created_at_raw"]; ok {
		row.CreatedAtRaw = append(Text{}, raw.(string)...)
	}
}
