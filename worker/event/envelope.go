package event

import "unicode/utf8"

// Envelope is what identifies an event of Jetstream and says where it belongs,
// read without decoding its record. Its slices are valid until the Envelopes
// that read it reads the next one, and as long as the text it came from.
type Envelope struct {
	Class      Text // commit, identity, account or sync; empty when the event has none
	DID        Text
	TimeUS     Int
	Cursor     Int // the number that newer servers give each event
	Operation  Text
	Collection Text
	RKey       Text
	Rev        Text
	Body       []byte // the object of an identity, account or sync event, as it is written
	JSON       []byte // the event as a stream entry holds it
}

// Kind returns the kind in whose stream the event belongs.
func (e *Envelope) Kind() (Kind, bool) { return KindOfCollection(string(e.Collection)) }

// Envelopes reads envelopes. The zero value is ready for use; one serves one
// goroutine.
type Envelopes struct {
	scanner
	built []byte // the JSON of an event that came in another shape
}

// Read reads an event of Jetstream's first wire, which is what stream entries
// hold: JSON is the text itself. ok is false unless it is one JSON object in
// UTF-8.
func (r *Envelopes) Read(text []byte) (e Envelope, ok bool) {
	if !r.begin(text) {
		return e, false
	}
	e.JSON = text
	for r.open(); r.nextMember(); {
		switch string(r.key) {
		case "did":
			e.DID = r.word()
		case "time_us":
			e.TimeUS = r.integer()
		case "cursor":
			e.Cursor = r.integer()
		case "kind":
			e.Class = r.word()
		case "commit":
			r.commit(&e)
		case "identity", "account", "sync":
			e.Body = r.raw()
		default:
			r.skip()
		}
	}
	return e, !r.failed && r.atEnd()
}

// raw consumes a value and returns it as it is written.
func (r *Envelopes) raw() []byte {
	r.peek()
	begin := r.pos
	if r.skip(); r.failed {
		return nil
	}
	return r.data[begin:r.pos]
}

// Members calls each with the names and values of an object, the values as they
// are written, and reports whether the text is one object. Calls may have been
// made when it is not.
func (r *Envelopes) Members(text []byte, each func(name, value []byte)) bool {
	if !r.begin(text) {
		return false
	}
	for r.open(); r.nextMember(); {
		name := r.key
		if value := r.raw(); !r.failed {
			each(name, value)
		}
	}
	return !r.failed && r.atEnd()
}

// begin starts on a text and reports whether it can be one object.
func (r *Envelopes) begin(text []byte) bool {
	r.start(text)
	return utf8.Valid(text) && r.peek() == '{'
}

// enter opens an object and returns true, or skips any other value.
func (r *Envelopes) enter() bool {
	if r.peek() != '{' {
		r.skip()
		return false
	}
	r.open()
	return true
}

// commit reads the members of a commit that identify it.
func (r *Envelopes) commit(e *Envelope) {
	if !r.enter() {
		return
	}
	for r.nextMember() {
		if field := e.commitField(r.key); field != nil {
			*field = r.word()
			continue
		}
		r.skip()
	}
}

// commitField returns the field of a commit's member, or nil.
func (e *Envelope) commitField(name []byte) *Text {
	switch string(name) {
	case "rev":
		return &e.Rev
	case "operation":
		return &e.Operation
	case "collection":
		return &e.Collection
	case "rkey":
		return &e.RKey
	}
	return nil
}

// word reads a string, and returns nil for any other value.
func (r *Envelopes) word() Text {
	if r.peek() != '"' {
		r.skip()
		return nil
	}
	return r.text()
}

// integer reads a 64-bit integer, and returns null for any other value.
func (r *Envelopes) integer() Int {
	if c := r.peek(); c != '-' && (c < '0' || c > '9') {
		r.skip()
		return Int{}
	}
	value, ok := parseInt(r.number())
	return Int{Value: value, Valid: ok}
}
