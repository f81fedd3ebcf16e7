package ingest

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"datawriter/worker/event"
)

// identity stands for (did, collection, rkey, rev, operation) of an event: 128
// bits of hash, so that no two events are ever taken for one.
type identity struct{ a, b uint64 }

const identityBytes = 16

// identify returns the identity of an event, and of the whole text where it
// lacks what identifies a commit: such a one is dropped only if it comes again
// byte for byte.
func identify(e *event.Envelope, scratch []byte) (identity, []byte) {
	parts := [][]byte{e.DID, e.Collection, e.RKey, e.Rev, e.Operation}
	scratch = scratch[:0]
	for _, part := range parts {
		if len(part) == 0 {
			scratch = append(scratch[:0], e.JSON...)
			break
		}
		scratch = append(scratch, part...)
		scratch = append(scratch, 0)
	}
	id := identity{a: xxhash.Sum64(scratch)}
	scratch = append(scratch, "second half"...)
	id.b = xxhash.Sum64(scratch)
	return id, scratch
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

// forget drops the oldest blobs whose events are all older than us, and more
// where more than most events would be left, but never more than a command
// should touch. It returns how many blobs, and how many events in those that are
// not old: should these come again, they are taken for new.
func (s *seen) forget(us int64, most int) (blobs, early int) {
	n := 0
	for n < len(s.blobs) && n < maxForget {
		old := s.blobs[n].newest < us
		if !old && len(s.connections) <= most {
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
