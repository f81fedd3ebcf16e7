package drain_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datawriter/worker/drain"
	"datawriter/worker/stream"
)

func TestAGroupBelongsToOneArchive(t *testing.T) {
	r := newRecordedRig(t)
	r.addAt(s, e)
	r.drain(win)
	own := r.data
	r.data = filepath.Join(t.TempDir(), "typo")
	_, err := r.drainer().Run(context.Background(), win.Next())
	if !errors.Is(err, stream.ErrOtherOwner) || drain.Classify(err) != drain.Configuration {
		t.Fatalf("the run into another folder: %v, want ErrOtherOwner", err)
	}
	for _, word := range []string{own, r.data, "--adopt"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error lacks %q: %v", word, err)
		}
	}
	if left, _ := r.left(); len(left) != 1 {
		t.Errorf("%d entries are left, want the one of the younger window", len(left))
	}
	r.data = own
	r.drain(win.Next())
	r.settled()
}

func TestAnArchiveThatMovesKeepsItsGroups(t *testing.T) {
	for name, move := range map[string]func(r *rig){
		"renamed":                      func(r *rig) { old := r.data; r.data += "2"; r.ok(os.Rename(old, r.data)) },
		"copied":                       func(r *rig) { old := r.data; r.data += "2"; r.copy(old, r.data) },
		"by another name of it":        func(r *rig) { old := r.data; r.data += "2"; r.ok(os.Symlink(old, r.data)) },
		"with a Redis that is new":     func(r *rig) { r.do("FLUSHALL") },
		"with groups that are new":     func(r *rig) { r.forgetGroup() },
		"with consumers by hand":       func(r *rig) { r.deleteConsumers() },
		"from the older program, once": func(r *rig) { r.forgetGroup(); r.remove(filepath.Join(r.data, "_archive_id.json")) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.addAt(s)
			r.drain(win)
			move(r)
			r.drain(win.Next())
			r.drain(win.Next().Next())
			owner, ok, err := r.client.Stream(1).Owner(context.Background())
			if err != nil || !ok || filepath.Base(owner.Place) == "data2" && name == "by another name of it" {
				t.Errorf("the owner is %+v, %t, %v", owner, ok, err)
			}
		})
	}
}

func TestALostIDIsPutBack(t *testing.T) {
	r := newRig(t)
	r.drain(win)
	file := filepath.Join(r.data, "_archive_id.json")
	text := must(os.ReadFile(file))
	r.remove(file)
	_, err := r.drainer().Run(context.Background(), win.Next())
	if !errors.Is(err, stream.ErrOtherOwner) || !strings.Contains(err.Error(), strings.TrimSpace(string(text))) {
		t.Fatalf("got %v, want ErrOtherOwner with the content of the file", err)
	}
	r.ok(os.WriteFile(file, text, 0o644))
	r.drain(win.Next())
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func TestAGroupIsTakenOverOnPurpose(t *testing.T) {
	r := newRecordedRig(t)
	r.addAt(s, e)
	r.drain(win)
	own := r.data
	r.data = filepath.Join(t.TempDir(), "new")
	r.cfg.Adopt = true
	r.drain(win.Next())
	r.cfg.Adopt = false
	r.drain(win.Next().Next())
	// What was drained into the other archive is no window without entries in this one.
	if _, err := r.drainer().Run(context.Background(), win); !errors.Is(err, drain.ErrPartMissing) {
		t.Errorf("a window that the other archive has: %v, want ErrPartMissing", err)
	}
	r.data = own
	if _, err := r.drainer().Run(context.Background(), win.Next()); !errors.Is(err, stream.ErrOtherOwner) {
		t.Errorf("the archive that gave them up: %v, want ErrOtherOwner", err)
	}
}
