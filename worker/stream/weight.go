package stream

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Weight is how much of Redis's memory the entries of a stream take.
type Weight struct {
	Known   bool  // false where Redis does not say: it does not permit the question
	Bytes   int64 // of the whole stream
	Entries int64
	Uneven  bool // one stretch of nodes weighs far more than the average one: larger entries stand close together there
}

// Stretches of nodes are compared with each other, so that what is large cannot
// hide in the mean of very many small entries.
const (
	stretchBytes = 4 << 20 // what an average stretch weighs
	maxStretches = 64      // each costs Redis 25 ns for every node that stands before its end
)

// facts reads what XINFO STREAM says, without the first and the last entry, which
// may be megabytes and would pass through Redis's output buffer.
// KEYS[1] stream. Returns {length, entries-added, last-generated-id, nodes}.
var facts = newScript(`#!lua flags=no-writes
local of, info = {}, redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
return {of['length'], of['entries-added'], of['last-generated-id'], of['radix-tree-keys']}
`)

// streamFacts is what the script facts returns.
type streamFacts struct {
	length, added int64
	lastID        string
	nodes         int64
}

// facts asks for what XINFO STREAM says. Users who may run no script, as metrics do,
// get it from the command itself.
func (s *Stream) facts(ctx context.Context) (f streamFacts, err error) {
	reply, err := s.ask(ctx, facts).Slice()
	if hasCode(err, []string{noPermission}) {
		info, err := s.redis.XInfoStream(ctx, s.name).Result()
		if err != nil {
			return f, err
		}
		return streamFacts{info.Length, info.EntriesAdded, info.LastGeneratedID, info.RadixTreeKeys}, nil
	}
	if err != nil {
		return f, err
	}
	if len(reply) != 4 {
		return f, fmt.Errorf("%w: %d facts instead of 4", errReply, len(reply))
	}
	number := func(i int) int64 { n, _ := reply[i].(int64); return n }
	f = streamFacts{length: number(0), added: number(1), nodes: number(3)}
	f.lastID, _ = reply[2].(string)
	return f, nil
}

// Weigh asks how much memory the stream takes, and whether it is spread evenly. It
// reads no entry. A stream that does not exist weighs nothing.
func (s *Stream) Weigh(ctx context.Context) (w Weight, err error) {
	f, err := s.facts(ctx)
	if isMissing(err) {
		return Weight{Known: true}, nil
	}
	if err != nil {
		return Weight{}, classify("weigh "+s.name, err)
	}
	w.Entries = f.length
	if w.Bytes, w.Known, err = s.memory(ctx, 0); err != nil || !w.Known {
		return w, err
	}
	if f.nodes > 1 && w.Bytes > 2*stretchBytes {
		w.Uneven, err = s.uneven(ctx, w.Bytes, f.nodes)
	}
	return w, err
}

// memory asks MEMORY USAGE, of which only the first nodes of the stream are looked at
// and the others are taken to weigh as much on average; 0 looks at all of them.
func (s *Stream) memory(ctx context.Context, nodes int64) (bytes int64, known bool, err error) {
	bytes, err = s.redis.MemoryUsage(ctx, s.name, int(nodes)).Result()
	switch {
	case err == nil:
		return bytes, true, nil
	case isNil(err): // the stream has gone meanwhile
		return 0, true, nil
	case hasCode(err, []string{noPermission, "ERR unknown"}):
		return 0, false, nil
	}
	return 0, false, classify("weigh "+s.name, err)
}

// uneven compares stretches of nodes with the average one. Where the first k nodes
// weigh P(k), MEMORY USAGE with k samples answers P(k)/k*(nodes-1) and a constant: so the
// difference of two answers, each times its k, is what lies between, and too much by
// the same small share for every stretch.
func (s *Stream) uneven(ctx context.Context, bytes, nodes int64) (bool, error) {
	average := float64(bytes) / float64(nodes)
	stretch := max(nodes*stretchBytes/bytes, nodes/maxStretches, 1)
	before := 0.0
	for k := int64(0); k < nodes-1; {
		next := min(k+stretch, nodes-1)
		estimate, _, err := s.memory(ctx, next)
		if err != nil {
			return false, err
		}
		upTo := float64(estimate) / float64(nodes-1) * float64(next)
		if usual := average * float64(next-k); upTo-before > usual+max(stretchBytes, average*float64(stretch))/2 {
			return true, nil
		}
		before, k = upTo, next
	}
	return false, nil
}

func isNil(err error) bool { return err == redis.Nil } //nolint:errorlint // go-redis returns it as it is
