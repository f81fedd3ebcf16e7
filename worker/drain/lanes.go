package drain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

// errNotBegun: a window before it in the plan ended in a way that keeps this kind from going on.
var errNotBegun = errors.New("not begun")

// outcome is how the drain of one kind of one window ended.
type outcome struct {
	report runlog.Kind
	start  time.Time
	err    error
}

// lanes drain windows in the order of the plan, one lane a kind. A lane is
// at most one window ahead of the slowest: while one kind waits for the disk the
// others have work, and a run that is killed leaves at most two windows out of
// the run log.
type lanes struct {
	*Drainer
	ended []chan outcome // of each of the kinds, unbuffered: a lane waits until its outcome is taken
	all   sync.WaitGroup
	halt  chan struct{}
	once  sync.Once
	cause error // why a lane begins no other window
}

// start begins to drain the windows. The caller calls next once for each of
// them, or until it returns false.
func (d *Drainer) start(ctx context.Context, windows []window.Window) *lanes {
	l := &lanes{Drainer: d, halt: make(chan struct{}), cause: ErrStopped}
	for _, kind := range d.kinds {
		ended := make(chan outcome)
		l.ended = append(l.ended, ended)
		l.all.Go(func() {
			defer close(ended)
			for _, w := range windows {
				if l.halted(ctx) {
					return
				}
				o := d.drainKind(ctx, w, kind)
				ended <- o
				if halts(o.err) {
					return
				}
			}
		})
	}
	return l
}

func (l *lanes) halted(ctx context.Context) bool {
	select {
	case <-l.halt:
		return true
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// halts reports whether an error keeps younger windows from being drained: a
// Redis that is away or a signal does, one broken window does not.
func halts(err error) bool {
	class := Classify(err)
	return class != None && class != Integrity
}

// stop lets no lane begin another window.
func (l *lanes) stop(cause error) {
	l.once.Do(func() {
		l.cause = cause
		close(l.halt)
	})
}

// next returns the outcomes of the next window, in the order of the kinds. It returns false when no
// lane has begun it, and none will. Where only some have, the others' outcome is
// errNotBegun.
func (l *lanes) next() (outcomes []outcome, begun bool) {
	for i, ended := range l.ended {
		o, ok := <-ended
		if !ok {
			o = l.notBegun(l.kinds[i])
		}
		begun = begun || ok
		outcomes = append(outcomes, o)
	}
	if !begun {
		l.all.Wait()
	}
	return outcomes, begun
}

func (l *lanes) notBegun(kind event.Kind) outcome {
	err := fmt.Errorf("%s: %w: %w", kind, errNotBegun, l.cause)
	report := runlog.Kind{Kind: kind, Stream: l.source.Name(kind), Parts: []string{}, Added: -1, Error: err.Error()}
	return outcome{report: report, start: time.Now(), err: err}
}
