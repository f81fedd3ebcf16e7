package validate

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"go.uber.org/zap"
)

const (
	barEvery = 200 * time.Millisecond
	logEvery = 10 * time.Second
)

// bars shows how far a step is, one bar at a time: on a terminal, or as a line of
// the log from time to time.
type bars struct {
	out  io.Writer
	log  *zap.Logger
	step string

	mu  sync.Mutex
	now *progress
}

// progress counts towards a total. It is safe for concurrent use.
type progress struct {
	what  string
	total int64
	count atomic.Int64
	began time.Time
	bar   *progressbar.ProgressBar // nil without a terminal
	end   context.CancelFunc
	shown chan struct{} // closed when nothing is shown any more
}

// begin ends the bar before and shows a new one.
func (b *bars) begin(what, unit string, total int64) *progress {
	b.stop()
	showing, end := context.WithCancel(context.Background())
	p := &progress{what: what, total: total, began: time.Now(), end: end, shown: make(chan struct{})}
	every := logEvery
	if b.out != nil {
		every = barEvery
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(b.out), progressbar.OptionSetDescription(b.step+": "+what), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit), progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetElapsedTime(true), progressbar.OptionFullWidth(), progressbar.OptionUseANSICodes(true))
	}
	go func() { defer close(p.shown); p.show(showing, b, every) }()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = p
	return p
}

func (p *progress) show(ctx context.Context, b *bars, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if p.bar != nil {
				_ = p.bar.Set64(min(p.count.Load(), p.total))
				continue
			}
			b.log.Info(p.what, zap.Int64("done", p.count.Load()), zap.Int64("of", p.total), zap.Duration("left", p.left().Round(time.Second)))
		}
	}
}

// left estimates the time to the end from the time so far.
func (p *progress) left() time.Duration {
	done := min(p.count.Load(), p.total)
	if done == 0 {
		return 0
	}
	return time.Duration(float64(time.Since(p.began)) * float64(p.total-done) / float64(done))
}

func (p *progress) add(n int64) { p.count.Add(n) }

// set moves the count to n.
func (p *progress) set(n int64) { p.count.Store(n) }

// done takes the bar away. It can be repeated.
func (p *progress) done() {
	p.end()
	<-p.shown
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// run fills a bar of seconds while something else works; stop it with done.
func (p *progress) run(ctx context.Context) {
	ticker := time.NewTicker(barEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.set(int64(time.Since(p.began).Seconds()))
		}
	}
}

// clear takes the bar off the line, so that a line of the log can stand there.
func (b *bars) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now != nil && b.now.bar != nil {
		_ = b.now.bar.Clear()
	}
}

// stop ends the bar that is shown.
func (b *bars) stop() {
	b.mu.Lock()
	now := b.now
	b.now = nil
	b.mu.Unlock()
	if now != nil {
		now.done()
	}
}
