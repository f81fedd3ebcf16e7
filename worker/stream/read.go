package stream

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
)

// MaxPage is the largest number of entries that one command may touch: a
// command blocks the whole server while it runs.
const MaxPage = 5000

// consumer is the one consumer of the group. Its name is constant, because a
// name per run would leave a consumer behind for each; nothing depends on it,
// since recovery reads the stream and not the pending list.
const consumer = "datawriter"

// Stream is one Redis Stream and the archive's consumer group on it.
type Stream struct {
	redis *redis.Client
	wires *wires
	name  string
	group string
}

// Name returns the stream's key.
func (s *Stream) Name() string { return s.name }

// Range reads at most count entries with from <= ID < to into page, ascending.
func (s *Stream) Range(ctx context.Context, page *Page, from, to event.ID, count int) error {
	err := s.read(ctx, page, false, "XRANGE", s.name, from.String(), "("+to.String(), "COUNT", strconv.Itoa(count))
	return classify("read entries of "+s.name, err)
}

// ReadNew reads at most count entries that the group has not delivered yet
// into page, ascending, and moves the group's cursor. With noack they do not
// enter the pending list.
func (s *Stream) ReadNew(ctx context.Context, page *Page, count int, noack bool) error {
	command := []string{"XREADGROUP", "GROUP", s.group, consumer, "COUNT", strconv.Itoa(count)}
	if noack {
		command = append(command, "NOACK")
	}
	err := s.read(ctx, page, true, append(command, "STREAMS", s.name, ">")...)
	return classify("read new entries of "+s.name, err)
}

// read fills the page with the reply to a command.
func (s *Stream) read(ctx context.Context, page *Page, wrapped bool, command ...string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	reply, err := s.wires.roundTrip(ctx, page.reply, words(command))
	page.reply = reply
	if err != nil {
		page.Entries = page.Entries[:0]
		return err
	}
	return page.load(reply, wrapped)
}

// first finds an entry without sending it. KEYS[1] stream; ARGV[1] the least ID.
// Returns the entry's ID, or nil.
var first = newScript(`#!lua flags=no-writes
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', 1)[1]
return entry and entry[1]
`)

// First returns the ID of the first entry at or after fromMS; ok is false when
// there is none.
func (s *Stream) First(ctx context.Context, fromMS uint64) (id event.ID, ok bool, err error) {
	return s.firstID(ctx, strconv.FormatUint(fromMS, 10))
}

// Next returns the ID of the first entry behind an ID; ok is false when there is
// none.
func (s *Stream) Next(ctx context.Context, behind event.ID) (id event.ID, ok bool, err error) {
	return s.firstID(ctx, "("+behind.String())
}

func (s *Stream) firstID(ctx context.Context, from string) (id event.ID, ok bool, err error) {
	const operation = "read the first entry of "
	text, err := s.ask(ctx, first, from).Text()
	if hasCode(err, []string{noPermission}) { // a user who may run no script gets the whole entry
		text, err = s.firstByRange(ctx, from)
	}
	if isNil(err) {
		return event.ID{}, false, nil
	}
	if err != nil {
		return event.ID{}, false, classify(operation+s.name, err)
	}
	id, err = event.ParseID(text)
	return id, err == nil, classify(operation+s.name, err)
}

func (s *Stream) firstByRange(ctx context.Context, from string) (string, error) {
	entries, err := s.redis.XRangeN(ctx, s.name, from, "+", 1).Result()
	if err == nil && len(entries) == 0 {
		err = redis.Nil
	}
	if err != nil {
		return "", err
	}
	return entries[0].ID, nil
}
