package validate

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

const throughputAbout = "Adds events one by one: one producer as fast as Redis answers, ten producers at 1,500 a second for 5 minutes at fixed times, " +
	"ten producers as fast as Redis answers. On a Redis of its own, or on --redis-url below the prefix " + trialPrefix + "."

const (
	sustainedRate = 1500
	producers     = 10
	// Events that wait at most, at the end of a part.
	throughputMax, throughputQuick = 1_000_000, 50_000
)

// throughput adds events as producers do.
func throughput(ctx context.Context, s *Session) error {
	t, err := s.openTarget(ctx, float64(quick(s, throughputMax, throughputQuick))*eventMemory)
	if err != nil {
		return err
	}
	r := &throughputRun{Session: s, target: t, makers: make([]*maker, producers), next: make([][]stream.Addition, producers)}
	for n := range r.makers {
		if r.makers[n], err = newMaker(uint64(n)); err != nil {
			return err
		}
	}
	for _, part := range []func(context.Context) error{r.alone, r.sustained, r.together} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

type throughputRun struct {
	*Session
	target *target
	makers []*maker // by producer
	next   [][]stream.Addition
	added  atomic.Int64
}

func (r *throughputRun) prepare(producer int) error {
	r.next[producer] = r.makers[producer].next(1)
	return nil
}

func (r *throughputRun) send(ctx context.Context, producer int) error {
	_, err := r.target.stream.Add(ctx, r.next[producer])
	if err == nil {
		r.added.Add(1)
	}
	return err
}

// alone is one producer, each event after the answer to the last.
func (r *throughputRun) alone(ctx context.Context) error {
	seen, err := r.flatOut(ctx, 1, "one producer")
	if err != nil {
		return err
	}
	r.criterion(Criterion{Name: "one producer", Value: seen.rate(), Unit: "events/s", Bar: r.timed(atLeast(1000)), First: "1,434 events/s", Detail: seen.String()})
	return nil
}

// together is ten of them.
func (r *throughputRun) together(ctx context.Context) error {
	seen, err := r.flatOut(ctx, producers, "ten producers")
	if err != nil {
		return err
	}
	r.criterion(Criterion{Name: "ten producers", Value: seen.rate(), Unit: "events/s", Bar: r.timed(atLeast(sustainedRate)), First: "7,023 events/s", Detail: seen.String()})
	return nil
}

// flatOut adds events as fast as they are acknowledged.
func (r *throughputRun) flatOut(ctx context.Context, n int, what string) (*loadResult, error) {
	length := quick(r.Session, 20*time.Second, 300*time.Millisecond)
	p := r.progress(what+", flat out", "s", int64(length.Seconds()))
	defer p.done()
	m := &meter{result: &loadResult{latencies: newLatencies()}, second: newLatencies(), plots: &loadPlots{rate: r.plot("Added flat out by "+what, "events/s")}}
	start := time.Now()
	ticking, stop := context.WithCancel(ctx)
	var watch, all sync.WaitGroup
	watch.Go(func() { m.tick(ticking, start, p) })
	for producer := range n {
		all.Go(func() {
			for time.Since(start) < length && ctx.Err() == nil && r.added.Load() < quick[int64](r.Session, throughputMax, throughputQuick) {
				_ = r.prepare(producer)
				began := time.Now()
				err := r.send(ctx, producer)
				m.note(time.Since(began), err)
			}
		})
	}
	all.Wait()
	m.result.seconds = time.Since(start).Seconds()
	stop()
	watch.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return m.result, r.emptied(ctx, what)
}

// sustained is the firehose at its peak: events come when they come.
func (r *throughputRun) sustained(ctx context.Context) error {
	length := quick(r.Session, 5*time.Minute, 2*time.Second)
	p := r.progress("1,500 events a second", "s", int64(length.Seconds()))
	defer p.done()
	memory := r.plot("Sustained: memory", "MB")
	stop := sample(ctx, quick(r.Session, time.Second, 200*time.Millisecond), func(ctx context.Context) {
		if now, err := readInfo(ctx, r.target.redis, "memory"); err == nil {
			memory.add("used", now.number("used_memory")/1e6)
		}
	})
	load := openLoad{
		rate: sustainedRate, producers: producers, length: length, prepare: r.prepare, send: r.send, progress: p,
		plots: &loadPlots{r.plot("Sustained: events added", "events/s"), r.plot("Sustained: latency from when each was due", "ms")},
	}
	seen, err := load.run(ctx)
	stop()
	if err != nil {
		return err
	}
	r.judge(seen)
	return r.emptied(ctx, "sustained")
}

func (r *throughputRun) judge(seen *loadResult) {
	r.criterion(Criterion{Name: "sustained", Value: seen.rate(), Unit: "events/s", Bar: r.timed(atLeast(0.995 * sustainedRate)), First: "1,500 events/s",
		Detail: fmt.Sprintf("for %.0f s, ten producers", seen.seconds)})
	r.criterion(Criterion{Name: "sustained, not acknowledged", Value: seen.missed(), Bar: exactly(0), Detail: seen.trouble()})
	r.criterion(Criterion{Name: "sustained, P50", Value: seen.ms(50), Unit: "ms", Bar: r.timed(below(10)), First: "< 1.2 ms"})
	r.criterion(Criterion{Name: "sustained, P95", Value: seen.ms(95), Unit: "ms", Bar: r.timed(below(50)), First: "< 2.3 ms"})
	r.criterion(Criterion{Name: "sustained, P99", Value: seen.ms(99), Unit: "ms", Bar: measured(), First: "< 3.9 ms",
		Detail: fmt.Sprintf("P99.9 %.1f, most %.1f ms, each from when it was due", seen.ms(99.9), float64(seen.Max())/1000)})
	if r.cfg.Quick {
		return // two seconds have no stability
	}
	mean, deviation := spread(seen.perSecond)
	r.criterion(Criterion{Name: "sustained, deviation from second to second", Value: 100 * deviation / mean, Unit: "%", Bar: below(10), First: "minimal variance"})
	third := len(seen.perSecond) / 3
	early, _ := spread(seen.perSecond[:third])
	late, _ := spread(seen.perSecond[len(seen.perSecond)-third:])
	r.criterion(Criterion{Name: "sustained, last third against first", Value: 100 * late / early, Unit: "%", Bar: atLeast(98), First: "no degradation"})
}

// spread returns the mean and the standard deviation.
func spread(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, math.Sqrt(deviation)
}

// emptied checks that the streams hold what was acknowledged, and empties them.
func (r *throughputRun) emptied(ctx context.Context, what string) error {
	found, err := lengths(ctx, r.target.stream)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, n := range found {
		total += n
	}
	added := r.added.Swap(0)
	r.criterion(Criterion{Name: what + ", events in the streams", Value: float64(total), Bar: exactly(float64(added))})
	for _, kind := range event.Kinds() {
		if err := r.target.redis.Unlink(ctx, r.target.stream.Name(kind)).Err(); err != nil {
			return err
		}
	}
	return nil
}
