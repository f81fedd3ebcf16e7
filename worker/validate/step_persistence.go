package validate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"datawriter/worker/event"
)

const persistenceAbout = "Starts a Redis of its own with the shipped configuration, adds 100,000 events, rewrites the append-only file, restarts the server, " +
	"then kills it with kill -9 while events are being added, and reads back every entry each time."

const (
	persistedCount = 100_000
	killRate       = 1500
	// everysec is what appendfsync everysec may lose when the machine dies: a write
	// waits at most two seconds for a slow disk.
	everysec = 2 * time.Second
)

// persistence restarts and kills a Redis that holds events.
func persistence(ctx context.Context, s *Session) error {
	p, err := newPersistence(ctx, s)
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{p.fill, p.rewrite, p.restart, p.crash} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	s.remark("A process that is killed loses what it had not handed to the kernel; a machine that loses power also loses what the kernel had not " +
		"written: with appendfsync everysec up to two seconds, which no test of a process can show.")
	return nil
}

type persistenceRun struct {
	*Session
	own    *ownRedis
	filler *filler
	count  int
	// damage is called between the crash and the restart; tests break things there.
	damage func() error
}

func newPersistence(ctx context.Context, s *Session) (*persistenceRun, error) {
	p := &persistenceRun{Session: s, count: quick(s, persistedCount, 5_000), damage: func() error { return nil }}
	var err error
	if p.own, err = s.startRedis(ctx, "persistence"); err != nil {
		return nil, err
	}
	if p.filler, err = newFiller(p.own.stream); err != nil {
		return nil, err
	}
	return p, s.factsOfRedis(ctx, p.own.redis)
}

// fill adds the events, and sees that the server means to keep them.
func (p *persistenceRun) fill(ctx context.Context) error {
	bar := p.progress("filling", "events", int64(p.count))
	defer bar.done()
	for added := 0; added < p.count; added += batchSize {
		if _, err := p.filler.add(ctx, batchSize); err != nil {
			return err
		}
		bar.add(batchSize)
	}
	state, err := readInfo(ctx, p.own.redis)
	if err != nil {
		return err
	}
	p.check("an append-only file is written", func() (string, error) {
		switch {
		case state["aof_enabled"] != "1":
			return "", errors.New("appendonly is off: a restart would lose what came after the last snapshot. CONFIG SET appendonly yes")
		case state["aof_last_write_status"] != "ok":
			return "", errors.New("the last write to it failed: look at the server's log and its disk")
		}
		return fmt.Sprintf("%s MB", Number(state.number("aof_current_size")/1e6, "")), nil
	})
	return nil
}

// rewrite has the server write its append-only file anew.
func (p *persistenceRun) rewrite(ctx context.Context) error {
	began := time.Now()
	if err := p.own.redis.BgRewriteAOF(ctx).Err(); err != nil {
		return err
	}
	bar := p.progress("rewriting the append-only file", "s", 10)
	defer bar.done()
	for {
		state, err := readInfo(ctx, p.own.redis, "persistence")
		if err != nil {
			return err
		}
		if state["aof_rewrite_in_progress"] != "1" && state["aof_rewrite_scheduled"] != "1" {
			p.criterion(Criterion{Name: "rewriting the append-only file", Value: time.Since(began).Seconds(), Unit: "s", Bar: p.timed(below(30)), First: "1.0 s",
				Detail: fmt.Sprintf("%s, %s MB", state["aof_last_bgrewrite_status"], Number(state.number("aof_current_size")/1e6, ""))})
			p.check("the rewrite succeeded", func() (string, error) {
				if got := state["aof_last_bgrewrite_status"]; got != "ok" {
					return "", fmt.Errorf("aof_last_bgrewrite_status is %q", got)
				}
				return "aof_last_bgrewrite_status is ok", nil
			})
			return nil
		}
		pause(ctx, 10*time.Millisecond)
	}
}

// restart stops the server in order, and starts it on its files.
func (p *persistenceRun) restart(ctx context.Context) error {
	if err := p.own.stop(ctx); err != nil {
		return err
	}
	ready, err := p.own.start(ctx)
	if err != nil {
		return err
	}
	found, err := p.readBack(ctx)
	if err != nil {
		return err
	}
	p.criterion(Criterion{Name: "restart: until it answers", Value: ready.Seconds(), Unit: "s", Bar: p.timed(below(10)), First: "at once"})
	p.criterion(Criterion{Name: "restart: events that are back", Value: float64(found.total()), Bar: exactly(float64(p.count)), First: "100,000"})
	p.criterion(Criterion{Name: "restart: integrity", Value: 100 * float64(found.intact(p.filler.held)) / float64(p.count), Unit: "%", Bar: exactly(100), First: "100 %", Detail: "every byte of every entry"})
	return nil
}

func (p *persistenceRun) readBack(ctx context.Context) (holdings, error) {
	bar := p.progress("reading back", "events", p.filler.held.total())
	defer bar.done()
	return readBack(ctx, p.own.stream, bar, nil)
}

// crash kills the server under load, and looks for what it had acknowledged.
func (p *persistenceRun) crash(ctx context.Context) error {
	acknowledged, killed, err := p.killUnderLoad(ctx)
	if err != nil {
		return err
	}
	if err := p.damage(); err != nil {
		return err
	}
	ready, err := p.own.start(ctx)
	if err != nil {
		return err
	}
	present := make(map[entryKey]bool)
	bar := p.progress("reading back", "events", p.filler.held.total())
	found, err := readBack(ctx, p.own.stream, bar, func(kind event.Kind, id event.ID) { present[entryKey{kind, id}] = true })
	bar.done()
	if err != nil {
		return err
	}
	lost, lostEarlier := 0, 0
	for key, at := range acknowledged {
		if present[key] {
			continue
		}
		lost++
		if killed.Sub(at) > everysec {
			lostEarlier++
		}
	}
	p.criterion(Criterion{Name: "kill -9: until it answers", Value: ready.Seconds(), Unit: "s", Bar: p.timed(below(10))})
	p.criterion(Criterion{Name: "kill -9: events of before that are back", Value: float64(found.total() - int64(len(acknowledged)-lost)), Bar: atLeast(float64(p.count)), Detail: "and what was never acknowledged"})
	p.criterion(Criterion{Name: "kill -9: lost, acknowledged more than 2 s before", Value: float64(lostEarlier), Bar: exactly(0),
		Detail: fmt.Sprintf("of %s that were added at %d a second", Number(float64(len(acknowledged)), ""), killRate)})
	p.criterion(Criterion{Name: "kill -9: lost of the last 2 s", Value: float64(lost - lostEarlier), Unit: "events", Bar: measured()})
	return nil
}

// entryKey names an entry.
type entryKey struct {
	kind event.Kind
	id   event.ID
}

// killUnderLoad adds events at a rate, kills the server, and returns when each
// acknowledged entry was acknowledged.
func (p *persistenceRun) killUnderLoad(ctx context.Context) (acknowledged map[entryKey]time.Time, killed time.Time, err error) {
	acknowledged = make(map[entryKey]time.Time)
	var mu sync.Mutex
	events, err := newMaker(2)
	if err != nil {
		return nil, killed, err
	}
	length := quick(p.Session, 10*time.Second, 2500*time.Millisecond)
	bar := p.progress("kill -9 under load", "s", int64(length.Seconds()))
	defer bar.done()
	load := openLoad{rate: killRate, producers: 1, length: length + time.Second, progress: bar, send: func(ctx context.Context, _ int) error {
		batch := events.next(1)
		ids, err := p.own.stream.Add(ctx, batch)
		if err == nil {
			mu.Lock()
			acknowledged[entryKey{batch[0].Kind, ids[0]}] = time.Now()
			mu.Unlock()
		}
		return err
	}}
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { _, _ = load.run(loading) }) // its sends fail from the kill on
	pause(ctx, length)
	p.own.kill()
	killed = time.Now()
	stop()
	all.Wait()
	if ctx.Err() != nil {
		return nil, killed, context.Cause(ctx)
	}
	return acknowledged, killed, nil
}
