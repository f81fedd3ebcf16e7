package validate

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func TestPressure(t *testing.T) {
	report, err := execute(t, "pressure", trial(t))
	if err != nil {
		t.Errorf("%v:\n%s", err, table(t, report))
	}

	t.Run("a Redis without a limit fails", func(t *testing.T) {
		cfg := trial(t)
		cfg.RedisOption = []string{"maxmemory 0"}
		report, err := execute(t, "pressure", cfg)
		if failed := failures(report); !errors.Is(err, ErrFailed) || !slices.Equal(failed, []string{"the server has a limit"}) {
			t.Errorf("%v:\n%s", err, table(t, report))
		}
	})
	t.Run("a limit that is crossed while holding fails", func(t *testing.T) {
		step := Step{Name: "pressure", Run: func(ctx context.Context, s *Session) error {
			p, err := newPressure(ctx, s)
			if err != nil {
				return err
			}
			if err := p.fill(ctx); err != nil {
				return err
			}
			// Somebody else fills it meanwhile.
			other := sample(ctx, 1, func(ctx context.Context) { _, _ = p.filler.add(ctx, batchSize) })
			defer other()
			return p.hold(ctx)
		}}
		report, err := Execute(t.Context(), step, trial(t))
		if failed := failures(report); !errors.Is(err, ErrFailed) || !slices.Contains(failed, "evicted while holding") {
			t.Errorf("%v:\n%s", err, table(t, report))
		}
	})
	t.Run("a policy that never refuses fails", func(t *testing.T) {
		step := Step{Name: "pressure", Run: func(ctx context.Context, s *Session) error {
			p, err := newPressure(ctx, s)
			if err != nil {
				return err
			}
			if err := errors.Join(p.fill(ctx), p.policy(ctx, "noeviction"), p.own.redis.ConfigSet(ctx, "maxmemory", "200mb").Err()); err != nil {
				return err
			}
			return p.judgeEviction(ctx, info{}, nil, nil) // nothing was evicted, and that must be said
		}}
		report, err := Execute(t.Context(), step, trial(t))
		if failed := failures(report); !errors.Is(err, ErrFailed) || len(failed) != 2 {
			t.Errorf("%v:\n%s", err, table(t, report))
		}
	})
}
