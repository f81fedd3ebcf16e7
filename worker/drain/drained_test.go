package drain_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func (r *rig) forgetState() { r.remove(r.state()) }

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

func TestALatePartWithoutTheFirstSaysThatThatIsMissing(t *testing.T) {
	r := newRecordedRig(t)
	r.addAt(s, s+1)
	r.drain(win)
	r.do("DEL", r.client.Name(event.Likes))
	r.addAt(s+5, e+5)
	r.drain(win)
	r.drain(win.Next())
	r.remove(r.path(win, 0))
	for range 2 { // by its name, and in the gap before the next
		for _, w := range []window.Window{win, win.Next()} {
			if _, err := r.drainer().Run(context.Background(), w); !errors.Is(err, drain.ErrPartMissing) {
				t.Errorf("the run of %s: %v, want ErrPartMissing", w, err)
			}
		}
	}
	must(r.accept(around(win)))
	r.drain(win)
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

// lost drains three windows and loses the likes of the one between.
func lostBetween(t *testing.T) *rig {
	t.Helper()
	r := newRecordedRig(t)
	for _, w := range []window.Window{win.Previous(), win, win.Next()} {
		r.addAt(w.StartMS(), w.StartMS()+1)
		r.drain(w)
	}
	r.part = must(os.ReadFile(r.path(win, 0)))
	r.remove(r.path(win, 0))
	return r
}

func around(w window.Window) window.Range { return window.Range{From: w.Start, To: w.End()} }

func (r *rig) accept(in window.Range, kinds ...event.Kind) ([]drain.Acceptance, error) {
	r.Helper()
	if len(kinds) == 0 {
		kinds = event.Kinds()
	}
	return r.drainer().AcceptHoles(context.Background(), in, kinds, "a person", "no copy", false)
}

func TestAnAcceptedHoleIsPassedOver(t *testing.T) {
	r := lostBetween(t)
	next := win.Next().Next()
	if _, err := r.drainer().Run(context.Background(), next); !errors.Is(err, drain.ErrPartMissing) {
		t.Fatalf("got %v, want ErrPartMissing", err)
	}
	for n, already := range []bool{false, true} { // it can be repeated
		holes, err := r.accept(around(win))
		if err != nil || len(holes) != 1 || holes[0].Already != already || holes[0].Kind != event.Likes {
			t.Fatalf("time %d: %+v, %v", n+1, holes, err)
		}
	}
	hole, err := sink.ReadHole(context.Background(), must(sink.OpenURL(r.data, nil)), sink.Plain, win, event.Likes)
	if err != nil || hole.By != "a person" || hole.Reason != "no copy" || hole.At.IsZero() {
		t.Errorf("the hole says %+v, %v", hole, err)
	}
	r.drain(next.Next())
	r.drain(win) // by its name
	if _, err := os.Stat(r.path(win, 0)); err == nil {
		t.Error("a part was published for the hole")
	}
	if state := must(r.cfg.Book.Read("likes", "")); len(state.MissingParts()) > 0 || len(state.Pending) > 0 {
		t.Errorf("the account still misses %v, and tells of losses: %v", state.MissingParts(), state.Pending)
	}
}

func TestWhatIsNoHoleIsNotAccepted(t *testing.T) {
	r := lostBetween(t)
	later := win.Next().Next().Next()
	for name, of := range map[string]struct {
		in    window.Range
		kinds []event.Kind
	}{
		"a window with all its parts":             {around(win.Next()), nil},
		"a kind that has its part":                {around(win), []event.Kind{event.Posts}},
		"a window that was never drained":         {around(later), nil},
		"a window long before the archive":        {around(must(window.Parse("2020-01-01T00:00:00Z/5m"))), nil},
		"a kind that the archive does not keep":   {around(win), []event.Kind{event.Identity}},
		"a stretch that ends in windows to come":  {window.Range{From: win.Start, To: later.End()}, nil},
		"a range that is none of whole windows":   {window.Range{From: win.Start.Add(time.Minute), To: win.End()}, nil},
		"a range that ends in the middle of one":  {window.Range{From: win.Start, To: win.End().Add(time.Minute)}, nil},
		"a stretch that begins before everything": {window.Range{From: win.Start.Add(-time.Hour), To: win.End()}, nil},
	} {
		if _, err := r.accept(of.in, of.kinds...); !errors.Is(err, drain.ErrNoHole) || drain.Classify(err) != drain.Configuration {
			t.Errorf("%s: %v, want ErrNoHole", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(r.data, "_holes")); err == nil {
		t.Error("something was written")
	}
	holes, err := r.drainer().AcceptHoles(context.Background(), around(win), event.Kinds(), "a person", "no copy", true)
	if _, there := os.Stat(filepath.Join(r.data, "_holes")); err != nil || len(holes) != 1 || there == nil {
		t.Errorf("a dry run: %v, %v; something was written: %t", holes, err, there == nil)
	}
}

func TestAPartThatComesBackIsAPartAgain(t *testing.T) {
	for name, accepted := range map[string]bool{"before the hole was accepted": false, "after the hole was accepted": true} {
		t.Run(name, func(t *testing.T) {
			r := lostBetween(t)
			if _, err := r.drainer().Run(context.Background(), win.Next()); !errors.Is(err, drain.ErrPartMissing) {
				t.Fatalf("got %v, want ErrPartMissing", err)
			}
			if accepted {
				must(r.accept(around(win)))
				r.drain(win.Next())
			}
			if err := os.WriteFile(r.path(win, 0), r.part, 0o644); err != nil {
				t.Fatal(err)
			}
			younger := win.Next()
			for range 3 {
				younger = younger.Next()
				r.addAt(younger.StartMS())
				r.drain(younger)
			}
			if state := must(r.cfg.Book.Read("likes", "")); len(state.Lost) > 0 {
				t.Errorf("losses of redis are told: %v", state.Lost)
			}
			if _, err := r.accept(around(win)); accepted != (err == nil) && !errors.Is(err, drain.ErrNoHole) {
				t.Errorf("accepting it now: %v", err)
			}
		})
	}
}

func TestWhatWentWithAPartIsNoLossOfRedis(t *testing.T) {
	for name, restore := range map[string]func(r *rig, backup string){
		"the archive was restored from a backup, and its state with it": func(r *rig, backup string) {
			r.remove(r.data, r.state())
			r.copy(filepath.Join(backup, "data"), r.data)
			r.copy(filepath.Join(backup, "state"), r.state())
		},
		"the archive was restored, and the state is of today": func(r *rig, backup string) {
			r.remove(r.data)
			r.copy(filepath.Join(backup, "data"), r.data)
		},
		"the archive was restored, and the state is lost": func(r *rig, backup string) {
			r.remove(r.data, r.state())
			r.copy(filepath.Join(backup, "data"), r.data)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, backup := newRecordedRig(t), t.TempDir()
			number := 0
			add := func(w window.Window) { // numbered, as a producer may
				for i := range uint64(5) {
					number++
					r.addRaw(event.ID{MS: w.StartMS() + i}, "event", string(like(w.StartMS()+i)), account.Field, fmt.Sprint(number))
				}
				r.addAt(w.StartMS() + 9)
			}
			add(win)
			r.drain(win)
			r.copy(r.data, filepath.Join(backup, "data"))
			r.copy(r.state(), filepath.Join(backup, "state"))
			add(win.Next())
			r.drain(win.Next())
			restore(r, backup)
			younger := win.Next()
			for range 4 {
				younger = younger.Next()
				add(younger)
				_, err := r.drainer().Run(context.Background(), younger)
				if !errors.Is(err, drain.ErrPartMissing) || errors.Is(err, drain.ErrLost) {
					t.Fatalf("got %v, want ErrPartMissing and no loss of redis", err)
				}
				if !strings.Contains(err.Error(), win.Next().String()) || !strings.Contains(err.Error(), r.data) || !strings.Contains(err.Error(), "accept-hole") {
					t.Errorf("the error names no window, no folder or no way out: %v", err)
				}
			}
		})
	}
}

func (r *rig) state() string { return filepath.Join(filepath.Dir(r.data), "state") }

func (r *rig) copy(from, to string) {
	r.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		r.Fatal(err)
	}
}

func TestWindowsInARowAreOneSentence(t *testing.T) {
	r := newRecordedRig(t)
	w := win
	for range 10 {
		r.drain(w)
		w = w.Next()
	}
	for i, at := 0, win; i < 10; i, at = i+1, at.Next() {
		if i == 0 || i == 9 || i == 5 {
			continue
		}
		for _, kind := range []event.Kind{event.Likes, event.Posts} {
			r.remove(filepath.Join(r.data, sink.Plain.Path(sink.Name{Window: at, Kind: kind})))
		}
	}
	records, err := r.drainer().Run(context.Background(), w)
	if err == nil || len(records) != 1 {
		t.Fatalf("%d windows were tried, want only the one that was asked for: %v", len(records), err)
	}
	want := "posts, likes: 2026-11-23T10:10:00Z/2026-11-23T10:30:00Z (4 windows), 2026-11-23T10:35:00Z/2026-11-23T10:50:00Z (3 windows)"
	if !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "10:10:00Z") != 2 { // and once in the example
		t.Errorf("the error is %v, want in it %q", err, want)
	}
	if records[0].Error != "" {
		t.Errorf("the window that was asked for says %q", records[0].Error)
	}
}
