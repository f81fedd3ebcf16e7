package ingest

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"

	"datawriter/worker/event"
)

// identity stands for an event, in 128 bits of hash, so that no two events are
// ever taken for one: for (did, collection, rkey, rev, operation) of a commit.
// Events of the other classes are what their object says, in any order of its
// members: a server that was killed gives them another number and another time
// when it sends them again.
type identity struct{ a, b uint64 }

const identityBytes = 16

// second makes the other half of an identity another hash of the same text.
const second = "second half"

// identifier computes identities. One serves one goroutine.
type identifier struct {
	scratch []byte
	members event.Envelopes
}

// of returns the identity of an event, and of the whole text where it lacks what
// identifies it: such a one is dropped only if it comes again byte for byte.
func (i *identifier) of(e *event.Envelope) identity {
	if len(e.Body) > 0 {
		if id, ok := i.ofBody(e); ok {
			return id
		}
		return i.hash(append(i.scratch[:0], e.JSON...))
	}
	text := i.scratch[:0]
	for _, part := range [...][]byte{e.DID, e.Collection, e.RKey, e.Rev, e.Operation} {
		if len(part) == 0 {
			return i.hash(append(text[:0], e.JSON...))
		}
		text = append(append(text, part...), 0)
	}
	return i.hash(text)
}

// ofBody adds the hashes of the members, so that their order does not count.
func (i *identifier) ofBody(e *event.Envelope) (sum identity, ok bool) {
	add := func(name, value []byte) {
		if string(name) == "$type" {
			return
		}
		id := i.hash(append(append(append(i.scratch[:0], name...), 0), value...))
		sum.a, sum.b = sum.a+id.a, sum.b+id.b
	}
	ok = i.members.Members(e.Body, add)
	add(e.Class, e.DID)
	return sum, ok
}

func (i *identifier) hash(text []byte) (id identity) {
	id.a = xxhash.Sum64(text)
	text = append(text, second...)
	id.b = xxhash.Sum64(text)
	i.scratch = text
	return id
}

// blob is the identities that one batch added to a stream, as Redis keeps them:
// the highest time and the number of the connection, then 16 bytes each.
type blob struct {
	newest     int64 // microseconds
	connection int64
	ids        []identity
}

const blobHeader = 16

func (b *blob) bytes() []byte {
	if len(b.ids) == 0 {
		return nil
	}
	out := make([]byte, 0, blobHeader+identityBytes*len(b.ids))
	out = binary.LittleEndian.AppendUint64(out, uint64(b.newest))
	out = binary.LittleEndian.AppendUint64(out, uint64(b.connection))
	for _, id := range b.ids {
		out = binary.LittleEndian.AppendUint64(out, id.a)
		out = binary.LittleEndian.AppendUint64(out, id.b)
	}
	return out
}

func parseBlob(text []byte) (b blob, err error) {
	if len(text) < blobHeader || (len(text)-blobHeader)%identityBytes != 0 {
		return b, fmt.Errorf("what redis holds as seen has %d bytes, which no version of datawriter writes", len(text))
	}
	b.newest = int64(binary.LittleEndian.Uint64(text))
	b.connection = int64(binary.LittleEndian.Uint64(text[8:]))
	for rest := text[blobHeader:]; len(rest) > 0; rest = rest[identityBytes:] {
		b.ids = append(b.ids, identity{binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])})
	}
	return b, nil
}

// seen is what one stream was lately given: in memory what Redis holds, blob by
// blob.
type seen struct {
	connections map[identity]int64 // the connection that brought each
	blobs       []blob             // oldest first
}

func newSeen() *seen { return &seen{connections: make(map[identity]int64)} }

func (s *seen) load(texts [][]byte) error {
	*s = *newSeen()
	for _, text := range texts {
		b, err := parseBlob(text)
		if err != nil {
			return err
		}
		for _, id := range b.ids {
			s.connections[id] = b.connection
		}
		s.blobs = append(s.blobs, b)
	}
	return nil
}

// has reports whether the stream was given the event, and by which connection.
func (s *seen) has(id identity) (connection int64, ok bool) {
	connection, ok = s.connections[id]
	return connection, ok
}

// add notes an event of the batch that keep will close.
func (s *seen) add(id identity, connection int64) { s.connections[id] = connection }

// keep appends the identities of a batch.
func (s *seen) keep(b blob) {
	if len(b.ids) > 0 {
		s.blobs = append(s.blobs, b)
	}
}

// forget drops the oldest blobs whose events are all older than us, as long as
// least events are left, and more where more than most would be left, but never
// more than a command should touch. It returns how many blobs, and how many
// events in those that are not old: should these come again, they are taken for
// new.
func (s *seen) forget(us int64, least, most int) (blobs, early int) {
	n := 0
	for n < len(s.blobs) && n < maxForget {
		old := s.blobs[n].newest < us
		if spare := len(s.connections) - len(s.blobs[n].ids); (!old || spare < least) && len(s.connections) <= most {
			break
		}
		for _, id := range s.blobs[n].ids {
			delete(s.connections, id)
		}
		if !old {
			early += len(s.blobs[n].ids)
		}
		n++
	}
	if n > 0 {
		s.blobs = append(s.blobs[:0:0], s.blobs[n:]...) // so that what is dropped is free
	}
	return n, early
}

const maxForget = 1000

func (s *seen) len() int { return len(s.connections) }

// since returns the time from which on every event is remembered, in
// microseconds.
func (s *seen) since() int64 {
	if len(s.blobs) == 0 {
		return math.MaxInt64
	}
	return s.blobs[0].newest
}
