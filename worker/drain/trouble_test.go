package drain_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
)

func TestAFullRedisIsDrained(t *testing.T) {
	r := newRig(t, "--maxmemory-policy", "noeviction")
	r.addAt(s, s+1)
	r.do("CONFIG", "SET", "maxmemory", "1")
	_, err := r.client.Add(context.Background(), []stream.Addition{{Kind: event.Likes, Fields: [][]byte{[]byte("event"), nil}}})
	if !errors.Is(err, stream.ErrRefused) {
		t.Fatalf("the fault did not happen: %v", err)
	}
	r.drain(win)
	r.do("CONFIG", "SET", "maxmemory", "0")
	r.settled()
}

func TestAbsentRedisIsWorthAnotherTry(t *testing.T) {
	r := newRig(t)
	r.server.Kill()
	_, err := r.drainer().Run(context.Background(), win)
	if drain.Classify(err) != drain.Unavailable {
		t.Errorf("got %v, class %q", err, drain.Classify(err))
	}
}

func TestRedisThatRestartsBetweenReadAndSettleIsNotSettled(t *testing.T) {
	r := newRig(t, "--appendonly", "yes", "--appendfsync", "always")
	r.cfg.Attempts = 5
	r.addAt(s, s+1)
	restarted := make(chan struct{}) // with another run_id
	go func() {
		defer close(restarted)
		for len(r.publishedLikes()) == 0 {
			time.Sleep(time.Millisecond)
		}
		r.server.Restart()
	}()
	_, err := r.drainer().Run(context.Background(), win)
	<-restarted
	if err != nil {
		t.Logf("the interrupted run: %v", err)
		r.drain(win)
	}
	if n := len(r.ids(likesPath(0))); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
	if _, err := os.Stat(r.data + "/" + likesPath(1)); err == nil {
		t.Error("entries were written twice")
	}
	r.settled()
}

func TestErrorsOfTheDisk(t *testing.T) {
	for _, file := range []string{"part", "rejects"} {
		for _, step := range []string{"staged", "written", "synced", "linked", "hardened"} {
			for _, errno := range []string{"ENOSPC", "EIO"} {
				spec := file + "." + step + "=" + errno
				t.Run(spec, func(t *testing.T) {
					r := newRig(t)
					r.addAt(s, s+1)
					r.addRaw(event.ID{MS: s + 2}, "event", "nope")
					r.cfg.Faults = withFault(t, spec)
					_, err := r.drainer().Run(context.Background(), win)
					if drain.Classify(err) != drain.Unavailable {
						t.Fatalf("got %v, class %q; the fault did not happen or has the wrong class", err, drain.Classify(err))
					}
					r.cfg.Faults = nil
					r.drain(win)
					r.want("rows", r.ids(likesPath(0)), fmt.Sprintf("%d-0", s), fmt.Sprintf("%d-0", s+1))
					r.want("rejects", r.ids(rejectsPath(0)), fmt.Sprintf("%d-0", s+2))
					r.settled()
					r.noLeftovers()
				})
			}
		}
	}
}

// noLeftovers expects that failed attempts removed their temporary files.
func (r *rig) noLeftovers() {
	r.Helper()
	entries, err := os.ReadDir(r.data + "/_tmp")
	if err != nil || len(entries) > 0 {
		r.Errorf("temporary files are left: %v %v", entries, err)
	}
}

func TestADataFolderThatCannotBeOneIsAConfigurationError(t *testing.T) {
	r := newRig(t)
	if err := os.WriteFile(r.data, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sink.OpenURL(r.data, nil)
	if drain.Classify(err) != drain.Configuration {
		t.Errorf("got %v, class %q", err, drain.Classify(err))
	}
}

func TestADamagedPartStopsTheWindowAndLosesNothing(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"cut off":             func(path string) error { return os.Truncate(path, 100) },
		"a byte of its pages": func(path string) error { return flip(path, 60) },
	} {
		t.Run(name, func(t *testing.T) { damagedPart(t, damage) })
	}
}

// flip inverts one byte of a file.
func flip(path string, at int) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	content[at] ^= 0xFF
	return os.WriteFile(path, content, 0o644)
}

func damagedPart(t *testing.T, damage func(path string) error) {
	r := newRig(t)
	r.addAt(s)
	r.drain(win)
	if err := damage(r.data + "/" + likesPath(0)); err != nil {
		t.Fatal(err)
	}
	r.do("DEL", r.client.Name(event.Likes))
	r.addAt(s+1, e+1)
	records, err := r.drainer().Run(context.Background(), win.Next())
	if drain.Classify(err) != drain.Integrity {
		t.Errorf("got %v, want an integrity violation", err)
	}
	if len(records) != 2 || records[1].Status != "drained" {
		t.Error("a damaged window kept a younger one from being drained")
	}
	left, _ := r.left()
	r.want("left", left, fmt.Sprintf("%d-0", s+1))
}

// Rejects that a run published after it had slept, while Redis lost them and
// another run published the part without them.
func TestRejectsThatNoPartCountsAreWithdrawn(t *testing.T) {
	r := newRig(t)
	reject := func() { r.addRaw(event.ID{MS: s + 2}, "event", "nope") }
	reject()
	r.drain(win)
	uncounted := r.files()[rejectsPath(0)]
	if err := os.RemoveAll(r.data); err != nil {
		t.Fatal(err)
	}
	r.do("FLUSHALL")
	r.drain(win)
	if err := os.MkdirAll(filepath.Dir(r.data+"/"+rejectsPath(0)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.data+"/"+rejectsPath(0), []byte(uncounted), 0o644); err != nil {
		t.Fatal(err)
	}

	r.do("DEL", r.client.Name(event.Likes)) // and Redis has them again
	reject()
	report := likes(r.drain(win))
	if _, there := r.files()[rejectsPath(0)]; there {
		t.Error("rejects stand beside a part that counts none")
	}
	r.want("rejects", r.ids(rejectsPath(1)), fmt.Sprintf("%d-0", s+2))
	r.want("reported", report.Parts, rejectsPath(1), likesPath(1))
	r.settled()
}

// A part that counts rejects must not be on disk before their name is.
func TestRejectsWithoutTheirPartAreMadeDurableBeforeIt(t *testing.T) {
	r := newRig(t)
	entries := func() { r.addAt(s, s+1); r.addRaw(event.ID{MS: s + 2}, "event", "nope") }
	entries()
	r.drain(win)
	if err := os.Remove(r.data + "/" + likesPath(0)); err != nil { // as a run that died between the two leaves it
		t.Fatal(err)
	}
	r.do("DEL", r.client.Name(event.Likes))
	entries()
	trace := filepath.Join(t.TempDir(), "trace")
	r.cfg.Faults = withFault(t, "trace="+trace)
	r.drain(win)
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	before, _, completed := strings.Cut(string(text), "\t"+r.data+"/"+likesPath(0)+"\n")
	if !completed || !strings.Contains(before, "names\t"+filepath.Dir(r.data+"/"+rejectsPath(0))+"\n") {
		t.Errorf("the name of the rejects was not synced before the part was linked; the trace:\n%s", text)
	}
	r.want("rejects", r.ids(rejectsPath(0)), fmt.Sprintf("%d-0", s+2))
	r.want("rows", r.ids(likesPath(0)), fmt.Sprintf("%d-0", s), fmt.Sprintf("%d-0", s+1))
}

func TestRacersWriteEveryEntryOnce(t *testing.T) {
	for _, racers := range []int{2, 3} {
		t.Run(fmt.Sprint(racers), func(t *testing.T) {
			r := newRig(t)
			var want []string
			for i := range uint64(500) {
				r.addAt(s + i)
				want = append(want, fmt.Sprintf("%d-0", s+i))
			}
			errs := make([]error, racers)
			var all sync.WaitGroup
			for i := range racers {
				d := r.drainer()
				all.Go(func() { _, errs[i] = d.Run(context.Background(), win) })
			}
			all.Wait()
			for _, err := range errs {
				if class := drain.Classify(err); class != drain.None && class != drain.HeldByOther {
					t.Errorf("a racer ended with %v", err)
				}
			}
			r.want("part 00", r.ids(likesPath(0)), want...)
			if len(r.files()) != len(event.Kinds()) {
				t.Errorf("files: %v", slices.Collect(maps.Keys(r.files())))
			}
			r.settled()
		})
	}
}
