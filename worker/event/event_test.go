package event

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

func fieldsEntry(fields ...string) Entry {
	e := Entry{ID: ID{MS: 1795428300000, Seq: 1}}
	for _, field := range fields {
		e.Fields = append(e.Fields, []byte(field))
	}
	return e
}

func TestParseID(t *testing.T) {
	tests := []struct {
		text string
		want ID
		err  string // a part of the error; "" for none
	}{
		{"1783175888218-0", ID{MS: 1783175888218}, ""},
		{"0-0", ID{}, ""},
		{"18446744073709551615-18446744073709551615", ID{MS: math.MaxUint64, Seq: math.MaxUint64}, ""},
		{"1783175888218", ID{}, "MILLISECONDS-SEQUENCE"},
		{"-5", ID{}, "invalid syntax"},
		{"5-", ID{}, "invalid syntax"},
		{"1-2-3", ID{}, "invalid syntax"},
		{"5-*", ID{}, "invalid syntax"},
		{"18446744073709551616-0", ID{}, "out of range"},
	}
	for _, test := range tests {
		id, err := ParseID(test.text)
		switch {
		case test.err == "" && (err != nil || id != test.want || id.String() != test.text):
			t.Errorf("%q: got %v, %v", test.text, id, err)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(err.Error(), test.text)):
			t.Errorf("%q: error %v does not name it and say %q", test.text, err, test.err)
		}
	}
}

func TestIDCompare(t *testing.T) {
	ascending := []ID{{}, {Seq: 1}, {Seq: math.MaxUint64}, {MS: 1}, {MS: 1, Seq: 1}, {MS: math.MaxUint64}}
	for i, a := range ascending {
		for j, b := range ascending {
			if got, want := a.Compare(b), min(1, max(-1, i-j)); got != want {
				t.Errorf("%v against %v: %d, want %d", a, b, got, want)
			}
		}
		if a.IsZero() != (i == 0) {
			t.Errorf("%v: IsZero is %t", a, a.IsZero())
		}
	}
}

func TestNamesInJSON(t *testing.T) {
	type document struct {
		ID   ID
		Kind Kind
	}
	want := document{ID{MS: 5, Seq: 6}, Follows}
	text, err := json.Marshal(want)
	if err != nil || string(text) != `{"ID":"5-6","Kind":"follows"}` {
		t.Fatalf("%s, %v", text, err)
	}
	var got document
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{`{"ID":"5"}`, `{"Kind":"lists"}`} {
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func TestEntryHash(t *testing.T) {
	tests := []struct {
		name   string
		fields []string
		want   string // what is hashed
	}{
		{"the event alone, if there is one", []string{"event", "{}"}, "{}"},
		{"the event alone, whatever stands beside it", []string{"source", "a", "event", "{}"}, "{}"},
		{"an empty event is one", []string{"event", ""}, ""},
		{"everything, if there is no event", []string{"data", "{}"}, "data{}"},
		{"everything, if there are two events", []string{"event", "a", "event", "b"}, "eventaeventb"},
		{"a value named event is no event", []string{"name", "event"}, "nameevent"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			entry := fieldsEntry(test.fields...)
			if got, want := entry.Hash(), xxhash.Sum64String(test.want); got != want {
				t.Errorf("hash %x, want %x", got, want)
			}
		})
	}
	if got := xxhash.Sum64String(""); got != 0xef46db3751d8e999 {
		t.Errorf("xxHash64 of nothing with seed 0 is %x", got)
	}
}

func TestNewReject(t *testing.T) {
	entry := fieldsEntry("event", "x", "more", "\xff")
	entry.ID.Seq = math.MaxUint64
	r := NewReject(&entry, ReasonNotJSON)
	if r.ID() != entry.ID {
		t.Errorf("ID %v, want %v", r.ID(), entry.ID)
	}
	if uint64(r.EntryHash.Value) != entry.Hash() || string(r.Reason) != "not_json" || !reflect.DeepEqual([][]byte(r.Fields), entry.Fields) {
		t.Errorf("reject %+v", r)
	}
}

func TestRejectColumns(t *testing.T) {
	var r Reject
	want := []struct {
		name  string
		field any
	}{
		{"ingested_at", &r.IngestedAt}, {"ingest_seq", &r.IngestSeq}, {"entry_hash", &r.EntryHash},
		{"reason", &r.Reason}, {"fields", &r.Fields},
	}
	for i, column := range RejectColumns() {
		field := fieldOf(t, column, &r)
		if column.Nullable || column.Name != want[i].name || field != want[i].field {
			t.Errorf("column %d is %s, nullable %t, want %s", i, column.Name, column.Nullable, want[i].name)
		}
	}
}

func TestKinds(t *testing.T) {
	for _, kind := range Kinds() {
		if got, err := ParseKind(kind.String()); got != kind || err != nil {
			t.Errorf("ParseKind(%q) = %v, %v", kind, got, err)
		}
		if got, ok := KindOfCollection(kind.Collection()); got != kind || !ok {
			t.Errorf("KindOfCollection(%q) = %v, %t", kind.Collection(), got, ok)
		}
	}
	if _, ok := KindOfCollection("app.bsky.actor.profile"); ok {
		t.Error("a profile is of no kind")
	}
	if _, err := ParseKind("Likes"); err == nil || !strings.Contains(err.Error(), `"Likes"`) || !strings.Contains(err.Error(), "posts, likes, reposts, follows, blocks") {
		t.Errorf("error %v does not name the kind and the way out", err)
	}
}

// TestColumns checks that each column has the one accessor of its type, and
// that no two columns of a kind share a name or a field.
func TestColumns(t *testing.T) {
	for _, kind := range Kinds() {
		var row Row
		names, fields := map[string]bool{}, map[any]bool{}
		for _, column := range RowColumns(kind) {
			field := fieldOf(t, column, &row)
			if names[column.Name] || fields[field] {
				t.Errorf("%s: %s is there twice", kind, column.Name)
			}
			names[column.Name], fields[field] = true, true
		}
	}
}

func fieldOf[R any](t *testing.T, column Column[R], row *R) (field any) {
	t.Helper()
	accessors := 0
	integer := slices.Contains([]Type{Int64, TimestampMillis, TimestampMicros}, column.Type)
	list := column.Type == StringList || column.Type == BinaryList
	if column.Int != nil && integer {
		field = column.Int(row)
		accessors++
	}
	if column.Text != nil && column.Type == String {
		field = column.Text(row)
		accessors++
	}
	if column.List != nil && list {
		field = column.List(row)
		accessors++
	}
	if accessors != 1 {
		t.Errorf("%s: %d accessors of its type", column.Name, accessors)
	}
	return field
}

func TestRequiredColumns(t *testing.T) {
	want := []string{"ingested_at", "ingest_seq", "event_at", "operation", "did", "rkey", "entry_hash"}
	for _, kind := range Kinds() {
		var got []string
		for _, column := range RowColumns(kind) {
			if !column.Nullable {
				got = append(got, column.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
}
