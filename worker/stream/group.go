package stream

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
)

// Unknown stands for a number that Redis could not tell.
const Unknown = -1

// GroupState is where the group stands.
type GroupState struct {
	LastDelivered event.ID
	EntriesRead   int64 // Unknown after a cursor was set by hand
	Lag           int64 // entries behind the cursor; Unknown while one among them was deleted
	Pending       int64
	Groups        int   // how many groups the stream has, this one included
	EntriesAdded  int64 // ever, to the stream
	LastGenerated event.ID
}

// createGroup creates the stream and the group where they are missing.
// KEYS[1] stream; ARGV[1] group. Returns 1 when it created the group, else 0.
// The group starts at 0, never at $: entries that came before it are content.
var createGroup = newScript(`#!lua flags=allow-oom
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM', 'ENTRIESREAD', '0')
if not made.err then return 1 end
if string.find(made.err, 'BUSYGROUP', 1, true) then return 0 end
return made
`)

// EnsureGroup creates the stream and the group where they are missing, even
// when Redis is out of memory. It can be repeated.
func (s *Stream) EnsureGroup(ctx context.Context) error {
	err := createGroup.Run(ctx, s.redis, []string{s.name}, s.group).Err()
	return classify("create the group of "+s.name, err)
}

// Group returns where the group stands. A missing group is not an error of its
// own: it reads as ErrUnavailable, because only somebody else can have removed
// it after EnsureGroup.
func (s *Stream) Group(ctx context.Context) (GroupState, error) {
	const operation = "read the group of "
	groups, err := s.redis.XInfoGroups(ctx, s.name).Result()
	if err != nil {
		return GroupState{}, classify(operation+s.name, err)
	}
	info, err := s.facts(ctx)
	if err != nil {
		return GroupState{}, classify(operation+s.name, err)
	}
	for _, g := range groups {
		if g.Name == s.group {
			return s.groupState(g, info, len(groups))
		}
	}
	return GroupState{}, classify(operation+s.name, replyError("NOGROUP "+s.group+" was removed meanwhile"))
}

func (s *Stream) groupState(g redis.XInfoGroup, info streamFacts, groups int) (GroupState, error) {
	delivered, err := event.ParseID(g.LastDeliveredID)
	if err != nil {
		return GroupState{}, classify("read the group of "+s.name, err)
	}
	generated, err := event.ParseID(info.lastID)
	if err != nil {
		return GroupState{}, classify("read the group of "+s.name, err)
	}
	return GroupState{
		LastDelivered: delivered,
		EntriesRead:   g.EntriesRead,
		Lag:           g.Lag,
		Pending:       g.Pending,
		Groups:        groups,
		EntriesAdded:  info.added,
		LastGenerated: generated,
	}, nil
}

// Tail reads at most count of the last entries with from < ID < to into page,
// youngest first. It tells cheaply how much is left to read: whatever it
// returns is a lower bound, and exact when it returns fewer than count.
func (s *Stream) Tail(ctx context.Context, page *Page, from, to event.ID, count int) error {
	err := s.read(ctx, page, false, "XREVRANGE", s.name, "("+to.String(), "("+from.String(), "COUNT", strconv.Itoa(count))
	return classify("count the unread entries of "+s.name, err)
}

// realign corrects the group's entries-read after a drain, on which lag depends.
// KEYS[1] stream; ARGV[1] Server.ID, ARGV[2] group, ARGV[3] E in milliseconds.
// Returns 1 when it changed it. Where nothing is left below E and the cursor
// stands there, everything in the stream is unread.
var realign = newScript(`#!lua flags=allow-oom
` + sameServer + groupFields + `
local key, group, stop = KEYS[1], ARGV[2], tonumber(ARGV[3])
local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
if first and tonumber(string.match(first[1], '^%d+')) < stop then return 0 end
local of = fields(key, group)
if not of or tonumber(string.match(of['last-delivered-id'], '^%d+')) >= stop then return 0 end
local info, added = redis.call('XINFO', 'STREAM', key)
for i = 1, #info, 2 do
  if info[i] == 'entries-added' then added = info[i + 1] end
end
local read = added - redis.call('XLEN', key)
if of['entries-read'] == read then return 0 end
redis.call('XGROUP', 'SETID', key, group, of['last-delivered-id'], 'ENTRIESREAD', read)
return 1
`)

// groupFields defines fields(key, group): what XINFO GROUPS says of one group,
// by name, or nil.
const groupFields = `
local function fields(key, group)
  for _, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local of = {}
    for i = 1, #g, 2 do of[g[i]] = g[i + 1] end
    if of['name'] == group then return of end
  end
end
`

// Realign makes the group's lag true again when everything below endMS has been
// drained: entries that were read by range, or deleted by others, put it off.
// Without it Trim falls back to deleting one by one, and people see a wrong lag.
func (s *Stream) Realign(ctx context.Context, server string, endMS uint64) error {
	err := realign.Run(ctx, s.redis, []string{s.name}, server, s.group, endMS).Err()
	return classify("realign the group of "+s.name, err)
}
