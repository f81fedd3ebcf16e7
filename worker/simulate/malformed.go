package simulate

import (
	"bytes"

	"datawriter/worker/event"
)

// defect turns a well-formed event into the fields of an entry that must be
// rejected for one reason. The event is the defect's own to change.
type defect struct {
	reason event.Reason
	spoil  func(g *Generator, kind event.Kind, ev []byte) [][]byte
}

// defects: every reason but too_large, whose entries would drown the others.
var defects = []defect{
	{event.ReasonNoEvent, spoilFields},
	{event.ReasonNotUTF8, spoilUTF8},
	{event.ReasonNotJSON, spoilJSON},
	{event.ReasonNoDID, replaceMember("did", ``, `"did":"",`, `"did":null,`, `"did":7,`)},
	{event.ReasonNoTime, replaceMember("time_us", ``, `"time_us":null,`, `"time_us":"1783175888218287",`, `"time_us":99999999999999999999,`)},
	{event.ReasonTimeOutOfRange, replaceMember("time_us", `"time_us":0,`, `"time_us":-1,`, `"time_us":946684799999999,`, `"time_us":4102444800000000,`)},
	{event.ReasonNoCommit, spoilCommit},
	{event.ReasonOperation, replaceMember("operation", ``, `"operation":"",`, `"operation":"upsert",`, `"operation":null,`)},
	{event.ReasonCollection, spoilCollection},
	{event.ReasonNoRKey, spoilRKey},
}

var eventField = []byte(event.FieldName)

// Entry returns the fields of an entry of a kind: a well-formed event, or in
// the malformed share of cases something that must be rejected for the reason
// returned. Both are made in arena, which is returned as it has grown; fields
// are valid as long as what the arena held stays untouched.
func (g *Generator) Entry(arena []byte, kind event.Kind, us int64) (grown []byte, fields [][]byte, reason event.Reason) {
	start := len(arena)
	arena = g.Append(arena, kind, us)
	ev := arena[start:len(arena):len(arena)]
	if g.malformed > 0 && g.likely(g.malformed) {
		fields, reason = g.spoil(kind, ev)
		return arena, fields, reason
	}
	return arena, [][]byte{eventField, ev}, ""
}

func (g *Generator) spoil(kind event.Kind, ev []byte) ([][]byte, event.Reason) {
	d := &defects[g.rng.IntN(len(defects))]
	return d.spoil(g, kind, bytes.Clone(ev)), d.reason
}

func one(ev []byte) [][]byte { return [][]byte{eventField, ev} }

func spoilFields(g *Generator, _ event.Kind, ev []byte) [][]byte {
	switch g.rng.IntN(3) {
	case 0:
		return [][]byte{[]byte("payload"), ev}
	case 1:
		return [][]byte{eventField, ev, eventField, ev}
	}
	return [][]byte{[]byte("Event"), ev, []byte("source"), []byte("simulate")}
}

func spoilUTF8(g *Generator, _ event.Kind, ev []byte) [][]byte {
	wrong := []string{"\xff", "\xc3", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80"}
	at := len(`{"did":"`) // within a string, so that only the encoding is wrong
	return one(append(append(bytes.Clone(ev[:at]), g.among(wrong)...), ev[at:]...))
}

func spoilJSON(g *Generator, _ event.Kind, ev []byte) [][]byte {
	switch g.rng.IntN(6) {
	case 0: // cut off, within the ASCII of the envelope
		return one(ev[:1+g.rng.IntN(100)])
	case 1:
		return one(nil)
	case 2:
		return one([]byte("not json"))
	case 3:
		return one(append(append([]byte{'['}, ev...), ']'))
	case 4:
		return one(append(ev, '}'))
	}
	return one(append(ev, ev...))
}

func spoilCommit(g *Generator, _ event.Kind, ev []byte) [][]byte {
	start := bytes.Index(ev, []byte(`,"commit":`))
	endings := []string{`}`, `,"commit":null}`, `,"commit":[]}`, `,"commit":"create"}`,
		`,"identity":{"seq":31527015470,"time":"2026-07-04T14:38:07.877Z"}}`}
	return one(append(ev[:start], g.among(endings)...))
}

func spoilCollection(g *Generator, kind event.Kind, ev []byte) [][]byte {
	others := []string{``, `"collection":"app.bsky.actor.profile",`, `"collection":"app.bsky.feed.posts",`, `"collection":3,`,
		`"collection":"` + event.Kind((int(kind)+1)%len(recipes)).Collection() + `",`}
	return replaceMember("collection", others...)(g, kind, ev)
}

// spoilRKey also serves deletes, whose rkey is the last member of the commit.
func spoilRKey(g *Generator, kind event.Kind, ev []byte) [][]byte {
	if bytes.HasSuffix(ev, []byte(`"}}`)) && !bytes.Contains(ev, []byte(`"record":`)) {
		ev = append(ev[:len(ev)-2], `,"cid":null}}`...)
	}
	return replaceMember("rkey", ``, `"rkey":"",`, `"rkey":null,`, `"rkey":["3mptbypr6ns2x"],`)(g, kind, ev)
}

// replaceMember returns a spoil that replaces the first member of that name,
// its comma included, by one of the texts. In the envelope no value before the
// record holds a comma.
func replaceMember(name string, by ...string) func(*Generator, event.Kind, []byte) [][]byte {
	opening := []byte(`"` + name + `":`)
	return func(g *Generator, _ event.Kind, ev []byte) [][]byte {
		start := bytes.Index(ev, opening)
		length := bytes.IndexByte(ev[start:], ',') + 1
		tail := bytes.Clone(ev[start+length:])
		return one(append(append(ev[:start], g.among(by)...), tail...))
	}
}
