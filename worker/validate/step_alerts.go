package validate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"datawriter/worker/monitor"
)

// windowLength is that of the rehearsal's windows.
const windowLength = 10 * time.Second

// Times of the shipped configuration, which a rehearsal divides.
const (
	escalationAfter = 15 * time.Minute
	// criticalWithin and warningWithin bound the time from when a condition has
	// held for its `for` to the message.
	criticalWithin = 30 * time.Second
	warningWithin  = 5 * time.Minute
	// silenceAfter is how old the last commit may get. It stands in the rule as a
	// threshold in seconds, which no rehearsal hurries.
	silenceAfter = 15 * time.Minute
)

// slack is how much longer a message may take in a rehearsal than its divided
// time: programs need time that does not run faster. The exporter looks at the
// run log every 2 and at Redis every 5 seconds.
const slack = 15 * time.Second

// scenario is one way to break the stack, and the alert that must follow.
type scenario struct {
	name  string
	alert string
	// told is when the message must be there: what the rule waits and looks back
	// on, then the time of its severity. over is the same for its end; 0 does not
	// wait for it.
	told, over time.Duration
	breaks     func(context.Context, *rehearsal) error
	mends      func(context.Context, *rehearsal) error
}

// scenarios are in an order in which none hides the next: draining first, as a
// full Redis that was emptied has no windows left, and evicting last of those
// that fill it, as it takes whole streams.
func scenarios() []scenario {
	return []scenario{
		{"no window for 15 minutes", "NoWindowCommitted", criticalWithin, 2 * time.Minute, ageLastCommit, drainNext},
		{"a window that fails", "WindowFailed", warningWithin, 15 * time.Minute, failNext, drainAgain},
		{"entries that are no events", "RejectsHigh", 30*time.Second + warningWithin, 20 * time.Minute, addRejects, nothing},
		{"memory above 95 %", "RedisMemoryCritical", 15*time.Second + criticalWithin, 2 * time.Minute, fillMemory, emptyMemory},
		{"producers that are refused", "RedisRefusingAdds", criticalWithin, 3 * time.Minute, refuseAdds, emptyMemory},
		{"a stream that is gone", "StreamWentBack", criticalWithin, 0, loseStream, nothing},
		{"keys that are evicted", "RedisEvicting", criticalWithin, 35 * time.Minute, evict, keepKeys},
		{"slow commands", "RedisLatencyCritical", 90*time.Second + criticalWithin, 3 * time.Minute, slowCommands, quickCommands},
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
		if !s.cfg.Quick || sc.alert == "NoWindowCommitted" {
			s.rehearse(ctx, r, sc)
		}
	}
	if !s.cfg.Quick {
		s.rehearseOutage(ctx, r)
	}
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
		took, err := r.receiver.await(ctx, firstChannel, began, time.Since(began)+s.hurried(sc.told), func(m message) bool { return m.fires(sc.alert) })
		if broken.Sub(began) > took {
			return "while it was being done", err
		}
		return fmt.Sprintf("%.1f s after the cause", (took - broken.Sub(began)).Seconds()), err
	})
	mended := time.Now()
	if !s.check(sc.name+": mended", func() (string, error) { return "", sc.mends(ctx, r) }) {
		return
	}
	if sc.over == 0 {
		return
	}
	s.check(sc.name+": its end is told", func() (string, error) {
		took, err := r.receiver.await(ctx, firstChannel, mended, time.Since(mended)+s.hurried(sc.over), func(m message) bool { return m.resolves(sc.alert) })
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
