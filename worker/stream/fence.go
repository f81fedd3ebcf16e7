package stream

import "context"

// fence raises last-generated-id to the largest ID before E.
// KEYS[1] stream; ARGV[1] E-1 in milliseconds. Returns 1 when it raised it.
// A bare XSETID can also move the ID back, so it is compared first. Comparing
// milliseconds suffices, and they are exact in Lua's doubles: at E-1 the fence
// is the largest ID of that millisecond, and setting it twice changes nothing.
var fence = newScript(`#!lua flags=allow-oom
local info = redis.call('XINFO', 'STREAM', KEYS[1])
local last
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = info[i + 1] end
end
if tonumber(string.match(last, '^%d+')) > tonumber(ARGV[1]) then return 0 end
redis.call('XSETID', KEYS[1], ARGV[1] .. '-18446744073709551615')
return 1
`)

// Fence closes everything below endMS: from now on Redis gives no entry an ID
// below it. The stream must exist. It can be repeated, and never moves back.
func (s *Stream) Fence(ctx context.Context, endMS uint64) error {
	err := fence.Run(ctx, s.redis, []string{s.name}, endMS-1).Err()
	return classify("fence "+s.name, err)
}
