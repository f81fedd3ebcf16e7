package stream

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
)

// Page is one reply's worth of entries. Its memory is reused by the next read
// into it, so entries are valid until then.
type Page struct {
	Entries []event.Entry
	Bytes   int // size of the reply
	Largest int // size of its largest entry

	reply  []byte
	fields [][]byte
}

// errReply is a reply whose shape contradicts the RESP2 of Redis Streams.
var errReply = errors.New("malformed reply of redis")

// load parses a reply of XRANGE (an array of entries) or of XREADGROUP (an
// array of one stream: its name and its entries; nil when there are none).
// Entries alias the reply.
func (p *Page) load(reply []byte, wrapped bool) error {
	p.Entries, p.fields = p.Entries[:0], p.fields[:0]
	p.Bytes, p.Largest = len(reply), 0
	in := respReader{rest: reply}
	if wrapped {
		n, ok := in.array()
		if !ok || n == 0 {
			return in.end()
		}
		if n != 1 {
			return in.fail("one stream")
		}
		if n, _ := in.array(); n != 2 {
			return in.fail("a stream's name and entries")
		}
		in.bulk()
	}
	n, _ := in.array()
	for range n {
		before := len(in.rest)
		p.entry(&in)
		if in.err != nil {
			break
		}
		p.Largest = max(p.Largest, before-len(in.rest))
	}
	return in.end()
}

// Prepare makes room for a reply of that many bytes, so that it need not be copied
// while it arrives.
func (p *Page) Prepare(bytes int) {
	if bytes += leastRead; cap(p.reply) < bytes {
		*p = Page{Entries: p.Entries[:0], fields: p.fields[:0], reply: make([]byte, 0, bytes)}
	}
}

// Shrink gives the page's memory back if that is more than so many bytes. Its
// entries are gone then.
func (p *Page) Shrink(most int) {
	if cap(p.reply) > most {
		*p = Page{}
	}
}

// entry parses [ID, [name, value, ...]]. An entry that was deleted while it
// was pending has nil for its fields; the reads of this package never ask for
// such.
func (p *Page) entry(in *respReader) {
	if n, _ := in.array(); n != 2 {
		_ = in.fail("an entry of two parts")
		return
	}
	id, err := parseIDBytes(in.bulk())
	if err != nil {
		_ = in.fail(err.Error())
		return
	}
	n, _ := in.array()
	from := len(p.fields)
	for range n {
		p.fields = append(p.fields, in.bulk())
		if in.err != nil {
			return
		}
	}
	// A full slice expression: growing p.fields later must not reach into
	// entries that were cut from it before.
	p.Entries = append(p.Entries, event.Entry{ID: id, Fields: p.fields[from:len(p.fields):len(p.fields)]})
}

// respReader walks over one RESP2 reply. After the first error it yields zero values.
type respReader struct {
	rest []byte
	err  error
}

// line returns the next line, without its type byte, when that is as wanted.
func (r *respReader) line(want byte) []byte {
	if r.err != nil {
		return nil
	}
	line, rest, ok := bytes.Cut(r.rest, []byte("\r\n"))
	if !ok || len(line) == 0 {
		r.err = fmt.Errorf("%w: it ends early", errReply)
		return nil
	}
	if line[0] == '-' {
		r.err = replyError(line[1:])
		return nil
	}
	if line[0] != want {
		_ = r.fail(fmt.Sprintf("%q", want))
		return nil
	}
	r.rest = rest
	return line[1:]
}

// length returns the number in the next line; -1 is nil. A page of 5,000 entries
// has 25,000 of them, so the digits are read in place, and everything that is
// not plainly "$12\r\n" is left to the careful way.
func (r *respReader) length(want byte) int {
	n, at, rest := 0, 1, r.rest
	for at < len(rest) && at < 10 && rest[at]-'0' <= 9 {
		n = n*10 + int(rest[at]-'0')
		at++
	}
	if r.err != nil || at == 1 || at+1 >= len(rest) || rest[0] != want || rest[at] != '\r' || rest[at+1] != '\n' {
		return r.lengthOfLine(want)
	}
	r.rest = rest[at+2:]
	return n
}

func (r *respReader) lengthOfLine(want byte) int {
	line := r.line(want)
	if r.err != nil {
		return 0
	}
	n, err := parseLength(line)
	if err != nil {
		_ = r.fail("a length")
		return 0
	}
	return n
}

// array returns the length of an array; ok is false when it is nil or broken.
func (r *respReader) array() (n int, ok bool) {
	n = r.length('*')
	return max(n, 0), n >= 0 && r.err == nil
}

func (r *respReader) bulk() []byte {
	n := r.length('$')
	if r.err != nil || n < 0 {
		return nil
	}
	if len(r.rest) < n+2 {
		r.err = fmt.Errorf("%w: it ends early", errReply)
		return nil
	}
	value := r.rest[:n:n]
	r.rest = r.rest[n+2:]
	return value
}

func (r *respReader) fail(want string) error {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s was expected at %.40q", errReply, want, r.rest)
	}
	return r.err
}

func (r *respReader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		return r.fail("its end")
	}
	return r.err
}

// replyError is an error that Redis answered; it satisfies redis.Error.
type replyError string

var _ redis.Error = replyError("")

func (e replyError) Error() string { return string(e) }

// RedisError marks the error as one that Redis answered.
func (e replyError) RedisError() {}

// parseIDBytes is event.ParseID without its allocations.
func parseIDBytes(b []byte) (event.ID, error) {
	ms, seq, ok := bytes.Cut(b, []byte("-"))
	m, okMS := parseUint(ms)
	n, okSeq := parseUint(seq)
	if !ok || !okMS || !okSeq {
		return event.ID{}, fmt.Errorf("an entry ID instead of %.40q", b)
	}
	return event.ID{MS: m, Seq: n}, nil
}

func parseUint(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	for _, c := range b {
		digit := uint64(c - '0')
		if c < '0' || c > '9' || n > (1<<64-1-digit)/10 {
			return 0, false
		}
		n = n*10 + digit
	}
	return n, true
}
