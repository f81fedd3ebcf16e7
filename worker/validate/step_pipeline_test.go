package validate

import (
	"errors"
	"slices"
	"testing"
)

func TestPipeline(t *testing.T) {
	report, err := execute(t, "pipeline", trial(t))
	if err != nil {
		t.Errorf("%v:\n%s", err, table(t, report))
	}

	t.Run("a Redis that evicts fails", func(t *testing.T) {
		cfg := trial(t)
		cfg.RedisOption = []string{"maxmemory 6mb", "maxmemory-policy allkeys-lru", "maxmemory-clients 0"}
		report, err := execute(t, "pipeline", cfg)
		if !errors.Is(err, ErrFailed) || !slices.Contains(failures(report), "entries lost") {
			t.Errorf("%v: %q", err, failures(report))
		}
	})
}
