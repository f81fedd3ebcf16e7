package validate

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const baselineAbout = "Sets and gets keys of 512 bytes with 1 to 50 connections as fast as Redis answers, adds events to streams and looks at the memory, " +
	"then sends 1,000 operations a second for a minute at fixed times. On a Redis of its own, or on --redis-url below the prefix " + trialPrefix + "."

const (
	baselineValue = 512   // bytes, about an event
	baselineKeys  = 10000 // that are written again and again

	baselineEvents, baselineQuick = 100_000, 5_000
)

// baseline measures what a Redis does.
func baseline(ctx context.Context, s *Session) error {
	t, err := s.openTarget(ctx, float64(quick(s, baselineEvents, baselineQuick))*eventMemory)
	if err != nil {
		return err
	}
	b := &baselineRun{Session: s, target: t, value: make([]byte, baselineValue)}
	for _, part := range []func(context.Context) error{b.fill, b.single, b.concurrent, b.memory, b.sustained} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

type baselineRun struct {
	*Session
	target *target
	value  []byte
	sent   atomic.Int64
}

func (b *baselineRun) key(n int) string {
	return b.target.prefix + "key:" + strconv.Itoa(n%baselineKeys)
}

func (b *baselineRun) set(ctx context.Context, client redis.Cmdable, n int) error {
	return client.Set(ctx, b.key(n), b.value, 0).Err()
}

func (b *baselineRun) get(ctx context.Context, client redis.Cmdable, n int) error {
	return client.Get(ctx, b.key(n)).Err()
}

// fill writes every key, so that none is asked for in vain.
func (b *baselineRun) fill(ctx context.Context) error {
	pipe := b.target.redis.Pipeline()
	for n := range baselineKeys {
		pipe.Set(ctx, b.key(n), b.value, 0)
	}
	_, err := pipe.Exec(ctx)
	return err
}

// single asks one thing after the other, on one connection.
func (b *baselineRun) single(ctx context.Context) error {
	length := quick(b.Session, 10*time.Second, 300*time.Millisecond)
	for _, op := range []struct {
		name string
		do   func(context.Context, redis.Cmdable, int) error
	}{{"SET", b.set}, {"GET", b.get}} {
		p := b.progress(op.name+", one connection", "s", int64(length.Seconds()))
		seen, err := b.hammer(ctx, 1, length, op.do, p)
		if err != nil {
			return err
		}
		b.criterion(Criterion{Name: op.name + ", one connection", Value: seen.rate(), Unit: "ops/s", Bar: b.timed(atLeast(1000)), First: "15,000 ops/s (target 1,000)", Detail: seen.String()})
	}
	return nil
}

// concurrent asks on 1 to 50 connections at once.
func (b *baselineRun) concurrent(ctx context.Context) error {
	length := quick(b.Session, 5*time.Second, 150*time.Millisecond)
	steps := []int{1, 2, 5, 10, 25, 50}
	rates, waits := b.plot("SET and GET by connections", "ops/s"), b.plot("Latency by connections", "ms")
	p := b.progress("1 to 50 connections", "s", int64(length.Seconds())*int64(len(steps)))
	defer p.done()
	failed := &loadResult{}
	for _, connections := range steps {
		seen, err := b.hammer(ctx, connections, length, b.both, p)
		if err != nil {
			return err
		}
		rates.addCategory(float64(connections), "connections", "ops/s", seen.rate())
		waits.addCategory(float64(connections), "connections", "P50", seen.ms(50))
		waits.addCategory(float64(connections), "connections", "P99", seen.ms(99))
		b.criterion(Criterion{Name: fmt.Sprintf("SET and GET, %d connections", connections), Value: seen.rate(), Unit: "ops/s", Bar: b.timed(atLeast(1000)), Detail: seen.String()})
		failed.failed += seen.failed
		failed.firstErr = cmp.Or(failed.firstErr, seen.firstErr)
	}
	b.criterion(Criterion{Name: "no operation failed", Value: float64(failed.failed), Bar: exactly(0), Detail: failed.trouble()})
	return nil
}

func (b *baselineRun) both(ctx context.Context, client redis.Cmdable, n int) error {
	if n%2 == 0 {
		return b.set(ctx, client, n)
	}
	return b.get(ctx, client, n)
}

// hammer has connections ask as fast as they are answered: what a server can do,
// not how long somebody waits who comes at a time of his own.
func (b *baselineRun) hammer(ctx context.Context, connections int, length time.Duration, do func(context.Context, redis.Cmdable, int) error, p *progress) (*loadResult, error) {
	m := &meter{result: &loadResult{latencies: newLatencies()}, second: newLatencies()}
	start := time.Now()
	var all sync.WaitGroup
	for c := range connections {
		all.Go(func() {
			for n := c; time.Since(start) < length && ctx.Err() == nil; n += connections {
				began := time.Now()
				err := do(ctx, b.target.redis, n)
				m.note(time.Since(began), err)
			}
		})
	}
	all.Wait()
	p.add(int64(length.Seconds()))
	m.result.seconds = time.Since(start).Seconds()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if m.result.TotalCount() == 0 {
		return nil, fmt.Errorf("redis answered nothing: %w", m.result.firstErr)
	}
	return m.result, nil
}

// memory adds events to the five streams and looks at what they take.
func (b *baselineRun) memory(ctx context.Context) error {
	count := quick(b.Session, baselineEvents, baselineQuick)
	before, err := readInfo(ctx, b.target.redis, "memory")
	if err != nil {
		return err
	}
	events, err := newMaker(1)
	if err != nil {
		return err
	}
	p := b.progress("memory under load", "events", int64(count))
	defer p.done()
	memory := b.plot("Memory while events are added", "MB")
	for added := 0; added < count; added += 1000 {
		if _, err := b.target.stream.Add(ctx, events.next(1000)); err != nil {
			return err
		}
		p.add(1000)
		if now, err := readInfo(ctx, b.target.redis, "memory"); err == nil {
			memory.add("used", now.number("used_memory")/1e6)
		}
	}
	after, err := readInfo(ctx, b.target.redis, "memory")
	if err != nil {
		return err
	}
	b.criterion(Criterion{Name: "memory of an event", Value: (after.dataMemory() - before.dataMemory()) / float64(count), Unit: "bytes", Bar: atMost(800),
		Detail: fmt.Sprintf("%d events", count)})
	b.criterion(Criterion{Name: "memory under load", Value: after.memoryShare(), Unit: "%", Bar: below(80), First: "< 80 %"})
	return nil
}

// sustained sends at fixed times for a while.
func (b *baselineRun) sustained(ctx context.Context) error {
	const rate = 1000
	length := quick(b.Session, time.Minute, time.Second)
	p := b.progress("sustained", "s", int64(length.Seconds()))
	defer p.done()
	load := openLoad{
		rate: rate, producers: 10, length: length, progress: p,
		send:  func(ctx context.Context, _ int) error { return b.both(ctx, b.target.redis, int(b.sent.Add(1))) },
		plots: &loadPlots{b.plot("Sustained: operations", "per second"), b.plot("Sustained: latency from when each was due", "ms")},
	}
	seen, err := load.run(ctx)
	if err != nil {
		return err
	}
	b.criterion(Criterion{Name: "sustained", Value: seen.rate(), Unit: "ops/s", Bar: b.timed(atLeast(0.99 * rate)), First: "1,000 ops/s", Detail: seen.trouble()})
	b.criterion(Criterion{Name: "sustained, P50", Value: seen.ms(50), Unit: "ms", Bar: b.timed(below(10)), First: "< 1 ms"})
	b.criterion(Criterion{Name: "sustained, P95", Value: seen.ms(95), Unit: "ms", Bar: b.timed(below(50)), First: "< 2 ms"})
	b.criterion(Criterion{Name: "sustained, P99", Value: seen.ms(99), Unit: "ms", Bar: measured(), First: "< 5 ms"})
	return nil
}
