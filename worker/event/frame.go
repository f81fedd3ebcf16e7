package event

import (
	"bytes"
	"slices"
)

// Frame is one message of Jetstream's second wire (the xrpc.v1.json framing of
// network.bsky.jetstream.subscribeEvents): an event, a notice about the stream,
// or the error that ends it.
type Frame struct {
	Event    Envelope // with its JSON in the shape of the first wire
	HasEvent bool
	Name     string // of a notice or an error
	Message  string
	Fatal    bool // an error: the server closes the stream behind it
}

// commitMembers are the members of a payload that the first wire has below
// commit, in its order.
var commitMembers = [...]string{"rev", "operation", "collection", "rkey", "record", "cid"}

// payload is what a frame holds, its values as they are written.
type payload struct {
	commit [len(commitMembers)][]byte
	rest   []member // what this version of the wire does not name
}

type member struct{ name, value []byte }

// ReadFrame reads a frame and puts its event into the shape that stream entries
// have, whichever wire it came by: the payload's members move below commit, its
// seq is the cursor, its time becomes time_us, and values stay as they are
// written. ok is false unless the text is such a frame.
func (r *Envelopes) ReadFrame(text []byte) (f Frame, ok bool) {
	if !r.begin(text) {
		return f, false
	}
	var frameType Text
	message := false
	for r.open(); r.nextMember(); {
		switch string(r.key) {
		case "$type":
			frameType = r.word()
		case "error":
			f.Name = string(r.word())
		case "message":
			f.Message = string(r.word())
		case "payload":
			message = r.payload(&f)
		default:
			r.skip()
		}
	}
	f.Fatal = string(frameType) == "error"
	return f, !r.failed && r.atEnd() && (f.Fatal || message)
}

// payload reads the message inside a frame.
func (r *Envelopes) payload(f *Frame) bool {
	if !r.enter() {
		return false
	}
	var p payload
	e := &f.Event
	for r.nextMember() {
		switch string(r.key) {
		case "$type":
			e.Class = fragment(r.word())
		case "did":
			e.DID = r.word()
		case "seq":
			e.Cursor = r.integer()
		case "time":
			e.TimeUS = r.moment()
		case "name":
			f.Name = string(r.word())
		case "message":
			f.Message = string(r.word())
		default:
			r.keep(&p, e)
		}
	}
	f.HasEvent = len(e.DID) > 0 && e.TimeUS.Valid && !r.failed
	if f.HasEvent {
		e.JSON = r.build(e, &p)
	}
	return f.HasEvent || f.Name != ""
}

// keep reads a value as it is written, and what identifies a commit also as text.
func (r *Envelopes) keep(p *payload, e *Envelope) {
	name, field := r.key, e.commitField(r.key)
	r.peek()
	begin := r.pos
	if field != nil {
		*field = r.word()
	} else {
		r.skip()
	}
	if r.failed {
		return
	}
	value := r.data[begin:r.pos]
	if at := slices.Index(commitMembers[:], string(name)); at >= 0 {
		p.commit[at] = value
		return
	}
	if string(name) == string(e.Class) {
		e.Body = value
	}
	p.rest = append(p.rest, member{name, value})
}

// build writes the event as the first wire would have sent it.
func (r *Envelopes) build(e *Envelope, p *payload) []byte {
	dst := r.built[:0]
	dst = append(dst, '{')
	dst = appendText(dst, "did", e.DID)
	dst = appendInt(dst, "time_us", e.TimeUS)
	dst = appendInt(dst, "cursor", e.Cursor)
	dst = appendText(dst, "kind", e.Class)
	if string(e.Class) == "commit" {
		dst = appendName(dst, "commit")
		dst = append(dst, '{')
		for i, value := range p.commit {
			if value != nil {
				dst = append(appendName(dst, commitMembers[i]), value...)
			}
		}
		dst = append(dst, '}')
	}
	for _, m := range p.rest {
		dst = append(appendQuotedName(dst, m.name), m.value...)
	}
	dst = append(dst, '}')
	r.built = dst
	return dst
}

// appendQuotedName appends a name that came from outside.
func appendQuotedName(dst, name []byte) []byte {
	return append(appendString(appendComma(dst), name), ':')
}

// fragment returns what stands behind the # of a type's name.
func fragment(name Text) Text {
	if at := bytes.LastIndexByte(name, '#'); at >= 0 {
		return name[at+1:]
	}
	return name
}

// moment reads an RFC 3339 time in microseconds.
func (r *Envelopes) moment() Int {
	us, ok := parseTime(r.word())
	return Int{Value: us, Valid: ok}
}
