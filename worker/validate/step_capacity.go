package validate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

const capacityAbout = "Starts a Redis of its own with the shipped configuration, adds 2,700,000 realistic events to the five streams in batches of 1,000, " +
	"reads every one back, says how long the buffer lasts, and removes them. Needs 3 GB of memory and 5 GB of disk."

const (
	fullCount     = 2_700_000
	quickCount    = 54_000 // a fiftieth, in a fiftieth of the memory
	quickMemory   = "maxmemory 42949672"
	batchSize     = 1000
	mostMemory    = 90  // percent at which the buffer counts as full
	averageRate   = 348 // events a second: Bluesky in April 2026
	peakRate      = 1500
	firstRate     = fullCount / (8 * 3600.0) // the rate at which 2.7 million events are eight hours
	removedWithin = 30 * time.Second
)

// capacity fills a buffer with what it must hold.
func capacity(ctx context.Context, s *Session) error {
	c, err := newCapacity(ctx, s)
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{c.load, c.integrity, c.hours, c.remove} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

type capacityRun struct {
	*Session
	own    *ownRedis
	filler *filler
	count  int64
	before info // memory before and after the load
	after  info
}

func newCapacity(ctx context.Context, s *Session) (*capacityRun, error) {
	c := &capacityRun{Session: s, count: quick[int64](s, fullCount, quickCount)}
	var options []string
	if s.cfg.Quick {
		options = append(options, quickMemory)
	}
	var err error
	if c.own, err = s.startRedis(ctx, "capacity", options...); err != nil {
		return nil, err
	}
	if err := s.factsOfRedis(ctx, c.own.redis); err != nil {
		return nil, err
	}
	if c.before, err = readInfo(ctx, c.own.redis); err != nil {
		return nil, err
	}
	c.filler, err = newFiller(c.own.stream)
	return c, err
}

// load adds the events. It ends at the first refusal: the buffer is too small.
func (c *capacityRun) load(ctx context.Context) error {
	memory, rate := c.plot("Memory while the buffer fills", "% of maxmemory"), c.plot("Events added", "events/s")
	memory.Limit = mostMemory
	p := c.progress("filling", "events", c.count)
	defer p.done()
	peak, added, last, lastAt := 0.0, int64(0), int64(0), time.Now()
	stop := sample(ctx, quick(c.Session, time.Second, 100*time.Millisecond), func(ctx context.Context) {
		if now, err := readInfo(ctx, c.own.redis, "memory"); err == nil {
			peak = max(peak, now.memoryShare())
			memory.add("used", now.memoryShare())
		}
		done, now := p.count.Load(), time.Now()
		if passed := now.Sub(lastAt).Seconds(); passed > 0.05 {
			rate.add("added", float64(done-last)/passed)
		}
		last, lastAt = done, now
	})
	began := time.Now()
	var refused error
	for added < c.count && refused == nil {
		n, err := c.filler.add(ctx, batchSize)
		added += int64(n)
		p.add(int64(n))
		if refused = err; err != nil && !errors.Is(err, stream.ErrRefused) {
			stop()
			return err
		}
	}
	seconds := time.Since(began).Seconds()
	stop()
	var err error
	if c.after, err = readInfo(ctx, c.own.redis); err != nil {
		return err
	}
	detail := fmt.Sprintf("in %.0f s", seconds)
	if refused != nil {
		detail += ", then: " + refused.Error()
	}
	c.criterion(Criterion{Name: "events that Redis took", Value: float64(added), Bar: exactly(float64(c.count)), First: "2,700,000", Detail: detail})
	c.criterion(Criterion{Name: "events a second", Value: float64(added) / seconds, Unit: "events/s", Bar: c.timed(atLeast(peakRate)), First: "1,587 events/s"})
	c.criterion(Criterion{Name: "peak memory", Value: peak, Unit: "%", Bar: below(mostMemory), First: "78.5 %"})
	c.criterion(Criterion{Name: "streams evicted", Value: c.after.number("evicted_keys"), Bar: exactly(0), First: "0"})
	return nil
}

// integrity reads everything back.
func (c *capacityRun) integrity(ctx context.Context) error {
	p := c.progress("reading back", "events", c.filler.held.total())
	defer p.done()
	began := time.Now()
	found, err := readBack(ctx, c.own.stream, p, nil)
	if err != nil {
		return err
	}
	rate := float64(found.total()) / time.Since(began).Seconds()
	c.criterion(Criterion{Name: "events that wait in the streams", Value: float64(found.total()), Bar: exactly(float64(c.count)), First: "2,700,000"})
	c.criterion(Criterion{Name: "integrity", Value: 100 * float64(found.intact(c.filler.held)) / float64(c.count), Unit: "%", Bar: exactly(100), First: "100 % of a sample of 100",
		Detail: fmt.Sprintf("every byte of every entry, %s events/s", Number(rate, ""))})
	for _, kind := range event.Kinds() {
		c.fact(kind.String(), "%s events", Number(float64(found[kind].entries), ""))
	}
	return nil
}

// hours says how long the buffer lasts, by the memory that an event took.
func (c *capacityRun) hours(context.Context) error {
	bytes := (c.after.dataMemory() - c.before.dataMemory()) / float64(max(1, c.filler.held.total()))
	room := c.after.number("maxmemory")*mostMemory/100 - c.before.number("used_memory")
	hours := func(rate float64) float64 { return room / bytes / rate / 3600 }
	c.criterion(Criterion{Name: "memory of an event", Value: bytes, Unit: "bytes", Bar: measured()})
	first := measured()
	if !c.cfg.Quick {
		first = atLeast(8)
	}
	c.criterion(Criterion{Name: fmt.Sprintf("until %d %% full, at %.0f events/s", mostMemory, firstRate), Value: hours(firstRate), Unit: "h", Bar: first, First: "8 h"})
	c.criterion(Criterion{Name: fmt.Sprintf("until %d %% full, at %d events/s (Bluesky, April 2026)", mostMemory, averageRate), Value: hours(averageRate), Unit: "h", Bar: measured()})
	c.criterion(Criterion{Name: fmt.Sprintf("until %d %% full, at %d events/s", mostMemory, peakRate), Value: hours(peakRate), Unit: "h", Bar: measured()})
	return nil
}

// remove deletes the streams and waits until their memory is back.
func (c *capacityRun) remove(ctx context.Context) error {
	began := time.Now()
	for _, kind := range event.Kinds() {
		if err := c.own.redis.Unlink(ctx, c.own.stream.Name(kind)).Err(); err != nil {
			return err
		}
	}
	p := c.progress("removing", "s", int64(removedWithin.Seconds()))
	defer p.done()
	left := 0.0
	for {
		now, err := readInfo(ctx, c.own.redis)
		if err != nil {
			return err
		}
		left = 100 * (now.dataMemory() - c.before.dataMemory()) / (c.after.dataMemory() - c.before.dataMemory())
		if left < 5 || time.Since(began) > removedWithin {
			break
		}
		pause(ctx, 50*time.Millisecond)
	}
	c.criterion(Criterion{Name: "memory still taken after removing them", Value: left, Unit: "%", Bar: below(5), First: "cleaned up",
		Detail: fmt.Sprintf("after %.1f s", time.Since(began).Seconds())})
	return nil
}

// pause sleeps until d has passed or ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
