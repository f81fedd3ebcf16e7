package validate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/monitor"
	"datawriter/worker/simulate"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// windowLength is that of the rehearsal's windows.
const windowLength = 5 * time.Minute

// Times of the shipped configuration, which a rehearsal divides.
const (
	escalationAfter = 15 * time.Minute
	// criticalWithin and warningWithin bound the time from when a condition has
	// held for its `for` to the message.
	criticalWithin = 30 * time.Second
	warningWithin  = 5 * time.Minute
	// resolvedWithin is longer, because rates look back.
	resolvedWithin = 12 * time.Minute
)

// slack is how much longer a message may take in a rehearsal than its divided
// time: programs need time that does not run faster. The exporter looks at the
// run log every 2 and at Redis every 5 seconds.
const slack = 15 * time.Second

// scenario is one way to break the stack, and the alert that must follow.
type scenario struct {
	name   string
	alert  string
	within time.Duration // for of the alert and what it looks back on, then to the message
	breaks func(context.Context, *rehearsal) error
	mends  func(context.Context, *rehearsal) error
}

func scenarios() []scenario {
	return []scenario{
		{"memory above 95 %", "RedisMemoryCritical", 15*time.Second + criticalWithin, fillMemory, emptyMemory},
		{"slow commands", "RedisLatencyCritical", 30*time.Second + time.Minute + criticalWithin, slowCommands, quickCommands},
		{"a window that fails", "WindowFailed", warningWithin, failWindow, drainWindow},
	}
}

// alerts brings up a rehearsal and breaks it in every way that a person must hear
// of.
func alerts(ctx context.Context, s *Session) error {
	s.cfg.Faster = max(s.cfg.Faster, 1)
	var r *rehearsal
	var failed error
	s.check("the rehearsal is up", func() (string, error) {
		r, failed = startRehearsal(ctx, s.cfg)
		return fmt.Sprintf("time runs %d times faster", s.cfg.Faster), failed
	})
	if r != nil {
		defer r.close()
	}
	if failed != nil {
		return failed
	}
	for _, sc := range scenarios() {
		s.rehearse(ctx, r, sc)
	}
	s.rehearseOutage(ctx, r)
	s.check("every message is one that Slack takes", func() (string, error) {
		r.receiver.mu.Lock()
		defer r.receiver.mu.Unlock()
		return fmt.Sprintf("%d messages", len(r.receiver.all)), errors.Join(r.receiver.refused...)
	})
	return ctx.Err()
}

// rehearse breaks, waits for the message, mends, and waits for its end.
func (s *Session) rehearse(ctx context.Context, r *rehearsal, sc scenario) {
	began := time.Now()
	if !s.check(sc.name+": done", func() (string, error) { return "", sc.breaks(ctx, r) }) {
		return
	}
	broken := time.Now()
	s.check(sc.name+": "+sc.alert+" is told", func() (string, error) {
		_, err := r.receiver.await(ctx, firstChannel, began, time.Since(began)+s.hurried(sc.within), func(m message) bool { return m.fires(sc.alert) })
		return fmt.Sprintf("%.1f s after the cause", time.Since(broken).Seconds()), err
	})
	mended := time.Now()
	if !s.check(sc.name+": mended", func() (string, error) { return "", sc.mends(ctx, r) }) {
		return
	}
	s.check(sc.name+": its end is told", func() (string, error) {
		took, err := r.receiver.await(ctx, firstChannel, mended, time.Since(mended)+s.hurried(resolvedWithin), func(m message) bool { return m.resolves(sc.alert) })
		return fmt.Sprintf("after %.1f s", took.Seconds()), err
	})
}

// hurried is how long a duration of the shipped configuration may take here.
func (s *Session) hurried(d time.Duration) time.Duration {
	return d/time.Duration(s.cfg.Faster) + slack
}

// rehearseOutage stops Redis twice: once nobody acknowledges, once somebody does.
func (s *Session) rehearseOutage(ctx context.Context, r *rehearsal) {
	const alert = "RedisDown"
	stopped := time.Now()
	r.children["redis"].kill()
	fires := func(m message) bool { return m.fires(alert) }
	resolves := func(m message) bool { return m.resolves(alert) }
	s.check("Redis stops: "+alert+" is told", func() (string, error) {
		took, err := r.receiver.await(ctx, firstChannel, stopped, s.hurried(15*time.Second+criticalWithin), fires)
		return fmt.Sprintf("after %.1f s", took.Seconds()), err
	})
	s.check("nobody acknowledges: the second channel is told", func() (string, error) {
		took, err := r.receiver.await(ctx, escalationChannel, stopped, s.hurried(escalationAfter+2*time.Minute), fires)
		return fmt.Sprintf("after %.1f s", took.Seconds()), err
	})
	started := time.Now()
	if !s.check("Redis starts again", func() (string, error) { return "", r.startRedis(ctx) }) {
		return
	}
	for _, channel := range []string{firstChannel, escalationChannel} {
		s.check("its end is told to "+channel[1:], func() (string, error) {
			took, err := r.receiver.await(ctx, channel, started, s.hurried(5*time.Minute), resolves)
			return fmt.Sprintf("after %.1f s", took.Seconds()), err
		})
	}
	s.rehearseAcknowledgment(ctx, r, alert)
}

func (s *Session) rehearseAcknowledgment(ctx context.Context, r *rehearsal, alert string) {
	stopped := time.Now()
	r.children["redis"].kill()
	s.check("Redis stops again: "+alert+" is told", func() (string, error) {
		took, err := r.receiver.await(ctx, firstChannel, stopped, s.hurried(15*time.Second+criticalWithin), func(m message) bool { return m.fires(alert) })
		return fmt.Sprintf("after %.1f s", took.Seconds()), err
	})
	s.check("it is acknowledged", func() (string, error) {
		now := time.Now().UTC()
		return r.alertmanager.Silence(ctx, monitor.Silence{
			Matchers: []monitor.Matcher{{Name: "alertname", Value: alert, IsEqual: true}},
			StartsAt: now, EndsAt: now.Add(time.Hour), CreatedBy: "datawriter validate", Comment: "rehearsal",
		})
	})
	s.check("an acknowledged alert does not escalate", func() (string, error) {
		wait := s.hurried(escalationAfter + 2*time.Minute)
		_, err := r.receiver.await(ctx, escalationChannel, stopped, wait, func(m message) bool { return m.fires(alert) })
		switch {
		case err == nil:
			return "", errors.New("the second channel was told all the same")
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		}
		return fmt.Sprintf("quiet for %.0f s", wait.Seconds()), nil
	})
	s.check("Redis starts once more", func() (string, error) { return "", r.startRedis(ctx) })
}

// fillMemory adds entries until Redis refuses them.
func fillMemory(ctx context.Context, r *rehearsal) error {
	filling, enough := context.WithCancel(ctx)
	defer enough()
	ended := make(chan error, 1)
	go func() {
		_, err := simulate.Run(filling, r.stream, simulate.Options{Traits: simulate.Traits{Seed: 1, Authors: 1000}, IgnoreMemory: true})
		ended <- err
	}()
	err := r.until(ctx, time.Minute, func() (bool, error) {
		server, err := r.stream.Server(ctx)
		return err == nil && float64(server.UsedMemory) > 0.97*float64(server.MaxMemory), err
	})
	enough()
	if stopped := <-ended; stopped != nil && !errors.Is(stopped, context.Canceled) {
		err = errors.Join(err, stopped)
	}
	return err
}

func emptyMemory(ctx context.Context, r *rehearsal) error {
	for _, kind := range event.Kinds() {
		if err := r.redis.Del(ctx, r.stream.Name(kind)).Err(); err != nil {
			return fmt.Errorf("empty the memory: %w", err)
		}
	}
	return nil
}

// until asks again and again until the answer is yes.
func (r *rehearsal) until(ctx context.Context, limit time.Duration, ask func() (bool, error)) error {
	for deadline := time.Now().Add(limit); ; {
		yes, err := ask()
		if yes || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it did not come to pass within %s", limit)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// busy keeps Redis busy: a loop of ARGV[1] turns, during which nobody else is
// served.
const busy = `local n = 0 for i = 1, tonumber(ARGV[1]) do n = n + i % 7 end return n`

// slowCommands makes Redis slow until quickCommands: a script that takes about a
// third of a second, twice a second.
func slowCommands(ctx context.Context, r *rehearsal) error {
	turns := 1_000_000
	began := time.Now()
	if err := r.redis.Eval(ctx, busy, nil, turns).Err(); err != nil {
		return fmt.Errorf("slow Redis down: %w", err)
	}
	turns = int(float64(turns) * float64(300*time.Millisecond) / float64(max(time.Since(began), time.Millisecond)))
	slowing, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for slowing.Err() == nil {
			_ = r.redis.Eval(slowing, busy, nil, turns).Err()
			select {
			case <-time.After(200 * time.Millisecond):
			case <-slowing.Done():
			}
		}
	}()
	r.quicken = func() { stop(); <-ended }
	return nil
}

func quickCommands(_ context.Context, r *rehearsal) error {
	r.quicken()
	return nil
}

// failWindow drains a window while the disk fails, as a fault says.
func failWindow(ctx context.Context, r *rehearsal) error {
	err := r.drain(ctx, "part.linked=EIO")
	if drain.Classify(err) != drain.Unavailable {
		return fmt.Errorf("the drain should have failed for lack of a disk, but: %w", errors.Join(err, errors.New("it did otherwise")))
	}
	return nil
}

// drainWindow drains it again.
func drainWindow(ctx context.Context, r *rehearsal) error { return r.drain(ctx, "") }

func (r *rehearsal) drain(ctx context.Context, spec string) error {
	faults, err := fault.Parse(spec)
	if err != nil {
		return err
	}
	to, err := sink.OpenURL(r.data, faults)
	if err != nil {
		return err
	}
	if r.window.Length == 0 {
		current, err := window.Containing(time.Now(), windowLength)
		if err != nil {
			return err
		}
		r.window = current.Previous()
	}
	cfg := drain.Config{Length: windowLength, Layout: sink.Plain, Lease: time.Second, Attempts: 1, Version: "rehearsal", Faults: faults}
	_, err = drain.New(r.stream, to, r.runLog(), cfg, zap.NewNop()).Run(ctx, r.window)
	return err
}
