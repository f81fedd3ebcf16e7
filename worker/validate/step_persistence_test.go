package validate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPersistence(t *testing.T) {
	report, err := execute(t, "persistence", trial(t))
	if err != nil {
		t.Errorf("%v:\n%s", err, table(t, report))
	}

	t.Run("without an append-only file it fails", func(t *testing.T) {
		cfg := trial(t)
		cfg.RedisOption = []string{"appendonly no", "save "}
		report, err := execute(t, "persistence", cfg)
		if failed := failures(report); !errors.Is(err, ErrFailed) || !slices.Contains(failed, "an append-only file is written") || !slices.Contains(failed, "restart: events that are back") {
			t.Errorf("%v:\n%s", err, table(t, report))
		}
	})
	t.Run("an append-only file that lost its tail fails", func(t *testing.T) {
		step := Step{Name: "persistence", Run: func(ctx context.Context, s *Session) error {
			p, err := newPersistence(ctx, s)
			if err != nil {
				return err
			}
			p.count = 1000
			p.damage = func() error { return cutTail(p.own.folder) }
			return errors.Join(p.fill(ctx), p.crash(ctx))
		}}
		report, err := Execute(t.Context(), step, trial(t))
		if failed := failures(report); !errors.Is(err, ErrFailed) || !slices.Contains(failed, "kill -9: lost, acknowledged more than 2 s before") {
			t.Errorf("%v:\n%s", err, table(t, report))
		}
	})
}

// cutTail cuts the last nine tenths off the append-only file, as a disk that lied
// about fsync may.
func cutTail(folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) != 1 {
		return errors.Join(err, errors.New("there is not one append-only file"))
	}
	info, err := os.Stat(files[0])
	if err != nil {
		return err
	}
	return os.Truncate(files[0], info.Size()/10)
}
