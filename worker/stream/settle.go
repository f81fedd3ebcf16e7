package stream

import (
	"context"
	"fmt"

	"datawriter/worker/event"
)

// restartedReply is what a settling script answers when another process, or
// other data, serves than what the attempt began with.
const restartedReply = "DATAWRITER_RESTARTED"

// serving sets serving to the Server.ID of who answers.
const serving = `
local info = redis.call('INFO', 'server', 'replication')
local serving = string.match(info, 'run_id:(%x+)') .. ' ' .. (string.match(info, 'master_replid:(%x+)') or '')
`

// sameServer is the guard that begins every settling script: what was read from
// another process may have been rolled back since, and data that came by
// replication may have other entries under the same IDs. ARGV[1] is the Server.ID.
const sameServer = serving + `
if serving ~= ARGV[1] then
  return redis.error_reply('` + restartedReply + ` this is not the server that was read')
end
`

// settle acks entries, and deletes those that no other group still needs.
// KEYS[1] stream; ARGV[1] Server.ID, ARGV[2] group, ARGV[3..] IDs, ascending, at
// most MaxPage. Returns {acked, deleted}.
//
// Another group still needs an entry that it has not been given, or that stands
// in its pending list.
var settle = newScript(`#!lua flags=allow-oom
` + sameServer + `
local key, group = KEYS[1], ARGV[2]
local ids = {unpack(ARGV, 3)}
local acked = redis.call('XACK', key, group, unpack(ids))

local function after(a, b) -- IDs as decimal text of any size
  local am, as = string.match(a, '^(%d+)-(%d+)$')
  local bm, bs = string.match(b, '^(%d+)-(%d+)$')
  if am ~= bm then return #am > #bm or (#am == #bm and am > bm) end
  return #as > #bs or (#as == #bs and as > bs)
end

local most = 10000
for _, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local of = {}
  for i = 1, #g, 2 do of[g[i]] = g[i + 1] end
  if of['name'] ~= group then
    local needed = {}
    local pending = redis.call('XPENDING', key, of['name'], ids[1], ids[#ids], most)
    if #pending == most then return {acked, 0} end -- cannot be told cheaply: keep all
    for _, p in ipairs(pending) do needed[p[1]] = true end
    local free = {}
    for _, id in ipairs(ids) do
      if not needed[id] and not after(id, of['last-delivered-id']) then free[#free + 1] = id end
    end
    ids = free
    if #ids == 0 then return {acked, 0} end
  end
end
return {acked, redis.call('XDEL', key, unpack(ids))}
`)

// Settlement counts what a settling call did.
type Settlement struct {
	Acked   int64
	Deleted int64
}

// Settle acks the entries and deletes those that no other group still needs, in
// one atomic step, also when Redis is out of memory. IDs must be ascending and
// at most MaxPage; each must durably be a member of a published part. It can be
// repeated. ErrRestarted when server is not the Server.ID any more.
func (s *Stream) Settle(ctx context.Context, server string, ids []event.ID) (Settlement, error) {
	if len(ids) == 0 {
		return Settlement{}, nil
	}
	args := make([]any, 0, len(ids)+2)
	args = append(args, server, s.group)
	for _, id := range ids {
		args = append(args, id.String())
	}
	counts, err := settle.Run(ctx, s.redis, []string{s.name}, args...).Int64Slice()
	if err != nil {
		return Settlement{}, classify("settle entries of "+s.name, err)
	}
	return Settlement{Acked: counts[0], Deleted: counts[1]}, nil
}

// Ack acks entries that Trim will delete, and returns how many were pending. It
// is a bare XACK, which Redis takes also when it is out of memory, and which
// cannot harm: recovery never depends on the pending list. A script would double
// what it costs the server.
func (s *Stream) Ack(ctx context.Context, ids []event.ID) (int64, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	reply, err := s.wires.roundTrip(ctx, nil, func(dst []byte) []byte {
		dst = appendCommand(dst, len(ids), "XACK", s.name, s.group)
		var text [41]byte // two numbers of 20 digits
		for _, id := range ids {
			dst = appendArgument(dst, id.Append(text[:0]))
		}
		return dst
	})
	in := respReader{rest: reply}
	var acked uint64
	if err == nil {
		acked, _ = parseUint(in.line(':'))
		err = in.end()
	}
	return int64(acked), classify("ack entries of "+s.name, err)
}

// trim deletes everything up to an ID in one step, which is far cheaper than
// XDEL, if and only if that is exactly the set of entries that may be deleted.
// KEYS[1] stream; ARGV[1] Server.ID, ARGV[2] group, ARGV[3] S and ARGV[4] E in
// milliseconds, ARGV[5] number of entries in [S,E) that may go, ARGV[6] the
// first ID to keep. Returns the number of deleted entries, or -1 when the
// condition does not hold.
//
// The condition: no other group, no entry below S, and as many entries in
// [S,E) as the caller knows to be in the ledger. The fence lets none be added,
// and the same server has lost none by rollback, so equal numbers are equal sets.
// What is not below E is what the group has not read: its lag. Counting it
// would block the server for 10 microseconds an entry.
var trim = newScript(`#!lua flags=allow-oom
` + sameServer + groupFields + `
local key = KEYS[1]
local groups = redis.call('XINFO', 'GROUPS', key)
if #groups ~= 1 or groups[1][2] ~= ARGV[2] then return -1 end
local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
if first and tonumber(string.match(first[1], '^%d+')) < tonumber(ARGV[3]) then return -1 end
local of = fields(key, ARGV[2])
if tonumber(string.match(of['last-delivered-id'], '^%d+')) >= tonumber(ARGV[4]) then return -1 end
if not of['lag'] or redis.call('XLEN', key) - of['lag'] ~= tonumber(ARGV[5]) then return -1 end
return redis.call('XTRIM', key, 'MINID', '=', ARGV[6])
`)

// Trim deletes the entries in [startMS, keep) if the stream holds exactly n
// entries in [startMS, endMS), none before, and no other group reads it; ok is
// false, and nothing is deleted, when one of these does not hold. All n must
// durably be members of published parts. It returns how many it deleted.
func (s *Stream) Trim(ctx context.Context, server string, startMS, endMS uint64, n int, keep event.ID) (deleted int, ok bool, err error) {
	deleted, err = trim.Run(ctx, s.redis, []string{s.name},
		server, s.group, startMS, endMS, n, keep.String()).Int()
	if err != nil {
		return 0, false, classify("trim "+s.name, err)
	}
	return max(deleted, 0), deleted >= 0, nil
}

// sweep acks what is pending below E although its entry is gone.
// KEYS[1] stream; ARGV[1] Server.ID, ARGV[2] group, ARGV[3] and ARGV[4] bounds of the
// IDs, ARGV[5] most to touch, ARGV[6] most bytes to read. Returns {number of such IDs,
// the last ID that was looked at, or nil when none is left}.
//
// To see that an entry is there means to read it, and it may be megabytes.
var sweep = newScript(`#!lua flags=allow-oom
` + sameServer + `
local key, group, room = KEYS[1], ARGV[2], tonumber(ARGV[6])
local pending = redis.call('XPENDING', key, group, ARGV[3], ARGV[4], ARGV[5])
local gone, at = {}, 0
while at < #pending and room > 0 do
  at = at + 1
  local id = pending[at][1]
  local entry = redis.call('XRANGE', key, id, id)[1]
  if not entry then gone[#gone + 1] = id end
  for _, field in ipairs(entry and entry[2] or {}) do room = room - #field end
end
if #gone > 0 then redis.call('XACK', key, group, unpack(gone)) end
if at == #pending and #pending < tonumber(ARGV[5]) then return {#gone} end
return {#gone, pending[at][1]}
`)

// sweepBytes bounds what one script of the sweep reads, and so how long it blocks
// Redis.
const sweepBytes = 16 << 20

// SweepPending removes from the pending list what was claimed in [startMS,
// endMS) and is not there any more, and returns how many those were. Of the window
// that is being drained each is an entry that this archive claimed and could not
// keep: somebody else deleted it.
func (s *Stream) SweepPending(ctx context.Context, server string, startMS, endMS uint64) (int, error) {
	total, from := 0, event.ID{MS: startMS}.String()
	for startMS < endMS { // Redis refuses the empty range before the first millisecond
		reply, err := sweep.Run(ctx, s.redis, []string{s.name}, server, s.group, from, "("+event.ID{MS: endMS}.String(), MaxPage, sweepBytes).Slice()
		if err != nil {
			return total, classify("sweep the pending list of "+s.name, err)
		}
		gone, _ := reply[0].(int64)
		total += int(gone)
		if len(reply) < 2 {
			break
		}
		last, _ := reply[1].(string)
		from = "(" + last
	}
	return total, nil
}

// CheckSame returns ErrRestarted unless the server is the one of that ID.
func (c *Client) CheckSame(ctx context.Context, id string) error {
	server, err := c.Server(ctx)
	if err != nil {
		return err
	}
	if server.ID() != id {
		return fmt.Errorf("compare the server: %w", ErrRestarted)
	}
	return nil
}
