package validate

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream/streamtest"
)

func TestThroughput(t *testing.T) {
	report, err := execute(t, "throughput", trial(t))
	if err != nil {
		t.Errorf("%v:\n%s", err, table(t, report))
	}

	t.Run("a slow Redis fails", func(t *testing.T) {
		cfg := trial(t)
		cfg.Redis = slowly(t, streamtest.Start(t), 100*time.Millisecond)
		report, err := execute(t, "throughput", cfg)
		failed := failures(report)
		if !errors.Is(err, ErrFailed) || !slices.Contains(failed, "one producer") || !slices.Contains(failed, "sustained, not acknowledged") || !slices.Contains(failed, "sustained, P50") {
			t.Errorf("%v:\n%s", err, table(t, report))
		}
	})
	t.Run("a full Redis fails", func(t *testing.T) {
		cfg := trial(t)
		cfg.RedisOption = []string{"maxmemory 2500kb", "maxmemory-policy noeviction"}
		report, err := execute(t, "throughput", cfg)
		if !errors.Is(err, ErrFailed) || !slices.Contains(failures(report), "sustained, not acknowledged") {
			t.Errorf("%v:\n%s", err, table(t, report))
		}
	})
	t.Run("a lost entry fails", func(t *testing.T) {
		step := Step{Name: "throughput", Run: func(ctx context.Context, s *Session) error {
			target, err := s.openTarget(ctx, 0)
			if err != nil {
				return err
			}
			filler, err := newFiller(target.stream)
			if err != nil {
				return err
			}
			if _, err := filler.add(ctx, 100); err != nil {
				return err
			}
			r := &throughputRun{Session: s, target: target}
			r.added.Store(100)
			return errors.Join(target.redis.XTrimMaxLen(ctx, target.stream.Name(event.Likes), 1).Err(), r.emptied(ctx, "trial"))
		}}
		report, err := Execute(t.Context(), step, trial(t))
		if !errors.Is(err, ErrFailed) {
			t.Errorf("%v:\n%s", err, table(t, report))
		}
	})
}
