package simulate

import (
	"context"
	"time"
)

const (
	// tick is the shortest pause between two batches of a rated run: short
	// enough to look smooth, long enough for a pipeline to be worth it.
	tick = 5 * time.Millisecond
	// maxDebt bounds what is made up for after a stall. Redis was full or away
	// during a longer one, and a burst would be the wrong answer to that.
	maxDebt = 2 * time.Second
)

// pace tells how many entries are due. It counts from an absolute start, so
// that late wake-ups never add up to a drift.
type pace struct {
	rate    float64   // entries per second
	end     time.Time // nothing falls due after it; zero never comes
	elapsed time.Duration
	last    time.Time
	granted int64
}

// newPace starts to count now; a zero length has no end.
func newPace(rate float64, length time.Duration) *pace {
	p := &pace{rate: rate, last: time.Now()}
	if length > 0 {
		p.end = p.last.Add(length)
	}
	return p
}

func (p *pace) over() bool { return !p.end.IsZero() && !p.last.Before(p.end) }

// advance lets time pass at a share of its speed, 0..1, until now.
func (p *pace) advance(share float64) {
	now := time.Now()
	if !p.end.IsZero() && now.After(p.end) {
		now = p.end
	}
	passed := now.Sub(p.last)
	p.last = now
	if share < 1 {
		passed = time.Duration(float64(passed) * share)
	}
	p.elapsed += passed
}

// roundUp keeps 0.3 s × 10/s from being 2.9999.
const roundUp = 1e-6

func (p *pace) due() int64 { return int64(p.rate*p.elapsed.Seconds()+roundUp) - p.granted }

// wait blocks until entries are due and grants at most most of them; n is 0
// when ctx or the length is over. forgone entries are those that a stall has
// cost.
func (p *pace) wait(ctx context.Context, share func() float64, most int64) (n, forgone int64) {
	for {
		p.advance(share())
		if n = p.due(); n > 0 {
			break
		}
		if ctx.Err() != nil || p.over() {
			return 0, 0
		}
		pause(ctx, p.untilNext(share()))
	}
	if limit := max(1, int64(p.rate*maxDebt.Seconds())); n > limit {
		forgone, n = n-limit, limit
		p.granted += forgone
	}
	n = min(n, most)
	p.granted += n
	return n, forgone
}

// untilNext returns how long nothing will be due.
func (p *pace) untilNext(share float64) time.Duration {
	left := float64(p.granted+1)/p.rate - p.elapsed.Seconds()
	wait := time.Second // to look again whether a stopped clock runs
	if share > 0 {
		wait = time.Duration(min(wait.Seconds(), left/share) * float64(time.Second))
	}
	if !p.end.IsZero() {
		wait = min(wait, p.end.Sub(p.last))
	}
	return max(wait, tick)
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
