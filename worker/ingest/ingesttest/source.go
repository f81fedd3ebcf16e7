// Package ingesttest is the other side of the wire for tests: a source of
// events, and hosts that serve it on both of Jetstream's wires, as faultily as a
// test asks for. It is built from Jetstream's documentation and lexicon.
package ingesttest

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/simulate"
)

// Source is a growing log of events that remembers the last of them.
type Source struct {
	mu     sync.Mutex
	grown  *sync.Cond
	first  int64 // number of events[0]; numbers begin at 1
	events []Event
	most   int // how many are kept; 0 is all
	lastUS int64
	made   *simulate.Generator
}

// Event is one event of the source.
type Event struct {
	Number int64
	US     int64
	class  string
	did    []byte
	inner  []byte // of the commit, or the object of another class
	key    string // identity, for the test's books; empty for what is not stored
}

// NewSource returns a source of made-up events that keeps the last most.
func NewSource(seed uint64, most int) *Source {
	g, err := simulate.NewGenerator(simulate.Traits{Seed: seed})
	if err != nil {
		panic(err)
	}
	s := &Source{first: 1, most: most, made: g}
	s.grown = sync.NewCond(&s.mu)
	return s
}

// Make appends n events, the last of them now and the others evenly spread over
// the time before. It returns them.
func (s *Source) Make(n int, over time.Duration) []Made { return s.MakeUntil(time.Now(), n, over) }

// MakeUntil is Make at another time, which no event so far is later than.
func (s *Source) MakeUntil(last time.Time, n int, over time.Duration) []Made {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := make([]Made, n)
	for i := range n {
		at := last.Add(-over * time.Duration(n-1-i) / time.Duration(n)).UnixMicro()
		at = max(at, s.lastUS+1) // the times of a host ascend
		s.lastUS = at
		made[i] = Made{s.append(s.made.Append(nil, s.made.Kind(), at), at), at}
	}
	s.grown.Broadcast()
	return made
}

// Strange appends one event of each kind with a time of its own; those that
// follow have times as before. at does not find what stands behind it.
func (s *Source) Strange(us int64) (made []Made) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range event.Kinds() {
		made = append(made, Made{s.append(s.made.Append(nil, kind, us), us), us})
	}
	s.grown.Broadcast()
	return made
}

// Made is what a test keeps of an event: what identifies it, and its time in the
// source in microseconds.
type Made struct {
	Key string
	US  int64
}

// Add appends recorded events as they are, but for their time, which is now.
func (s *Source) Add(texts ...[]byte) (made []Made) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range texts {
		s.lastUS = max(time.Now().UnixMicro(), s.lastUS+1)
		made = append(made, Made{s.append(text, s.lastUS), s.lastUS})
	}
	s.grown.Broadcast()
	return made
}

func (s *Source) append(text []byte, us int64) string {
	var reader event.Envelopes
	e, ok := reader.Read(text)
	if !ok {
		panic(fmt.Sprintf("no event: %s", text))
	}
	stored := Event{Number: s.first + int64(len(s.events)), US: us, class: string(e.Class), did: bytes.Clone(e.DID)}
	stored.inner = bytes.Clone(inner(text, string(e.Class)))
	if _, ours := e.Kind(); ours {
		stored.key = Key(&e)
	}
	s.events = append(s.events, stored)
	if s.most > 0 && len(s.events) > 2*s.most {
		s.forget(len(s.events) - s.most)
	}
	return stored.key
}

// Key is what makes an event one event.
func Key(e *event.Envelope) string {
	return fmt.Sprintf("%s %s %s %s %s", e.DID, e.Collection, e.RKey, e.Rev, e.Operation)
}

// inner returns what stands inside the object of that name.
func inner(text []byte, name string) []byte {
	at := bytes.Index(text, []byte(`"`+name+`":{`))
	if at < 0 {
		panic(fmt.Sprintf("an event without %s: %s", name, text))
	}
	at += len(name) + 4
	return bytes.TrimSuffix(bytes.TrimSpace(text[at:]), []byte("}}"))
}

// Forget drops all but the last keep events.
func (s *Source) Forget(keep int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if drop := len(s.events) - keep; drop > 0 {
		s.forget(drop)
	}
}

func (s *Source) forget(n int) {
	s.events = append([]Event(nil), s.events[n:]...)
	s.first += int64(n)
}

// First returns the time of the oldest event that is still there.
func (s *Source) First() int64 {
	_, us := s.floor()
	return us
}

// Count returns how many events there have been.
func (s *Source) Count() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first + int64(len(s.events)) - 1
}

// floor returns the first event that is still there.
func (s *Source) floor() (number, us int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.events) == 0 {
		return s.first, s.lastUS + 1
	}
	return s.first, s.events[0].US
}

// at returns the number of the first event at or after a time.
func (s *Source) at(us int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	low, high := 0, len(s.events)
	for low < high {
		if mid := (low + high) / 2; s.events[mid].US < us {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return s.first + int64(low)
}

// read returns events from a number on, at most most; it waits until there is one
// or stopped, asked after each wake, says so.
func (s *Source) read(from int64, most int, stopped func() bool) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		from = max(from, s.first)
		if n := s.first + int64(len(s.events)) - from; n > 0 {
			start := int(from - s.first)
			return append([]Event(nil), s.events[start:start+int(min(n, int64(most)))]...)
		}
		if stopped() {
			return nil
		}
		s.grown.Wait()
	}
}

// wake lets all who wait look whether they are stopped.
func (s *Source) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grown.Broadcast()
}

// tip returns the number that the next event gets.
func (s *Source) tip() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first + int64(len(s.events))
}
