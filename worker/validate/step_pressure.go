package validate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/stream"
)

const pressureAbout = "Starts a Redis of its own with the shipped configuration, fills it to 95 %, holds that for 5 minutes while events come and go, " +
	"removes 1,000 events, then goes beyond the limit: under allkeys-lru until streams are evicted, and under noeviction until events are refused. " +
	"Needs 3 GB of memory and 5 GB of disk."

const (
	pressedTo   = 95 // percent
	pressedRate = 50 // events a second that come and go meanwhile; the first validation saw 45 operations
	recovered   = 1000
	// beyondMost bounds how many events are added beyond the limit: a server that
	// still neither evicts nor refuses has no limit.
	beyondMost = 0.2 // of what it held at 95 %
)

// pressure fills a Redis to its limit, and beyond.
func pressure(ctx context.Context, s *Session) error {
	p, err := newPressure(ctx, s)
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{p.fill, p.hold, p.recover, p.evict, p.refuse} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	s.remark("That evictions and refusals reach a person is what the step alerts tries: RedisEvicting, RedisRefusingAdds, StreamWentBack, RedisMemoryCritical.")
	return nil
}

type pressureRun struct {
	*Session
	own     *ownRedis
	filler  *filler
	memory  *Plot
	unwatch func()
}

func newPressure(ctx context.Context, s *Session) (*pressureRun, error) {
	p := &pressureRun{Session: s, memory: s.plot("Memory", "% of maxmemory")}
	p.memory.Limit = 100
	var options []string
	if s.cfg.Quick {
		options = append(options, quickMemory)
	}
	var err error
	if p.own, err = s.startRedis(ctx, "pressure", options...); err != nil {
		return nil, err
	}
	if p.filler, err = newFiller(p.own.stream); err != nil {
		return nil, err
	}
	p.unwatch = sample(ctx, quick(s, time.Second, 100*time.Millisecond), func(ctx context.Context) {
		if now, err := readInfo(ctx, p.own.redis, "memory"); err == nil {
			p.memory.add("used", now.memoryShare())
			p.memory.add("data", now.dataShare())
		}
	})
	s.cleanup(func(context.Context) error { p.unwatch(); return nil })
	return p, s.factsOfRedis(ctx, p.own.redis)
}

// policy sets what the server does at its limit.
func (p *pressureRun) policy(ctx context.Context, name string) error {
	if err := p.own.redis.ConfigSet(ctx, "maxmemory-policy", name).Err(); err != nil {
		return fmt.Errorf("set maxmemory-policy: %w", err)
	}
	return nil
}

// fill adds events until the server is pressed.
func (p *pressureRun) fill(ctx context.Context) error {
	if err := p.policy(ctx, "allkeys-lru"); err != nil {
		return err
	}
	state, err := readInfo(ctx, p.own.redis, "memory")
	if err != nil {
		return err
	}
	limit := int64(state.number("maxmemory"))
	p.check("the server has a limit", func() (string, error) {
		if limit == 0 {
			return "", errors.New("maxmemory is 0: it takes what the machine has, until the kernel kills it. CONFIG SET maxmemory 2gb")
		}
		return Number(float64(limit)/1e6, "MB"), nil
	})
	if limit == 0 {
		return nil
	}
	p.memory.mark("filling")
	if err := p.fillTo(ctx, pressedTo); err != nil {
		return err
	}
	if state, err = readInfo(ctx, p.own.redis); err != nil {
		return err
	}
	p.criterion(Criterion{Name: "filled to", Value: state.dataShare(), Unit: "%", Bar: atLeast(pressedTo), First: "95 %",
		Detail: Number(float64(p.filler.held.total()), "events")})
	p.criterion(Criterion{Name: "evicted while filling", Value: state.number("evicted_keys"), Bar: exactly(0), First: "0"})
	return nil
}

// fillTo adds events until a share of the memory is used, in percent. Near the
// end it goes in small steps.
func (p *pressureRun) fillTo(ctx context.Context, share float64) error {
	state, err := readInfo(ctx, p.own.redis, "memory")
	if err != nil {
		return err
	}
	bar := p.progress(fmt.Sprintf("to %.0f %%", share), "bytes", int64(state.number("maxmemory")*share/100))
	defer bar.done()
	for state.dataShare() < share {
		n := batchSize
		if share-state.dataShare() < 1 {
			n = batchSize / 10
		}
		if _, err := p.filler.add(ctx, n); err != nil {
			return err
		}
		if state, err = readInfo(ctx, p.own.redis, "memory"); err != nil {
			return err
		}
		bar.set(int64(state.dataMemory()))
	}
	return nil
}

// hold has events come and go while the memory stays where it is.
func (p *pressureRun) hold(ctx context.Context) error {
	if p.unlimited() {
		return nil
	}
	length := quick(p.Session, 300*time.Second, 2*time.Second)
	p.memory.mark("holding")
	before, err := readInfo(ctx, p.own.redis)
	if err != nil {
		return err
	}
	bar := p.progress("holding", "s", int64(length.Seconds()))
	defer bar.done()
	low, high := before.dataShare(), before.memoryShare()
	stop := sample(ctx, 250*time.Millisecond, func(ctx context.Context) {
		if now, err := readInfo(ctx, p.own.redis, "memory"); err == nil {
			low, high = min(low, now.dataShare()), max(high, now.memoryShare())
		}
	})
	events, err := newMaker(2)
	if err != nil {
		return err
	}
	load := openLoad{rate: pressedRate, producers: 1, length: length, progress: bar,
		plots: &loadPlots{latency: p.plot("Latency under pressure: one event in, one out", "ms")},
		send:  func(ctx context.Context, _ int) error { return p.inAndOut(ctx, events) },
	}
	seen, err := load.run(ctx)
	stop()
	if err != nil {
		return err
	}
	after, err := readInfo(ctx, p.own.redis)
	if err != nil {
		return err
	}
	p.criterion(Criterion{Name: "held for", Value: seen.seconds, Unit: "s", Bar: atLeast(0.99 * length.Seconds()), First: "300 s"})
	p.criterion(Criterion{Name: "evicted while holding", Value: after.number("evicted_keys") - before.number("evicted_keys"), Bar: exactly(0), First: "0"})
	p.criterion(Criterion{Name: "memory while holding, lowest", Value: low, Unit: "%", Bar: atLeast(pressedTo - 1), First: "94.2 %"})
	p.criterion(Criterion{Name: "memory while holding, highest", Value: high, Unit: "%", Bar: below(100), First: "95.0 %"})
	p.criterion(Criterion{Name: "events in and out", Value: seen.rate(), Unit: "events/s", Bar: p.timed(atLeast(0.98 * pressedRate)), First: "44.9 ops/s", Detail: seen.trouble()})
	p.criterion(Criterion{Name: "refused while holding", Value: seen.missed(), Bar: exactly(0)})
	p.criterion(Criterion{Name: "latency while holding, P50", Value: seen.ms(50), Unit: "ms", Bar: p.timed(below(10))})
	p.criterion(Criterion{Name: "latency while holding, P95", Value: seen.ms(95), Unit: "ms", Bar: p.timed(below(50)), Detail: seen.String()})
	return nil
}

// inAndOut adds an event and deletes it.
func (p *pressureRun) inAndOut(ctx context.Context, events *maker) error {
	batch := events.next(1)
	ids, err := p.own.stream.Add(ctx, batch)
	if err != nil {
		return err
	}
	return p.own.redis.XDel(ctx, p.own.stream.Name(batch[0].Kind), ids[0].String()).Err()
}

// unlimited reports whether the server turned out to have no limit.
func (p *pressureRun) unlimited() bool { return p.filler.held.total() == 0 }

// recover removes events from the front, as a drain does, and looks for their memory.
func (p *pressureRun) recover(ctx context.Context) error {
	if p.unlimited() {
		return nil
	}
	p.memory.mark("recovering")
	before, err := readInfo(ctx, p.own.redis, "memory")
	if err != nil {
		return err
	}
	began := time.Now()
	removed, err := p.removeOldest(ctx, recovered)
	if err != nil {
		return err
	}
	after, err := readInfo(ctx, p.own.redis, "memory")
	if err != nil {
		return err
	}
	p.criterion(Criterion{Name: "memory back after removing 1,000 events", Value: (before.dataMemory() - after.dataMemory()) / 1000, Unit: "kB", Bar: above(recovered * 300 / 1000),
		First: "recovered", Detail: fmt.Sprintf("%d removed in %.0f ms", removed, 1000*time.Since(began).Seconds())})
	return nil
}

// removeOldest trims the fullest stream by n entries.
func (p *pressureRun) removeOldest(ctx context.Context, n int64) (int64, error) {
	found, err := lengths(ctx, p.own.stream)
	if err != nil {
		return 0, err
	}
	fullest := event.Likes
	for kind, length := range found {
		if length > found[fullest] {
			fullest = kind
		}
	}
	return p.own.redis.XTrimMaxLen(ctx, p.own.stream.Name(fullest), found[fullest]-n).Result()
}

// evict goes beyond the limit under allkeys-lru. Redis then takes whole streams;
// what matters is that it is noticed, and how many events went.
func (p *pressureRun) evict(ctx context.Context) error {
	if p.unlimited() {
		return nil
	}
	p.memory.mark("beyond, allkeys-lru")
	if err := p.startOver(ctx); err != nil {
		return err
	}
	added := p.filler.held.total()
	books, err := p.account(ctx, nil)
	if err != nil {
		return err
	}
	bar := p.progress("beyond the limit, allkeys-lru", "events", int64(beyondMost*float64(added)))
	defer bar.done()
	state, refused, longest := info{}, error(nil), time.Duration(0)
	for beyond := int64(0); state.number("evicted_keys") == 0 && beyond < int64(beyondMost*float64(added))+batchSize && refused == nil; beyond = p.filler.held.total() - added {
		began := time.Now()
		if _, refused = p.filler.add(ctx, batchSize); refused != nil && !errors.Is(refused, stream.ErrRefused) {
			return refused
		}
		longest = max(longest, time.Since(began))
		if books, err = p.account(ctx, books); err != nil {
			return err
		}
		if state, err = readInfo(ctx, p.own.redis); err != nil {
			return err
		}
		bar.set(p.filler.held.total() - added)
	}
	p.criterion(Criterion{Name: "allkeys-lru, beyond the limit: longest wait of a producer", Value: float64(longest.Microseconds()) / 1000, Unit: "ms", Bar: measured(), First: "not tried",
		Detail: fmt.Sprintf("for the answer to %d events", batchSize)})
	return p.judgeEviction(ctx, state, books, refused)
}

func (p *pressureRun) judgeEviction(ctx context.Context, state info, books map[event.Kind]*account.State, refused error) error {
	found, err := lengths(ctx, p.own.stream)
	if err != nil {
		return err
	}
	gone := p.filler.held.total()
	for _, n := range found {
		gone -= n
	}
	booked := int64(0)
	for _, b := range books {
		booked += b.Lost[account.Evicted]
	}
	detail := "whole streams: this is what allkeys-lru does to a buffer"
	if refused != nil {
		detail = refused.Error()
	}
	p.criterion(Criterion{Name: "allkeys-lru, beyond the limit: streams evicted, seen in evicted_keys", Value: state.number("evicted_keys"), Bar: atLeast(1), First: "not tried", Detail: detail})
	p.criterion(Criterion{Name: "allkeys-lru: events that were acknowledged and are gone", Value: float64(gone), Unit: "events", Bar: measured(), First: "not tried",
		Detail: fmt.Sprintf("%.0f %% of the buffer", 100*float64(gone)/float64(p.filler.held.total()))})
	share := 0.0
	if gone > 0 {
		share = 100 * float64(booked) / float64(gone)
	}
	p.criterion(Criterion{Name: "allkeys-lru: share of the loss that the account of losses proves", Value: share, Unit: "%", Bar: atLeast(90), First: "not tried",
		Detail: Number(float64(booked), "events") + ", class evicted"})
	return nil
}

// account looks at every stream and books what went since the last look.
func (p *pressureRun) account(ctx context.Context, books map[event.Kind]*account.State) (map[event.Kind]*account.State, error) {
	if books == nil {
		books = make(map[event.Kind]*account.State)
	}
	for _, kind := range event.Kinds() {
		if books[kind] == nil {
			books[kind] = &account.State{}
		}
		l, err := p.own.stream.Stream(kind).Look(ctx, 1)
		if err != nil {
			return nil, err
		}
		noFiles := func() ([]account.Part, error) { return nil, nil }
		if err := books[kind].Begin(account.Look(l), noFiles); err != nil {
			return nil, err
		}
		l.Exists = true // a drain creates it, and takes nothing here
		if err := books[kind].End(account.Look(l), 0, noFiles, nil); err != nil {
			return nil, err
		}
	}
	return books, nil
}

// startOver empties the server and fills it to where it was pressed.
func (p *pressureRun) startOver(ctx context.Context) error {
	if err := p.own.redis.FlushAll(ctx).Err(); err != nil {
		return err
	}
	if err := p.own.redis.ConfigResetStat(ctx).Err(); err != nil { // evicted_keys counts from here
		return err
	}
	p.filler.held = make(holdings)
	return p.fillTo(ctx, pressedTo)
}

// refuse goes beyond the limit under noeviction.
func (p *pressureRun) refuse(ctx context.Context) error {
	if p.unlimited() {
		return nil
	}
	if err := p.policy(ctx, "noeviction"); err != nil {
		return err
	}
	p.memory.mark("beyond, noeviction")
	if err := p.startOver(ctx); err != nil {
		return err
	}
	added := p.filler.held.total()
	bar := p.progress("beyond the limit, noeviction", "events", int64(beyondMost*float64(added)))
	defer bar.done()
	var refused error
	for refused == nil && p.filler.held.total() < added+int64(beyondMost*float64(added)) {
		_, refused = p.filler.add(ctx, batchSize)
		bar.set(p.filler.held.total() - added)
	}
	p.check("noeviction, beyond the limit: producers are refused", func() (string, error) {
		if errors.Is(refused, stream.ErrRefused) {
			return refused.Error(), nil
		}
		return "", fmt.Errorf("the server took everything: %w", errors.Join(refused, errors.New("no refusal")))
	})
	return p.judgeRefusal(ctx)
}

func (p *pressureRun) judgeRefusal(ctx context.Context) error {
	bar := p.progress("reading back", "events", p.filler.held.total())
	found, err := readBack(ctx, p.own.stream, bar, nil)
	bar.done()
	if err != nil {
		return err
	}
	state, err := readInfo(ctx, p.own.redis)
	if err != nil {
		return err
	}
	p.criterion(Criterion{Name: "noeviction: streams evicted", Value: state.number("evicted_keys"), Bar: exactly(0), First: "not tried"})
	p.criterion(Criterion{Name: "noeviction: acknowledged events that are there", Value: 100 * float64(found.intact(p.filler.held)) / float64(p.filler.held.total()), Unit: "%", Bar: exactly(100), First: "not tried",
		Detail: "of " + Number(float64(p.filler.held.total()), "events") + ", every byte"})
	if _, err := p.removeOldest(ctx, 20*recovered); err != nil {
		return err
	}
	p.check("noeviction: after a drain events are taken again", func() (string, error) {
		n, err := p.filler.add(ctx, recovered)
		return Number(float64(n), "events"), err
	})
	return nil
}
