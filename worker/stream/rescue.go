package stream

import (
	"context"
	"fmt"

	"datawriter/worker/event"
)

// A stream whose last ID lies in the future is repaired in three steps, each a
// script, so that at every moment every entry stands in exactly one of three keys
// of one cluster slot: the stream, STREAM:rescue and STREAM:rescue:kept.
//
//  1. KeepPage moves the entries whose IDs are honest, page by page and with their
//     IDs, to a stream beside it. They may be in published files already, by ID.
//  2. Swap puts that stream into the place of the first, with its groups, and the
//     first aside. Redis has no other way: a last ID never goes below an entry
//     that was deleted. From here on producers get honest IDs.
//  3. ReaddPage adds what stands aside again, page by page.

// Bounds of a page of a rescue. An entry costs the server some 15 microseconds.
const (
	rescuePage  = 1000
	rescueBytes = 1 << 20
)

func (s *Stream) aside() string { return s.name + ":rescue" }
func (s *Stream) kept() string  { return s.name + ":rescue:kept" }

// asideKeys are the keys beside a stream that hold entries of it during a rescue.
func (s *Stream) asideKeys() []string { return []string{s.name, s.aside(), s.kept()} }

// Asides says how many entries stand beside a stream.
type Asides struct {
	Future int64 // were set aside, and will be added again
	Kept   int64 // wait to be put back with their IDs
	Begun  bool  // there are some: a rescue has not come to its end
}

// Asides counts the entries beside the stream: those of a rescue that is at work,
// or was killed.
func (s *Stream) Asides(ctx context.Context) (a Asides, err error) {
	for key, n := range map[string]*int64{s.aside(): &a.Future, s.kept(): &a.Kept} {
		if *n, err = s.redis.XLen(ctx, key).Result(); err != nil {
			return Asides{}, classify("look beside "+s.name, err)
		}
	}
	a.Begun = a.Future+a.Kept > 0
	return a, nil
}

// Unfinished returns how many entries stand beside the stream while nobody is at
// work on it: a rescue was killed.
func (s *Stream) Unfinished(ctx context.Context) (int64, error) {
	a, err := s.Asides(ctx)
	if err != nil || !a.Begun {
		return 0, err
	}
	held, err := s.Held(ctx)
	if err != nil || held {
		return 0, err
	}
	return a.Future + a.Kept, nil
}

// redisMS defines ms: the server's clock in milliseconds.
const redisMS = `
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
`

// messageTime defines time(id): the milliseconds of an ID as a number, exact up to
// the year 287396.
const messageTime = `
local function time(id) return tonumber(string.match(id, '^%d+')) end
`

// keepPage: KEYS[1] stream, KEYS[2] the stream of what is kept; ARGV[1] most
// entries, ARGV[2] most bytes to move. Returns {moved, 1 when no honest ID is left
// else 0}. What a group has been given and not acked of an entry moves with it.
var keepPage = newScript(`#!lua flags=allow-oom
` + redisMS + messageTime + `
local key, kept, most, room = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local claimed = {}
for _, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local of = {}
  for i = 1, #g, 2 do of[g[i]] = g[i + 1] end
  if of['pending'] > 0 then claimed[#claimed + 1] = of['name'] end
end
local moved = 0
while moved < most and room > 0 do
  local entry = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  if not entry or time(entry[1]) > ms then return {moved, 1} end
  redis.call('XADD', kept, entry[1], unpack(entry[2]))
  for _, group in ipairs(claimed) do
    local p = redis.call('XPENDING', key, group, entry[1], entry[1], 1)[1]
    if p then
      redis.pcall('XGROUP', 'CREATE', kept, group, '0')
      redis.call('XCLAIM', kept, group, p[2], 0, entry[1], 'IDLE', p[3], 'RETRYCOUNT', p[4], 'FORCE', 'JUSTID')
      redis.call('XACK', key, group, entry[1])
    end
  end
  redis.call('XDEL', key, entry[1])
  moved = moved + 1
  for _, v in ipairs(entry[2]) do room = room - #v end
end
return {moved, 0}
`)

// KeepPage moves a page of entries whose IDs are not ahead of the clock to the
// stream beside, with their IDs and with what groups have claimed of them. done is
// true when none is left: what is left has IDs from the future. It can be repeated.
func (s *Stream) KeepPage(ctx context.Context) (moved int64, done bool, err error) {
	reply, err := keepPage.Run(ctx, s.redis, []string{s.name, s.kept()}, rescuePage, rescueBytes).Int64Slice()
	if err != nil {
		return 0, false, classify("keep entries of "+s.name, err)
	}
	return reply[0], reply[1] == 1, nil
}

// swap: KEYS[1] stream, KEYS[2] the stream of what is set aside, KEYS[3] of what is
// kept. Returns {1, entries set aside, last ID}, or {0} when an entry of the stream
// has an honest ID, or {-1} when something stands aside already.
//
// All that can be refused comes before the first rename, so that a user who lacks a
// permission leaves the stream as it is.
var swap = newScript(`#!lua flags=allow-oom
` + redisMS + messageTime + `
local key, aside, kept = KEYS[1], KEYS[2], KEYS[3]
if redis.call('EXISTS', aside) == 1 then return {-1} end
local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
if first and time(first[1]) <= ms then return {0} end

local function fields(reply)
  local of = {}
  for i = 1, #reply, 2 do of[reply[i]] = reply[i + 1] end
  return of
end
if redis.call('EXISTS', kept) == 0 then
  redis.call('XGROUP', 'CREATE', kept, 'rescue', '$', 'MKSTREAM')
  redis.call('XGROUP', 'DESTROY', kept, 'rescue')
end
local added = fields(redis.call('XINFO', 'STREAM', key))['entries-added']
local top = fields(redis.call('XINFO', 'STREAM', kept))['last-generated-id']
local last = string.format('%.0f-18446744073709551615', ms - 1)
if time(top) >= ms then last = top end
redis.call('XSETID', kept, last, 'ENTRIESADDED', math.max(added, redis.call('XLEN', kept)))
for _, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local of = fields(g)
  local at = {of['last-delivered-id'], 'ENTRIESREAD', of['entries-read'] or -1}
  if time(at[1]) > ms then at = {last, 'ENTRIESREAD', -1} end
  local made = redis.pcall('XGROUP', 'CREATE', kept, of['name'], unpack(at))
  if made.err then redis.call('XGROUP', 'SETID', kept, of['name'], unpack(at)) end
  for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', key, of['name'])) do
    redis.call('XGROUP', 'CREATECONSUMER', kept, of['name'], fields(c)['name'])
  end
end

local length = redis.call('XLEN', key)
if length > 0 then redis.call('RENAME', key, aside) end
redis.call('RENAME', kept, key)
return {1, length, last}
`)

// Swapped is what a swap did.
type Swapped struct {
	Done  bool  // false: an entry has an honest ID, so keep it first
	Aside int64 // entries that were set aside
	Last  event.ID
}

// Swap sets the stream aside, all of whose entries have IDs from the future, and
// puts what was kept into its place: with the same groups and consumers, the same
// count of added entries, and a last ID just below the clock. Groups that stood
// beyond it are set back to it. It is one step. errAside when something stands
// aside already, which has to be added again first.
func (s *Stream) Swap(ctx context.Context) (Swapped, error) {
	operation := "set " + s.name + " aside"
	reply, err := swap.Run(ctx, s.redis, s.asideKeys()).Slice()
	if err != nil {
		return Swapped{}, classify(operation, err)
	}
	switch done, _ := reply[0].(int64); {
	case done == 0:
		return Swapped{}, nil
	case done < 0 || len(reply) != 3:
		return Swapped{}, fmt.Errorf("%s: %w: %s holds entries", operation, ErrUnavailable, s.aside())
	}
	aside, _ := reply[1].(int64)
	text, _ := reply[2].(string)
	last, err := event.ParseID(text)
	return Swapped{Done: true, Aside: aside, Last: last}, classify(operation, err)
}

// readdPage: KEYS[1] stream, KEYS[2] the stream of what is set aside; ARGV[1] most
// entries, ARGV[2] most bytes. Returns {moved, left}.
//
// What is added again was counted when it was added first, so the count goes back
// by as much: added = in files + there + aside holds before and after.
var readdPage = newScript(`#!lua flags=allow-oom
local key, aside, most, room = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local moved, refused = 0, nil
while moved < most and room > 0 do
  local entry = redis.call('XRANGE', aside, '-', '+', 'COUNT', 1)[1]
  if not entry then break end
  local added = redis.pcall('XADD', key, '*', unpack(entry[2]))
  if type(added) == 'table' then refused = added break end
  redis.call('XDEL', aside, entry[1])
  moved = moved + 1
  for _, v in ipairs(entry[2]) do room = room - #v end
end
if moved > 0 then
  local of, info = {}, redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
  if of['entries-added'] - moved >= of['length'] then
    redis.call('XSETID', key, of['last-generated-id'], 'ENTRIESADDED', of['entries-added'] - moved)
  end
end
if refused then return refused end
local left = redis.call('XLEN', aside)
if left == 0 then redis.call('DEL', aside) end
return {moved, left}
`)

// ReaddPage adds a page of what was set aside to the stream again, under new IDs,
// in order, and deletes it there, in one step. left is how much is still aside.
func (s *Stream) ReaddPage(ctx context.Context) (moved, left int64, err error) {
	reply, err := readdPage.Run(ctx, s.redis, []string{s.name, s.aside()}, rescuePage, rescueBytes).Int64Slice()
	if err != nil {
		return 0, 0, classify("add entries of "+s.name+" again", err)
	}
	return reply[0], reply[1], nil
}
