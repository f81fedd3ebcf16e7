package validate

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// openLoad sends at fixed times, whether earlier sends were answered or not: what
// a firehose does. A send that had to wait for a slow answer counts from when it
// was due, so a stall costs all that it delayed (no coordinated omission).
type openLoad struct {
	rate      float64 // sends per second, of all producers together
	producers int
	length    time.Duration
	// send does one thing, as one producer. prepare, where it is set, makes what
	// will be sent, before it is due.
	prepare func(producer int) error
	send    func(ctx context.Context, producer int) error

	progress *progress // counts seconds; may be nil
	plots    *loadPlots
}

// loadPlots are the plots that a load fills as it goes; either may be nil.
type loadPlots struct {
	rate    *Plot // completions per second
	latency *Plot // P50 and P99 of each second
}

// loadResult is what a load saw. Latencies count from when a send was due.
type loadResult struct {
	*latencies
	failed    int64
	unsent    int64 // still due when twice the length was over
	firstErr  error
	perSecond []float64 // completions in each whole second
	seconds   float64
}

// latencies are counted in microseconds, up to a minute, with three digits.
type latencies struct{ *hdrhistogram.Histogram }

func newLatencies() *latencies {
	return &latencies{hdrhistogram.New(1, time.Minute.Microseconds(), 3)}
}

func (l *latencies) note(d time.Duration) {
	// Beyond a minute it is a minute: no percentile asks for more.
	_ = l.RecordValue(max(1, min(d.Microseconds(), time.Minute.Microseconds())))
}

// ms returns a percentile in milliseconds.
func (l *latencies) ms(percentile float64) float64 {
	return float64(l.ValueAtPercentile(percentile)) / 1000
}

// pXX describes the usual percentiles.
func (l *latencies) String() string {
	return fmt.Sprintf("P50 %.2f, P95 %.2f, P99 %.2f, most %.1f ms", l.ms(50), l.ms(95), l.ms(99), float64(l.Max())/1000)
}

// run sends until the length is over. Failed sends are counted, not returned; an
// error is one of prepare, or the end of ctx.
func (o openLoad) run(ctx context.Context) (*loadResult, error) {
	m := &meter{result: &loadResult{latencies: newLatencies()}, second: newLatencies(), plots: o.plots}
	start := time.Now()
	group, sending := errgroup.WithContext(ctx)
	for n := range o.producers {
		group.Go(func() error { return o.produce(sending, n, start, m) })
	}
	ticking, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { m.tick(ticking, start, o.progress) })
	err := group.Wait()
	stop()
	watch.Wait()
	m.result.seconds = time.Since(start).Seconds()
	return m.result, err
}

// produce sends one producer's share. Producers take turns.
func (o openLoad) produce(ctx context.Context, n int, start time.Time, m *meter) error {
	every := time.Duration(float64(time.Second) * float64(o.producers) / o.rate)
	due := start.Add(every * time.Duration(n) / time.Duration(o.producers))
	for ; due.Before(start.Add(o.length)); due = due.Add(every) {
		if o.prepare != nil {
			if err := o.prepare(n); err != nil {
				return err
			}
		}
		sleepUntil(due)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Since(start) > 2*o.length { // hopelessly behind
			m.leave(int64(start.Add(o.length).Sub(due)/every) + 1)
			return nil
		}
		err := o.send(ctx, n)
		m.note(time.Since(due), err)
	}
	return nil
}

// sleepUntil sleeps as exactly as the kernel can: timers of the runtime are up to
// a millisecond late, which would be counted as the server's.
func sleepUntil(due time.Time) {
	if wait := time.Until(due); wait > 0 {
		left := unix.NsecToTimespec(wait.Nanoseconds())
		_ = unix.Nanosleep(&left, nil) // an interrupted one is a little early
	}
}

// meter collects what producers see.
type meter struct {
	mu     sync.Mutex
	result *loadResult
	second *latencies // of the running second
	plots  *loadPlots
}

func (m *meter) note(took time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.result.failed++
		if m.result.firstErr == nil {
			m.result.firstErr = err
		}
		return
	}
	m.result.note(took)
	m.second.note(took)
}

func (m *meter) leave(unsent int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.result.unsent += unsent
}

// tick closes a second each second.
func (m *meter) tick(ctx context.Context, start time.Time, p *progress) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	last := start
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			m.close(now.Sub(last).Seconds())
			last = now
			if p != nil {
				p.set(int64(now.Sub(start).Seconds()))
			}
		}
	}
}

func (m *meter) close(seconds float64) {
	m.mu.Lock()
	closed := m.second
	m.second = newLatencies()
	rate := float64(closed.TotalCount()) / seconds
	m.result.perSecond = append(m.result.perSecond, rate)
	m.mu.Unlock()
	if m.plots == nil {
		return
	}
	if m.plots.rate != nil {
		m.plots.rate.add("per second", rate)
	}
	if m.plots.latency != nil && closed.TotalCount() > 0 {
		m.plots.latency.add("P50", closed.ms(50))
		m.plots.latency.add("P99", closed.ms(99))
	}
}

// rate is the mean of completions per second.
func (r *loadResult) rate() float64 { return float64(r.TotalCount()) / r.seconds }

// missed is how many sends did not succeed.
func (r *loadResult) missed() float64 { return float64(r.failed + r.unsent) }

// trouble describes what did not succeed, in words; empty when nothing did.
func (r *loadResult) trouble() string {
	var said []string
	if r.failed > 0 {
		said = append(said, fmt.Sprintf("%d failed, the first: %v", r.failed, r.firstErr))
	}
	if r.unsent > 0 {
		said = append(said, fmt.Sprintf("%d were never sent, for lack of answers to those before", r.unsent))
	}
	return strings.Join(said, "; ")
}
