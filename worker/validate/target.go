package validate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
	"datawriter/worker/simulate"
	"datawriter/worker/stream"
)

// ErrForeign: what a step would write to is somebody else's.
var ErrForeign = errors.New("the step would touch what is not its own")

const (
	// trialPrefix begins every key that a step writes to a Redis that it did not start.
	trialPrefix = "datawriter-validate:"
	ownerKey    = trialPrefix + "owner"
	// mostFilled is how full a Redis may be that is tried while it works: trials
	// must not be what pushes it over its limit.
	mostFilled = 80 // percent
	// eventMemory is what an event takes in Redis, in bytes, with room to spare.
	eventMemory = 700
)

// target is the Redis that a step tries: one of its own, or a given one.
type target struct {
	redis  *redis.Client
	stream *stream.Client // below trialPrefix where the server is a given one
	prefix string         // of keys that are no streams
}

// openTarget starts a Redis, or takes the given one after making sure that the
// trial's keys are nobody's, and that there is room for the bytes that it needs.
func (s *Session) openTarget(ctx context.Context, needs float64) (*target, error) {
	if s.cfg.Redis == "" {
		own, err := s.startRedis(ctx, "redis")
		if err != nil {
			return nil, err
		}
		return &target{own.redis, own.stream, trialPrefix}, s.factsOfRedis(ctx, own.redis)
	}
	access := s.cfg.RedisAccess
	access.URL, access.Prefix, access.Connections = s.cfg.Redis, trialPrefix, 64
	given, err := stream.Open(access)
	if err != nil {
		return nil, err
	}
	s.cleanup(func(context.Context) error { return given.Close() })
	t := &target{redis: given.Redis(), stream: given, prefix: trialPrefix}
	if err := t.claim(ctx, needs); err != nil {
		return nil, err
	}
	s.cleanup(t.clear)
	return t, s.factsOfRedis(ctx, t.redis)
}

// claim makes the trial's keys ours, or refuses: streams of somebody else, or of
// a trial that runs, are left alone.
func (t *target) claim(ctx context.Context, needs float64) error {
	state, err := readInfo(ctx, t.redis)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnready, err)
	}
	if limit := state.number("maxmemory"); limit > 0 && state.number("used_memory")+needs > limit*mostFilled/100 {
		return fmt.Errorf("%w: this Redis is %.0f %% full, and the trial's %.0f MB could push out what waits in it: drain it, or leave --redis-url out",
			ErrForeign, state.memoryShare(), needs/1e6)
	}
	found, err := t.keys(ctx)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("%w: %s exists. Another trial runs, or one was killed, or the key is yours: delete the keys %s* if they are nobody's", ErrForeign, found[0], trialPrefix)
	}
	host, _ := os.Hostname()
	mine, err := t.redis.SetNX(ctx, ownerKey, fmt.Sprintf("datawriter validate, process %d on %s, %s", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339)), 0).Result()
	if err == nil && !mine {
		err = fmt.Errorf("%w: another trial began at this moment", ErrForeign)
	}
	return err
}

// keys lists the keys below the trial's prefix.
func (t *target) keys(ctx context.Context) (keys []string, err error) {
	scan := t.redis.Scan(ctx, 0, trialPrefix+"*", 1000).Iterator()
	for scan.Next(ctx) {
		keys = append(keys, scan.Val())
	}
	if scan.Err() != nil {
		return nil, fmt.Errorf("look for keys of others: %w", scan.Err())
	}
	return keys, nil
}

// clear removes everything that the trial wrote.
func (t *target) clear(ctx context.Context) error {
	keys, err := t.keys(ctx)
	if err != nil || len(keys) == 0 {
		return err
	}
	return t.redis.Unlink(ctx, keys...).Err()
}

// maker makes realistic events for one producer. It is not safe for concurrent use.
type maker struct {
	generator *simulate.Generator
	batch     []stream.Addition
}

func newMaker(seed uint64) (*maker, error) {
	generator, err := simulate.NewGenerator(simulate.Traits{Seed: seed})
	return &maker{generator: generator}, err
}

var eventField = []byte("event")

// next makes n additions, valid until the next call.
func (m *maker) next(n int) []stream.Addition {
	m.batch = m.batch[:0]
	now := time.Now()
	for range n {
		kind := m.generator.Kind()
		m.batch = append(m.batch, stream.Addition{Kind: kind, Fields: [][]byte{eventField, m.generator.Next(kind, now)}})
	}
	return m.batch
}

// lengths returns how many entries wait in each stream.
func lengths(ctx context.Context, client *stream.Client) (map[event.Kind]int64, error) {
	found := make(map[event.Kind]int64)
	for _, kind := range event.Kinds() {
		state, err := client.Stream(kind).State(ctx)
		if err != nil {
			return nil, err
		}
		found[kind] = state.Length
	}
	return found, nil
}
