package event

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// commitEvent is an event with one placeholder, the record.
func commitEvent(kind Kind, record string) string {
	return `{"did":"did:plc:a","time_us":1795428300000000,"kind":"commit","commit":{"rev":"3n2","operation":"create","collection":"` +
		kind.Collection() + `","rkey":"3n1","record":{"$type":"` + kind.Collection() + `"` + record + `},"cid":"bafy"}}`
}

// TestRecord shows what each kind's columns hold, and when they hold it all.
func TestRecord(t *testing.T) {
	tests := []struct {
		name     string
		kind     Kind
		record   string
		want     columns // beside those of the commit
		lossless bool
	}{
		{"a like without createdAt says nothing about its time", Likes, `,"subject":{"cid":"c","uri":"u"}`, columns{"subject_uri": "u", "subject_cid": "c"}, true},
		{"a like may come by way of a repost", Likes, `,"subject":{"uri":"u"},"via":{"cid":"c","uri":"v"}`, columns{"subject_uri": "u", "via_cid": "c", "via_uri": "v"}, true},
		{"an empty string is not null", Likes, `,"subject":{"cid":"","uri":"u"}`, columns{"subject_uri": "u", "subject_cid": ""}, true},
		{"an empty subject has no column", Likes, `,"subject":{}`, columns{}, false},
		{"a subject of another type has no column", Reposts, `,"subject":"did:plc:b"`, columns{}, false},
		{"a typed reference keeps its columns and the whole event", Reposts, `,"subject":{"$type":"com.atproto.repo.strongRef","uri":"u"}`, columns{"subject_uri": "u"}, false},
		{"an explicit null is not an absent field", Reposts, `,"via":null`, columns{}, false},
		{"a follow names a DID", Follows, `,"subject":"did:plc:b","via":{"uri":"u"}`, columns{"subject_did": "did:plc:b", "via_uri": "u"}, true},
		{"a block has no via", Blocks, `,"subject":"did:plc:b","via":{"uri":"u"}`, columns{"subject_did": "did:plc:b"}, false},
		{"empty lists are not null", Posts, `,"langs":[],"tags":[""]`, columns{"langs": []string{}, "tags": []string{""}}, true},
		{"a list with a number is no list of strings", Posts, `,"langs":["en",5],"tags":["a"]`, columns{"tags": []string{"a"}}, false},
		{"a reply may know only its root", Posts, `,"reply":{"root":{"cid":"c","uri":"u"}},"text":""`, columns{"reply_root_cid": "c", "reply_root_uri": "u", "text": ""}, true},
		{"a reply with an empty parent is more than its columns", Posts, `,"reply":{"root":{"uri":"u"},"parent":{}}`, columns{"reply_root_uri": "u"}, false},
		{"an embed shows its type", Posts, `,"embed":{"images":[{"$type":"inner"}],"$type":"app.bsky.embed.images"}`, columns{"embed_type": "app.bsky.embed.images"}, false},
		{"facets have no column", Posts, `,"text":"x","facets":[]`, columns{"text": "x"}, false},
		{"of duplicates the last counts", Posts, `,"text":"a","text":"b"`, columns{"text": "b"}, false},
		{"of duplicates the last counts even if it does not fit", Posts, `,"text":"a","text":5`, columns{}, false},
		{"a duplicate object replaces all members of the first", Posts, `,"reply":{"root":{"uri":"u"}},"reply":{"parent":{"cid":"c"}}`, columns{"reply_parent_cid": "c"}, false},
		{"names may have escapes", Posts, `,"\u0074ext":"a"`, columns{"text": "a"}, true},
		{"names differ by case", Posts, `,"Text":"a"`, columns{}, false},
		{"escapes are decoded", Posts, `,"text":"\u0000\t\ud83d\ude00\/"`, columns{"text": "\x00\t😀/"}, true},
		{"a pair of surrogates is one character", Posts, `,"text":"\uD83D\ude00"`, columns{"text": "\U0001f600"}, true},
		{"an escaped backslash before u is no surrogate", Posts, `,"text":"\\ud83d"`, columns{"text": `\ud83d`}, true},
		{"a time in year 0 keeps its text alone", Blocks, `,"createdAt":"0000-01-01T00:00:00.000Z"`, columns{"created_at_raw": "0000-01-01T00:00:00.000Z"}, true},
		{"an honest U+FFFD stays", Posts, `,"text":"a\ufffdb"`, columns{"text": "a\ufffdb"}, true},
		{"an invalid date keeps its text", Blocks, `,"createdAt":"2026-02-30T00:00:00.000Z"`, columns{"created_at_raw": "2026-02-30T00:00:00.000Z"}, true},
		{"a time of another form keeps its text too", Blocks, `,"createdAt":"2026-11-23T11:05:00+01:00"`, columns{"created_at": int64(1795428300000000), "created_at_raw": "2026-11-23T11:05:00+01:00"}, true},
		{"milliseconds in UTC need no text", Blocks, `,"createdAt":"2026-11-23T10:05:00.001Z"`, columns{"created_at": int64(1795428300001000)}, true},
		{"a number is no time", Blocks, `,"createdAt":1795428300`, columns{}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			event := commitEvent(test.kind, test.record)
			for name, value := range (columns{"did": "did:plc:a", "event_at": int64(1795428300000000), "rev": "3n2", "operation": "create", "rkey": "3n1", "cid": "bafy"}) {
				test.want[name] = value
			}
			if !test.lossless {
				test.want["event_json"] = event
			}
			if got, reason := checkDecode(t, test.kind, []byte(event)); reason != "" || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s\nreason %q\ngot  %q\nwant %q", event, reason, got, test.want)
			}
		})
	}
}

// TestEnvelope changes one thing about a plain like.
func TestEnvelope(t *testing.T) {
	plainLike := commitEvent(Likes, `,"subject":{"uri":"u"}`)
	tests := []struct {
		name     string
		old, new string
		lossless bool
	}{
		{"a plain like is lossless", "", "", true},
		{"white space means nothing", ",", " ,\r\n\t", true},
		{"a cursor has a column", `"kind"`, `"cursor":-5,"kind"`, true},
		{"a cursor of 2^63 has none", `"kind"`, `"cursor":9223372036854775808,"kind"`, false},
		{"a cursor that is not written as an integer has none", `"kind"`, `"cursor":1e3,"kind"`, false},
		{"minus zero is not zero", `"kind"`, `"cursor":-0,"kind"`, false},
		{"an event without a kind is a row", `"kind":"commit",`, ``, false},
		{"an event of another kind is a row", `"kind":"commit"`, `"kind":"account"`, false},
		{"an unknown member is kept", `"kind"`, `"new":{},"kind"`, false},
		{"an unknown member of the commit is kept", `"rev"`, `"new":{},"rev"`, false},
		{"a missing rev is null", `"rev":"3n2",`, ``, true},
		{"a missing cid is null", `,"cid":"bafy"`, ``, true},
		{"a rev that is a number is kept", `"rev":"3n2"`, `"rev":3`, false},
		{"a duplicate did counts once", `"kind"`, `"did":"did:plc:a","kind"`, false},
		{"an update is a row", "create", "update", true},
		{"a delete has no record", "create", "delete", false},
		{"a record has a type", `"$type":"app.bsky.feed.like",`, ``, false},
		{"a record has the type of its collection", `{"$type":"app.bsky.feed.like"`, `{"$type":"app.bsky.feed.repost"`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			event := strings.ReplaceAll(plainLike, test.old, test.new)
			got, reason := checkDecode(t, Likes, []byte(event))
			if _, kept := got["event_json"]; reason != "" || kept == test.lossless {
				t.Errorf("%s\nreason %q, columns %q, want lossless %t", event, reason, got, test.lossless)
			}
		})
	}
}

func TestDeletesAndMissingRecords(t *testing.T) {
	commit := func(operation, rest string) string {
		return `{"did":"d","time_us":1795428300000000,"kind":"commit","commit":{"operation":"` + operation +
			`","collection":"app.bsky.graph.block","rkey":"k"` + rest + `}}`
	}
	tests := []struct {
		name     string
		event    string
		lossless bool
	}{
		{"a plain delete is lossless", commit("delete", ``), true},
		{"a delete with a cid is kept", commit("delete", `,"cid":"c"`), false},
		{"a delete with a null record is kept", commit("delete", `,"record":null`), false},
		{"a create without a record is kept", commit("create", ``), false},
		{"a create with a record that is a string is kept", commit("create", `,"record":"r"`), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, reason := checkDecode(t, Blocks, []byte(test.event))
			if _, kept := got["event_json"]; reason != "" || kept == test.lossless {
				t.Errorf("reason %q, columns %q, want lossless %t", reason, got, test.lossless)
			}
		})
	}
}

func TestReject(t *testing.T) {
	good := commitEvent(Likes, "")
	change := func(old, new string) []byte { return []byte(strings.Replace(good, old, new, 1)) }
	padded := func(size int) []byte {
		return append([]byte(good), bytes.Repeat([]byte(" "), size-len(good))...)
	}
	tests := []struct {
		name  string
		event []byte
		want  Reason
	}{
		{"an event of the greatest size is a row", padded(MaxEventBytes), ""},
		{"one byte more is too large", padded(MaxEventBytes + 1), ReasonTooLarge},
		{"Latin-1 is not UTF-8", change("did:plc:a", "did:plc:\xe9"), ReasonNotUTF8},
		{"an encoded surrogate is not UTF-8", change("did:plc:a", "\xed\xa0\x80"), ReasonNotUTF8},
		{"nothing is not JSON", nil, ReasonNotJSON},
		{"an array is no event", []byte(`[1]`), ReasonNotJSON},
		{"half an event is not JSON", []byte(good[:len(good)-1]), ReasonNotJSON},
		{"two events are not one", []byte(good + good), ReasonNotJSON},
		{"a lone high surrogate", change("did:plc:a", `a\ud83d`), ReasonText},
		{"a lone low one, in capitals", change("did:plc:a", `\uDE00a`), ReasonText},
		{"a pair the wrong way round", change("did:plc:a", `\ude00\ud83d`), ReasonText},
		{"two high ones before a low one", change("did:plc:a", `\ud83d\ud83d\ude00`), ReasonText},
		{"behind an escaped backslash", change("did:plc:a", `\\\ud83d`), ReasonText},
		{"in a value that has no column", change(`"kind"`, `"x":[{"y":["\ud83d"]}],"kind"`), ReasonText},
		{"in a name", change(`"kind"`, `"\udc00":1,"kind"`), ReasonText},
		{"in a name deep inside", change(`"kind"`, `"x":[{"a\ud800b":1}],"kind"`), ReasonText},
		{"in a value that a duplicate replaces", change(`"kind"`, `"kind":"\ud83d","kind"`), ReasonText},
		{"an unknown member must be JSON too", change(`"kind"`, `"x":[{"y":nul}],"kind"`), ReasonNotJSON},
		{"an event without did", change(`"did":"did:plc:a",`, ``), ReasonNoDID},
		{"an empty did", change(`did:plc:a`, ``), ReasonNoDID},
		{"a did that is null", change(`"did:plc:a"`, `null`), ReasonNoDID},
		{"a second did that is a number", change(`"kind"`, `"did":1,"kind"`), ReasonNoDID},
		{"an event without time_us", change(`"time_us":1795428300000000,`, ``), ReasonNoTime},
		{"a time_us that is a string", change(`1795428300000000`, `"1795428300000000"`), ReasonNoTime},
		{"a time_us that is a fraction", change(`1795428300000000`, `1795428300000000.5`), ReasonNoTime},
		{"a time_us with an exponent", change(`1795428300000000`, `17954283e8`), ReasonNoTime},
		{"a time_us beyond 64 bits", change(`1795428300000000`, `9223372036854775808`), ReasonNoTime},
		{"the last microsecond of 1999", change(`1795428300000000`, `946684799999999`), ReasonTimeOutOfRange},
		{"the first microsecond of 2000", change(`1795428300000000`, `946684800000000`), ""},
		{"the last microsecond of 2099", change(`1795428300000000`, `4102444799999999`), ""},
		{"the first microsecond of 2100", change(`1795428300000000`, `4102444800000000`), ReasonTimeOutOfRange},
		{"an identity event", []byte(`{"did":"d","time_us":1795428300000000,"kind":"identity","identity":{}}`), ReasonNoCommit},
		{"a second commit that is null", change(`,"cid":"bafy"}`, `},"commit":null`), ReasonNoCommit},
		{"an operation that nobody knows", change(`create`, `upsert`), ReasonOperation},
		{"the collection of another stream", change(`like`, `repost`), ReasonCollection},
		{"a second commit without a collection", change(`,"cid":"bafy"}`, `},"commit":{"operation":"create","rkey":"k"}`), ReasonCollection},
		{"an empty rkey", change(`3n1`, ``), ReasonNoRKey},
		{"the first reason counts", []byte(`{"time_us":"x","commit":{}}`), ReasonNoDID},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, reason := checkDecode(t, Likes, test.event); reason != test.want {
				t.Errorf("reason %q, want %q", reason, test.want)
			}
		})
	}
}

func TestRejectWithoutEvent(t *testing.T) {
	tests := []struct {
		name   string
		fields []string
	}{
		{"an entry without the field", []string{"data", "{}"}},
		{"an entry with two of the field", []string{"event", "{}", "event", "{}"}},
		{"an entry without fields", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var d Decoder
			var row Row
			entry := fieldsEntry(test.fields...)
			if reason := d.Decode(Likes, &entry, &row); reason != ReasonNoEvent {
				t.Errorf("reason %q", reason)
			}
		})
	}
}

// TestReuse decodes everything with one Decoder into one Row: no event may
// leave traces in the next one's row.
func TestReuse(t *testing.T) {
	var d Decoder
	var row Row
	for i, event := range oddEvents() {
		for _, kind := range AllKinds() {
			checkReuse(t, &d, &row, kind, []byte(event))
			all := samples(t, kind)
			checkReuse(t, &d, &row, kind, all[i%len(all)])
		}
	}
}

// plainSamples returns the samples that need no event_json.
func plainSamples(tb testing.TB, kind Kind) []Entry {
	var d Decoder
	var row Row
	var entries []Entry
	for _, event := range samples(tb, kind) {
		entry := entryOf(event)
		if reason := d.Decode(kind, &entry, &row); reason == "" && row.EventJSON == nil {
			entries = append(entries, entry)
		}
	}
	if len(entries) == 0 {
		tb.Fatalf("no plain event among the samples of %s", kind)
	}
	return entries
}

func TestPlainEventsAllocateNothing(t *testing.T) {
	for _, kind := range Kinds() {
		var d Decoder
		var row Row
		for _, entry := range plainSamples(t, kind) {
			if allocs := testing.AllocsPerRun(100, func() { d.Decode(kind, &entry, &row) }); allocs != 0 {
				t.Errorf("%s: %v allocations for %s", kind, allocs, entry.Fields[1])
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, kind := range Kinds() {
		b.Run(kind.String(), func(b *testing.B) {
			entries := plainSamples(b, kind)
			var d Decoder
			var row Row
			b.ReportAllocs()
			for i := range b.N {
				d.Decode(kind, &entries[i%len(entries)], &row)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	var d Decoder
	var row Row
	entry := plainSamples(b, Likes)[0]
	d.Decode(Likes, &entry, &row)
	var event []byte
	b.ReportAllocs()
	for range b.N {
		event = AppendEvent(event[:0], Likes, &row)
	}
}
