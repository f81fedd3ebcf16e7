package validate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
)

// cleanupTime is how long cleaning up may take, also after Ctrl-C.
const cleanupTime = time.Minute

// Session is one run of one step: what it may use, and where it notes what it
// sees. Its methods may be called from several goroutines.
type Session struct {
	cfg    Config
	report Report
	mu     sync.Mutex // guards report
	bars   bars

	cleanups []func(context.Context) error // run in reverse
}

func newSession(step Step, cfg Config) *Session {
	s := &Session{cfg: cfg, report: Report{Step: step.Name, About: step.About, Quick: cfg.Quick, Start: time.Now().UTC(), Checks: []Check{}}}
	s.bars = bars{out: cfg.Progress, log: cfg.Log, step: step.Name}
	return s
}

// check asks one question. It returns whether the answer was good; detail says
// what was seen.
func (s *Session) check(name string, ask func() (detail string, err error)) bool {
	began := time.Now()
	detail, err := ask()
	c := Check{Name: name, Status: OK, Detail: detail, Seconds: time.Since(began).Seconds()}
	switch {
	case errors.Is(err, context.Canceled): // it was stopped, nothing failed
		c.Status, c.Detail = Skipped, "stopped before there was an answer"
	case err != nil:
		c.Status, c.Detail = Failed, err.Error()
	}
	s.note(c)
	return err == nil
}

// skip notes a question that could not be asked.
func (s *Session) skip(name, why string) { s.note(Check{Name: name, Status: Skipped, Detail: why}) }

// criterion holds a measured value against its bar.
func (s *Session) criterion(c Criterion) { s.note(c.check()) }

func (s *Session) note(c Check) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Checks = append(s.report.Checks, c)
	s.bars.clear()
	s.cfg.Log.Info("check", zap.String("check", c.Name), zap.String("status", string(c.Status)), zap.String("seen", c.Seen()))
}

// fact notes what is tried: a version, a setting, a size.
func (s *Session) fact(name, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Facts = append(s.report.Facts, Fact{name, fmt.Sprintf(format, args...)})
}

// remark notes what a reader must know beside the numbers.
func (s *Session) remark(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Remarks = append(s.report.Remarks, fmt.Sprintf(format, args...))
}

// plot begins a plot of the report; its series grow while the step runs.
func (s *Session) plot(title, unit string) *Plot {
	p := &Plot{Title: title, Unit: unit, start: s.report.Start}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Plots = append(s.report.Plots, p)
	return p
}

// progress begins a bar: total of what, and the time left. Unit is a plural noun.
// Stop it with done.
func (s *Session) progress(what, unit string, total int64) *progress {
	return s.bars.begin(what, unit, total)
}

// quick chooses by Config.Quick.
func quick[T any](s *Session, full, short T) T {
	if s.cfg.Quick {
		return short
	}
	return full
}

// cleanup registers what must be undone, in reverse order, however the step ends.
func (s *Session) cleanup(undo func(context.Context) error) { s.cleanups = append(s.cleanups, undo) }

func (s *Session) cleanUp(ctx context.Context) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	var all error
	for len(s.cleanups) > 0 {
		last := s.cleanups[len(s.cleanups)-1]
		s.cleanups = s.cleanups[:len(s.cleanups)-1]
		if err := last(limited); err != nil {
			all = errors.Join(all, fmt.Errorf("clean up: %w", err))
		}
	}
	return all
}

// folder makes a folder for the step's files: below Config.Keep, where it stays,
// or a temporary one that goes with the step.
func (s *Session) folder(name string) (string, error) {
	if s.cfg.Keep != "" {
		path := filepath.Join(s.cfg.Keep, s.report.Step, name)
		return path, os.MkdirAll(path, 0o755)
	}
	path, err := os.MkdirTemp("", "datawriter-"+name+"-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the step: %w", err)
	}
	s.cleanup(func(ctx context.Context) error { return remove(ctx, path) })
	return path, nil
}

// remove removes a folder in which a process that was killed may still be writing
// for a moment.
func remove(ctx context.Context, path string) (err error) {
	for range 100 {
		if err = os.RemoveAll(path); err == nil {
			return nil
		}
		pause(ctx, 50*time.Millisecond)
	}
	return err
}
