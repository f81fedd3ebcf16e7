package stream

import (
	"context"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
)

// Unknown stands for a number that Redis could not tell.
const Unknown = -1

// GroupState is where the group stands.
type GroupState struct {
	LastDelivered event.ID
	EntriesRead   int64 // Unknown after a cursor was set by hand
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
	info, err := s.redis.XInfoStream(ctx, s.name).Result()
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

func (s *Stream) groupState(g redis.XInfoGroup, info *redis.XInfoStream, groups int) (GroupState, error) {
	delivered, err := event.ParseID(g.LastDeliveredID)
	if err != nil {
		return GroupState{}, classify("read the group of "+s.name, err)
	}
	generated, err := event.ParseID(info.LastGeneratedID)
	if err != nil {
		return GroupState{}, classify("read the group of "+s.name, err)
	}
	return GroupState{
		LastDelivered: delivered,
		EntriesRead:   g.EntriesRead,
		Pending:       g.Pending,
		Groups:        groups,
		EntriesAdded:  info.EntriesAdded,
		LastGenerated: generated,
	}, nil
}

// countUnread tells how many entries lie in (cursor, E).
// KEYS[1] stream; ARGV[1] group, ARGV[2] E in milliseconds, ARGV[3] most to touch.
// Returns the exact number, or a lower bound that is above 0 when it is larger
// than ARGV[3].
//
// XLEN is exact and free, so the cheap way is to subtract what lies outside:
// what the group has passed and somebody keeps, and what came since E. Both are
// few when the drain is up to date. Otherwise the entries themselves are counted.
// lag would be cheaper still, but is null or wrong after deletions.
var countUnread = newScript(`#!lua flags=allow-oom
local key, group, stop, most = KEYS[1], ARGV[1], ARGV[2] .. '-0', tonumber(ARGV[3])
local cursor
for _, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local of = {}
  for i = 1, #g, 2 do of[g[i]] = g[i + 1] end
  if of['name'] == group then cursor = of['last-delivered-id'] end
end
if not cursor then return redis.error_reply('NOGROUP ' .. group .. ' was removed meanwhile') end
if tonumber(string.match(cursor, '^%d+')) >= tonumber(ARGV[2]) then return 0 end
local passed = redis.call('XRANGE', key, '-', cursor, 'COUNT', most)
if #passed < most then
  local since = redis.call('XRANGE', key, stop, '+', 'COUNT', most)
  if #since < most then return redis.call('XLEN', key) - #passed - #since end
end
return #redis.call('XRANGE', key, '(' .. cursor, '(' .. stop, 'COUNT', most)
`)

// Unread returns how many entries below endMS the group has not delivered yet.
// When that cannot be told cheaply it is a lower bound, 0 only if there are none.
func (s *Stream) Unread(ctx context.Context, endMS uint64) (int, error) {
	n, err := countUnread.Run(ctx, s.redis, []string{s.name}, s.group, endMS, MaxPage).Int()
	return n, classify("count the unread entries of "+s.name, err)
}
