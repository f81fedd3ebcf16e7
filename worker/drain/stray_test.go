package drain_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datawriter/worker/drain"
)

func TestACopyBesideAPartIsNamedAndKeepsNobody(t *testing.T) {
	for suffix, isStray := range map[string]bool{
		" (copy).parquet":                          true,
		" (conflicted copy 2026-11-28).parquet":    true,
		"-1 - Kopie.parquet":                       true,
		".sync-conflict-20261128-033000-X.parquet": true,
		".parquet~":                                false, // nobody reads these for a part
		".parquet.part":                            false,
		".parquet.bak":                             false,
	} {
		t.Run(suffix, func(t *testing.T) {
			r := newRig(t)
			r.addAt(s, s+1)
			r.drain(win)
			part := r.path(win, 0)
			stray := strings.TrimSuffix(part, ".parquet") + suffix
			if err := os.WriteFile(stray, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(filepath.Dir(part), ".nfs000001"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			r.do("DEL", r.client.Name(0), r.client.Name(1)) // the likes among them
			r.addAt(s+5, e+1)                               // late, and of the younger window
			records, err := r.drainer().Run(context.Background(), win.Next())
			if isStray && (!errors.Is(err, drain.ErrStray) || drain.Classify(err) != drain.Integrity || !strings.Contains(err.Error(), filepath.Base(stray))) {
				t.Errorf("got %v, want ErrStray with the file's name", err)
			}
			if !isStray && err != nil {
				t.Errorf("got %v", err)
			}
			if len(records) != 2 {
				t.Errorf("%d windows were tried, want both", len(records))
			}
			r.want("the late part", r.ids(likesPath(1)), fmt.Sprintf("%d-0", s+5))
			r.settled()
			if _, err := os.Stat(r.path(win.Next(), 0)); err != nil {
				t.Errorf("the younger window: %v", err)
			}
		})
	}
}
