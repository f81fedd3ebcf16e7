package drain_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"datawriter/worker/account"
	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// newRecordedRig is a rig whose archive keeps its state beside the data.
func newRecordedRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.cfg.Book = account.OpenBook(filepath.Join(filepath.Dir(r.data), "state"))
	return r
}

func (r *rig) path(w window.Window, number int) string {
	return filepath.Join(r.data, sink.Plain.Path(sink.Name{Window: w, Kind: event.Likes, Part: number}))
}

func (r *rig) remove(paths ...string) {
	r.Helper()
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			r.Fatal(err)
		}
	}
}

// forget removes what the group, or the state, knows of drained windows.
func (r *rig) forgetGroup() {
	r.Helper()
	for _, kind := range event.Kinds() {
		r.do("XGROUP", "DESTROY", r.client.Name(kind), stream.DefaultGroup)
	}
}

func (r *rig) forgetState() { r.remove(filepath.Join(filepath.Dir(r.data), "state")) }

func TestALostPartNeverBecomesAWindowWithoutEntries(t *testing.T) {
	older, between, newer := win, win.Next(), win.Next().Next()
	for name, lose := range map[string]func(r *rig){
		"the file was deleted":                             func(*rig) {},
		"and its rejects stand":                            func(*rig) {},
		"and Redis began again without anything":           func(r *rig) { r.do("FLUSHALL") },
		"and the group was destroyed":                      func(r *rig) { r.forgetGroup() },
		"and the state was lost":                           func(r *rig) { r.forgetState() },
		"and all that knows of it, as in an old archive":   func(r *rig) { r.forgetGroup(); r.forgetState() },
		"and the consumers that say so were deleted":       func(r *rig) { r.deleteConsumers() },
		"and the state is one that the older program left": func(r *rig) { r.forgetGroup(); r.oldState() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecordedRig(t)
			for _, w := range []window.Window{older, between, newer} {
				r.addAt(w.StartMS(), w.StartMS()+1)
				if name == "and its rejects stand" {
					r.addRaw(event.ID{MS: w.StartMS() + 2}, "event", "{broken")
				}
				r.drain(w)
			}
			r.remove(r.path(between, 0))
			lose(r)
			for range 2 { // and the next run says so again
				_, err := r.drainer().Run(context.Background(), newer.Next())
				if !errors.Is(err, drain.ErrPartMissing) || drain.Classify(err) != drain.Integrity {
					t.Fatalf("got %v, want ErrPartMissing", err)
				}
			}
			if _, err := os.Stat(r.path(between, 0)); err == nil {
				t.Error("a part was published for the window")
			}
			if _, err := os.Stat(r.path(newer.Next(), 0)); err != nil {
				t.Errorf("the younger window was not drained: %v", err)
			}
		})
	}
}

// deleteConsumers deletes every consumer of the likes' group.
func (r *rig) deleteConsumers() {
	r.Helper()
	ctx, name := context.Background(), r.client.Name(event.Likes)
	consumers, err := r.server.Client().XInfoConsumers(ctx, name, stream.DefaultGroup).Result()
	if err != nil {
		r.Fatal(err)
	}
	for _, c := range consumers {
		r.do("XGROUP", "DELCONSUMER", name, stream.DefaultGroup, c.Name)
	}
}

// oldState makes the likes' account one that knows nothing of drained windows.
func (r *rig) oldState() {
	r.Helper()
	if err := r.cfg.Book.Update("likes", r.client.Name(event.Likes), func(s *account.State) error {
		s.Drained = nil
		return nil
	}); err != nil {
		r.Fatal(err)
	}
}

func TestEntriesOfALostPartThatComeBackArePublished(t *testing.T) {
	r := newRecordedRig(t)
	r.addAt(s, s+1)
	r.drain(win)
	r.drain(win.Next())
	r.remove(r.path(win, 0))
	r.do("DEL", r.client.Name(event.Likes))
	r.addAt(s) // one of the two, after Redis was rolled back
	_, err := r.drainer().Run(context.Background(), win.Next())
	if !errors.Is(err, drain.ErrPartMissing) {
		t.Errorf("got %v, want ErrPartMissing all the same", err)
	}
	r.want("the part", r.ids(likesPath(0)), "1795428300000-0")
	r.settled()
}

func TestAWindowThatWasNeverDrainedNeedsNoProof(t *testing.T) {
	for name, prepare := range map[string]func(r *rig){
		"in a fresh archive":                          func(*rig) {},
		"older than everything that was drained":      func(r *rig) { r.drain(win.Next()) },
		"younger than everything that was drained":    func(r *rig) { r.drain(win.Previous()) },
		"between windows that were":                   func(r *rig) { r.cfg.CatchUp = false; r.drain(win.Previous()); r.drain(win.Next()) },
		"in an old archive, younger than all of it":   func(r *rig) { r.drain(win.Previous()); r.forgetGroup(); r.forgetState() },
		"after Redis began again":                     func(r *rig) { r.drain(win.Previous()); r.do("FLUSHALL") },
		"after a run that was killed before the mark": func(r *rig) { r.drain(win.Previous()); r.remove(r.path(win, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecordedRig(t)
			prepare(r)
			r.drain(win)
			if _, err := os.Stat(r.path(win, 0)); err != nil {
				t.Error(err)
			}
			r.drain(win)
		})
	}
}
