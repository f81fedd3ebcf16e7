package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Errors of taking part in a live source.
var (
	// ErrFed: another process feeds the stream and is alive.
	ErrFed = errors.New("another process feeds the stream")
	// ErrStale: what the caller knows of the stream is not what Redis holds:
	// another process took over, or Redis went back to an older state. Take the
	// stream again and begin from what it says.
	ErrStale = errors.New("redis holds another state of the feed")
)

// staleReply begins what the script answers for ErrStale.
const staleReply = "DATAWRITER_STALE"

// Intake is a stream as a live source feeds it. Beside the stream, and in its
// cluster slot, Redis keeps the position in the source that its entries stand
// for, and the identities of what was lately added. All three change in one
// step or not at all, also when Redis is rolled back to an older file.
type Intake struct {
	redis  *redis.Client
	name   string
	most   int64 // length to which the stream is cut while it has no group; 0 never cuts
	number int64 // of the next batch
}

// Intake returns the feed of the stream of that name. most cuts a stream that
// nobody drains, one without a group, to about that many entries; 0 is no limit.
func (c *Client) Intake(name string, most int64) *Intake {
	return &Intake{redis: c.redis, name: name, most: most}
}

// Name returns the stream's key.
func (i *Intake) Name() string { return i.name }

func (i *Intake) keys() []string {
	return []string{i.name, i.name + ":ingest", i.name + ":ingest:seen"}
}

// IntakeState is what Redis holds of a feed.
type IntakeState struct {
	Position string   // as the last batch gave it; empty when there was none
	Seen     [][]byte // as batches gave them, oldest first
}

// takeIntake makes one process the only one whose batches are accepted.
// KEYS[1] the feed's hash; ARGV[1] owner, as PROCESS:SESSION, ARGV[2] milliseconds after which an
// owner of another process counts as dead. Returns {0, number, position} or {milliseconds left}.
var takeIntake = newScript(`#!lua
local of = redis.call('HMGET', KEYS[1], 'owner', 'beat', 'batch', 'position')
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
if of[1] and string.match(of[1], '^[^:]*') ~= string.match(ARGV[1], '^[^:]*') then
  local left = tonumber(of[2]) + tonumber(ARGV[2]) - ms
  if left > 0 then return {math.min(left, tonumber(ARGV[2]))} end
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'beat', ms, 'batch', of[3] or '0')
return {0, tonumber(of[3] or '0'), of[4] or ''}
`)

// seenPage is how many blobs one reply carries.
const seenPage = 1000

// Take makes owner, PROCESS:SESSION, the only one whose batches the stream
// accepts, and returns what Redis holds. From then on a batch of an earlier
// owner that is still under way fails. ErrFed when an owner of another process
// sent something within alive.
func (i *Intake) Take(ctx context.Context, owner string, alive time.Duration) (state IntakeState, err error) {
	reply, err := takeIntake.Run(ctx, i.redis, i.keys()[1:2], owner, alive.Milliseconds()).Slice()
	if err != nil {
		return state, classifyIntake("take the feed of "+i.name, err)
	}
	if len(reply) < 3 {
		return state, fmt.Errorf("take the feed of %s: %w", i.name, ErrFed)
	}
	i.number, _ = reply[1].(int64)
	state.Position, _ = reply[2].(string)
	for {
		from := int64(len(state.Seen))
		page, err := i.redis.LRange(ctx, i.keys()[2], from, from+seenPage-1).Result()
		if err != nil {
			return state, classifyIntake("read what the feed of "+i.name+" has seen", err)
		}
		for _, blob := range page {
			state.Seen = append(state.Seen, []byte(blob))
		}
		if len(page) < seenPage {
			return state, nil
		}
	}
}

// Position returns the position that the last batch gave, without taking part;
// empty when there was none.
func (i *Intake) Position(ctx context.Context) (string, error) {
	position, err := i.redis.HGet(ctx, i.keys()[1], "position").Result()
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	return position, classifyIntake("read the position of "+i.name, err)
}

// IntakeBatch is one step of a feed.
type IntakeBatch struct {
	Events   [][]byte // to add, in order
	Position string
	Seen     []byte // identities of Events, kept until forgotten; empty for none
	Forget   int    // how many of the oldest Seen to drop
}

// feedIntake adds entries, moves the position and keeps identities, in one step.
// KEYS stream, hash, list; ARGV owner, number, position, seen, forget, most, events…
// It is refused when Redis is out of memory, whole: a source that can replay
// waits, and the room that is left is the drain's. A stream that is cut keeps
// everything as soon as somebody has a group on it, who still has to read it.
var feedIntake = newScript(`#!lua
local at = redis.call('HMGET', KEYS[2], 'owner', 'batch')
if at[1] ~= ARGV[1] or at[2] ~= ARGV[2] then
  return redis.error_reply('` + staleReply + ` owner ' .. tostring(at[1]) .. ' batch ' .. tostring(at[2]))
end
local cut = ARGV[6] ~= '0' and #ARGV > 6
if cut then
  local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
  if groups.err and not string.find(groups.err, 'no such key', 1, true) then
    return redis.error_reply('NOPERM who reads ' .. KEYS[1] .. ' cannot be seen (does the user have +xinfo|groups?): ' .. groups.err)
  end
  cut = groups.err or #groups == 0
end
for i = 7, #ARGV do
  if not cut then redis.call('XADD', KEYS[1], '*', 'event', ARGV[i])
  else redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[6], '*', 'event', ARGV[i]) end
end
if ARGV[5] ~= '0' then redis.call('LPOP', KEYS[3], ARGV[5]) end
if ARGV[4] ~= '' then redis.call('RPUSH', KEYS[3], ARGV[4]) end
local now = redis.call('TIME')
redis.call('HSET', KEYS[2], 'batch', at[2] + 1, 'position', ARGV[3],
  'beat', now[1] * 1000 + math.floor(now[2] / 1000))
return #ARGV - 6
`)

// Feed sends one batch to each of several intakes, in one round trip. Each is
// applied whole or not at all; after an error some may have been, and every
// intake must be taken again. Errors are ErrStale, ErrRefused, ErrUnavailable
// or ErrMisconfigured.
func (c *Client) Feed(ctx context.Context, owner string, intakes []*Intake, batches []IntakeBatch) error {
	pipe := c.redis.Pipeline()
	for n, i := range intakes {
		b := &batches[n]
		args := make([]any, 0, 6+len(b.Events))
		args = append(args, owner, i.number, b.Position, b.Seen, b.Forget, i.most)
		for _, e := range b.Events {
			args = append(args, e)
		}
		feedIntake.EvalSha(ctx, pipe, i.keys(), args...)
	}
	replies, err := pipe.Exec(ctx)
	if hasCode(err, []string{"NOSCRIPT"}) && len(replies) > 0 && hasCode(replies[0].Err(), []string{"NOSCRIPT"}) {
		return c.loadAndFeed(ctx, owner, intakes, batches)
	}
	if err != nil {
		return classifyIntake("feed the streams", err)
	}
	for _, i := range intakes {
		i.number++
	}
	return nil
}

// loadAndFeed is Feed for a server that does not know the script yet: as the
// first of the batches was refused for that, none was applied.
func (c *Client) loadAndFeed(ctx context.Context, owner string, intakes []*Intake, batches []IntakeBatch) error {
	if err := feedIntake.Load(ctx, c.redis).Err(); err != nil {
		return classifyIntake("load the script that feeds", err)
	}
	return c.Feed(ctx, owner, intakes, batches)
}

// leaveIntake: KEYS[1] hash; ARGV[1] owner. Lets another process take over at once.
var leaveIntake = newScript(`#!lua flags=allow-oom
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
return redis.call('HDEL', KEYS[1], 'owner')
`)

// Leave gives the stream up, so that another process need not wait.
func (i *Intake) Leave(ctx context.Context, owner string) error {
	return classifyIntake("leave the feed of "+i.name, leaveIntake.Run(ctx, i.redis, i.keys()[1:2], owner).Err())
}

func classifyIntake(operation string, err error) error {
	if err != nil && strings.Contains(err.Error(), staleReply) {
		return fmt.Errorf("%s: %w: %w", operation, ErrStale, err)
	}
	return classifyAdd(operation, err)
}
