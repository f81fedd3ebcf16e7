package stream

import (
	"context"
	"fmt"

	"datawriter/worker/window"
)

// look reads what an account needs at one instant.
// KEYS[1] stream, KEYS[2] and KEYS[3] what a rescue holds of it; ARGV[1] group,
// ARGV[2] E in milliseconds, ARGV[3..] spans to pass over, FROM and TO in turn.
// Returns {run_id, master_replid, evicted_keys, exists, has the group, entries-added,
// length, holds entries below E, entries aside, clock in milliseconds}, flags as 0 or 1.
var look = newScript(`#!lua flags=allow-oom
local key = KEYS[1]
` + redisMS + serving + `
local aside = redis.call('XLEN', KEYS[2]) + redis.call('XLEN', KEYS[3])
local run, repl = string.match(serving, '^(%x+) (%x*)$')
local evicted = tonumber(string.match(redis.call('INFO', 'stats'), 'evicted_keys:(%d+)'))
local of, info, grouped = {}, redis.pcall('XINFO', 'STREAM', key), 0
if info.err then
  if string.find(info.err, 'no such key', 1, true) then return {run, repl, evicted, 0, 0, 0, 0, 0, aside, ms} end
  return info
end
for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
for _, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  if g[2] == ARGV[1] then grouped = 1 end
end
local below, from = 0, '-'
while from do
  local first = redis.call('XRANGE', key, from, '(' .. ARGV[2] .. '-0', 'COUNT', 1)[1]
  from = nil
  if first then
    below = 1
    local at = tonumber(string.match(first[1], '^%d+'))
    for i = 3, #ARGV, 2 do
      if tonumber(ARGV[i]) <= at and at < tonumber(ARGV[i + 1]) then below, from = 0, ARGV[i + 1] .. '-0' end
    end
  end
end
return {run, repl, evicted, 1, grouped, of['entries-added'], of['length'], below, aside, ms}
`)

// Look is what the stream and its server show at one instant.
type Look struct {
	RunID   string
	ReplID  string
	Evicted int64 // evicted_keys
	Exists  bool
	Grouped bool // it has our group
	Added   int64
	Length  int64  // entries that it holds, or a rescue holds of it
	Aside   int64  // of those, what a rescue holds
	End     uint64 // that was asked for, in milliseconds
	Below   bool   // it holds entries below it, beside those of the spans to pass over
	Clock   uint64 // of the server, in milliseconds
}

// Look looks at the stream; one that does not exist has counted nothing. Below passes
// over spans whose entries are known to be there.
func (s *Stream) Look(ctx context.Context, endMS uint64, passing ...window.Span) (Look, error) {
	args := []any{s.group, endMS}
	for _, x := range passing {
		args = append(args, x.From, x.To)
	}
	reply, err := look.Run(ctx, s.redis, s.asideKeys(), args...).Slice()
	if err == nil && len(reply) != 10 {
		err = fmt.Errorf("%w: %d values instead of 10", errReply, len(reply))
	}
	if err != nil {
		return Look{}, classify("look at "+s.name, err)
	}
	number := func(i int) int64 { n, _ := reply[i].(int64); return n }
	run, _ := reply[0].(string)
	repl, _ := reply[1].(string)
	return Look{RunID: run, ReplID: repl, Evicted: number(2), Exists: number(3) == 1, Grouped: number(4) == 1,
		Added: number(5), Length: number(6) + number(8), Aside: number(8), End: endMS, Below: number(7) > 0, Clock: uint64(number(9))}, nil
}
