package validate

import (
	"context"
	"errors"
	"slices"
	"testing"

	"datawriter/worker/event"
)

func TestCapacity(t *testing.T) {
	report, err := execute(t, "capacity", trial(t))
	if err != nil {
		t.Errorf("%v:\n%s", err, table(t, report))
	}

	for name, of := range map[string]struct {
		options []string
		failed  string
	}{
		"a buffer that is too small evicts":  {[]string{"maxmemory 16mb"}, "streams evicted"},
		"a buffer that is too small refuses": {[]string{"maxmemory 16mb", "maxmemory-policy noeviction"}, "events that Redis took"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := trial(t)
			cfg.RedisOption = of.options
			report, err := execute(t, "capacity", cfg)
			if !errors.Is(err, ErrFailed) || !slices.Contains(failures(report), of.failed) || !slices.Contains(failures(report), "integrity") {
				t.Errorf("%v:\n%s", err, table(t, report))
			}
		})
	}

	t.Run("a lost entry fails", func(t *testing.T) {
		step := Step{Name: "capacity", Run: func(ctx context.Context, s *Session) error {
			c, err := newCapacity(ctx, s)
			if err != nil {
				return err
			}
			c.count = 3000
			if err := c.load(ctx); err != nil {
				return err
			}
			name := c.own.stream.Name(event.Likes)
			entries, err := c.own.redis.XRangeN(ctx, name, "-", "+", 1).Result()
			if err != nil {
				return err
			}
			return errors.Join(c.own.redis.XDel(ctx, name, entries[0].ID).Err(), c.integrity(ctx))
		}}
		report, err := Execute(t.Context(), step, trial(t))
		if failed := failures(report); !errors.Is(err, ErrFailed) || !slices.Equal(failed, []string{"events that wait in the streams", "integrity"}) {
			t.Errorf("%v:\n%s", err, table(t, report))
		}
	})
}
