package exporter

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// source is one place that metrics come from. It is looked at in the background
// and for itself, so a scrape never waits, and a source that hangs takes only its
// own metrics away.
type source struct {
	name  string
	every time.Duration // between two looks
	limit time.Duration // of one look; 0 is none
	look  func(context.Context) ([]prometheus.Metric, error)

	mu      sync.Mutex
	looked  bool // at least once, whatever came of it
	up      bool
	metrics []prometheus.Metric
	ended   time.Time // of the last look
	began   time.Time // of the last look, or of the one that is under way
	took    time.Duration
	success time.Time
}

// run looks again and again until ctx ends.
func (s *source) run(ctx context.Context, log *zap.Logger) {
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	for ctx.Err() == nil {
		s.once(ctx, log)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

func (s *source) once(ctx context.Context, log *zap.Logger) {
	began := time.Now()
	s.mu.Lock()
	s.began = began
	s.mu.Unlock()
	limited, cancel := ctx, context.CancelFunc(func() {})
	if s.limit > 0 {
		limited, cancel = context.WithTimeout(ctx, s.limit)
	}
	defer cancel()
	metrics, err := s.look(limited)
	if ctx.Err() != nil {
		return
	}
	s.keep(metrics, err, began, log)
}

// keep stores what a look brought. Only a change is logged.
func (s *source) keep(metrics []prometheus.Metric, err error, began time.Time, log *zap.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.up != (err == nil) || !s.looked
	s.looked, s.up, s.metrics = true, err == nil, metrics
	s.ended, s.took = time.Now(), time.Since(began)
	if err == nil {
		s.success = s.ended
	}
	switch {
	case !changed:
	case err != nil:
		log.Warn("source is down", zap.String("source", s.name), zap.Error(err))
	default:
		log.Info("source is up", zap.String("source", s.name), zap.Duration("took", s.took))
	}
}

// maxAge is how old metrics may be: two looks may be missed.
func (s *source) maxAge() time.Duration { return 3*s.every + s.limit }

// collect sends what the source knows, if that is young enough to be true.
func (s *source) collect(to chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	up, took := 0.0, s.took
	if s.up && time.Since(s.ended) <= s.maxAge() {
		up = 1
		for _, m := range s.metrics {
			to <- m
		}
	}
	if s.began.After(s.ended) { // a look is under way
		took = max(took, time.Since(s.began))
	}
	to <- sourceUp.value(up, s.name)
	to <- sourceDuration.value(took.Seconds(), s.name)
	if !s.success.IsZero() {
		to <- sourceLastSuccess.value(seconds(s.success), s.name)
	}
}

// waits reports whether the source has never been looked at to the end.
func (s *source) waits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.looked
}
