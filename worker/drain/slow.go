package drain

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// When a step that is usually done at once says that it is still at work.
const (
	slowAfter = 2 * time.Second
	slowEvery = 10 * time.Second
)

// slowStep is a step that says so when it takes seconds.
type slowStep struct {
	count      atomic.Int64 // how far it is
	stop, done chan struct{}
}

// watch begins a step. unit is what its count counts. The caller ends it.
func (d *Drainer) watch(what, unit string) *slowStep {
	s := &slowStep{stop: make(chan struct{}), done: make(chan struct{})}
	began := time.Now()
	go func() {
		defer close(s.done)
		for wait := slowAfter; ; wait = slowEvery {
			select {
			case <-time.After(wait):
				d.log.Info(what, zap.Int64(unit, s.count.Load()), zap.Duration("for", time.Since(began).Round(time.Second)))
			case <-s.stop:
				return
			}
		}
	}()
	return s
}

func (s *slowStep) end() { close(s.stop); <-s.done }
