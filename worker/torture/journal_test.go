package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/account"
	"datawriter/worker/event"
)

// identity is an entry: after a rollback another one can have its ID.
type identity struct {
	kind event.Kind
	id   event.ID
	hash uint64
}

func (i identity) String() string { return fmt.Sprintf("%s %s (%016x)", i.kind, i.id, i.hash) }

// entry is what the journal knows of one entry that was sent.
type entry struct {
	acked    bool // Redis said so, or was seen to hold it
	excused  bool // Redis lost it by itself
	returned bool // and brought it back, when it lost in turn the command that had taken it
	event    []byte
	number   int64 // that the producer gave it; 0 is none
}

// journal is the oracle: every entry that was ever sent, kept outside Redis.
type journal struct {
	mu      sync.Mutex
	entries map[identity]*entry
}

// owed returns the entries that must be somewhere.
func (j *journal) owed() []identity {
	j.mu.Lock()
	defer j.mu.Unlock()
	var owed []identity
	for i, e := range j.entries {
		if e.acked && !e.excused {
			owed = append(owed, i)
		}
	}
	return owed
}

func (j *journal) excuse(i identity) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries[i].excused = true
}

// seen notes that Redis holds an entry; false when nobody sent it.
func (j *journal) seen(i identity) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.entries[i]
	if ok {
		e.returned = e.returned || e.excused
		e.acked, e.excused = true, false
	}
	return ok
}

func (j *journal) event(i identity) ([]byte, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.entries[i]
	if !ok {
		return nil, false
	}
	return e.event, true
}

// producer writes entries with explicit IDs, as a server does whose clock the
// rig holds.
type producer struct {
	w       *world
	rng     *rand.Rand
	made    int
	poison  int         // one entry in so many is malformed; 0 is none
	last    [8]event.ID // per kind, what was sent last
	refused int         // adds that Redis turned away

	numbered bool     // give entries numbers, for each kind from 1
	numbers  [8]int64 // per kind, the last number that Redis took
}

// addition is one entry to send.
type addition struct {
	kind   event.Kind
	id     event.ID
	fields []string
}

// send adds entries in one pipeline and keeps the journal. It returns how many
// Redis acknowledged, and the first error.
func (p *producer) send(additions []addition) (acked int, failed error) {
	commands := make([]*redis.Cmd, len(additions))
	pipe := p.w.redis.c.Pipeline()
	entries := make([]*entry, len(additions))
	next := p.numbers
	p.w.journal.mu.Lock()
	for i, a := range additions {
		e := event.Entry{ID: a.id}
		args := []any{"XADD", p.w.stream(a.kind), a.id.String()}
		fields := a.fields
		if p.numbered {
			next[a.kind]++
			fields = slices.Concat(fields, []string{account.Field, strconv.FormatInt(next[a.kind], 10)})
		}
		for _, f := range fields {
			e.Fields = append(e.Fields, []byte(f))
			args = append(args, f)
		}
		key := identity{a.kind, a.id, e.Hash()}
		text, _ := e.Event()
		entries[i] = p.w.journal.entries[key]
		if entries[i] == nil {
			entries[i] = &entry{event: text}
			p.w.journal.entries[key] = entries[i]
		}
		if p.numbered {
			entries[i].number = next[a.kind]
		}
		commands[i] = pipe.Do(context.Background(), args...)
	}
	p.w.journal.mu.Unlock()
	_, _ = pipe.Exec(context.Background())
	p.w.journal.mu.Lock()
	defer p.w.journal.mu.Unlock()
	for i, c := range commands {
		switch err := c.Err(); {
		case err == nil:
			entries[i].acked, entries[i].excused = true, false
			p.numbers[additions[i].kind] = max(p.numbers[additions[i].kind], entries[i].number)
			acked++
		case failed == nil:
			failed = err
		}
	}
	p.refused += len(additions) - acked
	return acked, failed
}

// tooOld reports whether Redis answered that the stream is past an ID.
func tooOld(err error) bool {
	return err != nil && strings.Contains(err.Error(), "equal or smaller")
}

// away reports whether an error means that Redis is not there, or takes no writes.
func away(err error) bool {
	var reply redis.Error
	return err != nil && (!errors.As(err, &reply) || hasPrefix(err, "OOM", "MISCONF", "LOADING", "READONLY"))
}

func hasPrefix(err error, prefixes ...string) bool {
	for _, p := range prefixes {
		if err != nil && strings.HasPrefix(err.Error(), p) {
			return true
		}
	}
	return false
}

// fields returns the fields of the next entry, unlike all before it.
func (p *producer) fields(kind event.Kind) []string {
	p.made++
	if p.poison > 0 && p.made%p.poison == 0 {
		return p.poisoned(kind)
	}
	return []string{event.FieldName, p.event(kind)}
}

// own returns the record fields that belong to a kind.
var own = map[event.Kind]string{
	event.Posts:   `"text":"text %d","langs":["en"]`,
	event.Likes:   `"subject":{"cid":"c%[1]d","uri":"at://u/%[1]d"}`,
	event.Reposts: `"subject":{"cid":"c%[1]d","uri":"at://u/%[1]d"}`,
	event.Follows: `"subject":"did:plc:s%d"`,
	event.Blocks:  `"subject":"did:plc:s%d"`,
}

func (p *producer) event(kind event.Kind) string {
	n := p.made
	head := fmt.Sprintf(`{"did":"did:plc:a%d","time_us":%d,"kind":"commit","commit":{"rev":"r%d","operation":`, n%97, 1_795_000_000_000_000+n, n)
	collection := kind.Collection()
	if n%11 == 0 {
		return head + fmt.Sprintf(`"delete","collection":%q,"rkey":"k%d"}}`, collection, n)
	}
	record := fmt.Sprintf(`{"$type":%q,"createdAt":"2026-11-23T10:00:00.%03dZ",`+own[kind]+`}`, collection, n%1000, n)
	if n%13 == 0 { // a field that no column carries
		record = record[:len(record)-1] + `,"surprise":null}`
	}
	return head + fmt.Sprintf(`"create","collection":%q,"rkey":"k%d","record":%s,"cid":"c%d"}}`, collection, n, record, n)
}

// poisoned returns fields that cannot be a row.
func (p *producer) poisoned(kind event.Kind) []string {
	n := strconv.Itoa(p.made)
	switch p.made / p.poison % 7 {
	case 0:
		return []string{event.FieldName, "{not json " + n}
	case 1:
		return []string{"other", "field " + n}
	case 2:
		return []string{event.FieldName, "\xff\xfe binary " + n + "\x00\r\n"}
	case 3:
		return []string{event.FieldName, "twice " + n, event.FieldName, "twice"}
	case 4:
		return []string{event.FieldName, `{"did":"d","n":` + n + `}`}
	case 5:
		return []string{event.FieldName, strings.Replace(p.event(kind), kind.Collection(), "app.bsky.other", 1)}
	}
	return []string{"", n, "empty", ""}
}
