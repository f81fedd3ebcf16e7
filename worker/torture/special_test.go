package torture

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/fault"
)

// trial is one case: a name to run it again by, and what to play.
type trial struct {
	name string
	play func(*world)
}

// run plays a trial and returns the violation it found. The folder of a trial
// that found one stays.
func (c trial) run(mutant fault.Mutant) (bad error) {
	w := newWorld(mutant, 1)
	defer func() { w.close(bad != nil) }()
	if bad = found(func() { c.play(w) }); bad != nil {
		bad = fmt.Errorf("%s: %w\nfolder: %s", c.name, bad, w.dir)
	}
	return bad
}

func (w *world) scene() *scene {
	if w.redis == nil {
		w.redis = w.startServer("redis", 0)
		w.url = w.redis.url()
	}
	return &scene{world: w, win: base()}
}

// specials are faults that are no crash and no I/O error, each without chance.
var specials = []trial{
	{"another window length is refused before Redis is touched", func(w *world) {
		s := w.scene()
		s.produce()
		s.drain(exitDrained, s.win)
		other := s.win
		other.Length *= 2
		before := s.redis.mark()
		s.drain(exitUsage, other)
		if s.redis.mark() != before {
			fail("the run with another window length wrote to Redis")
		}
		s.finish(nil)
	}},
	{"a window is open until Redis says otherwise", func(w *world) {
		s := w.scene()
		s.produce()
		p := startProxy(filepath.Join(s.dir, "p"), s.redis, 0)
		defer p.stop()
		s.url = p.url()
		p.clock.Store(int64(s.win.EndMS()) - 1)
		s.drain(exitUnavailable, s.win)
		p.clock.Store(0)
		s.finish(nil)
	}},
	{"a drained window is closed", func(w *world) {
		s := w.scene()
		s.add(s.producer.spread(event.Likes, s.win, 0, 9)...)
		s.drain(exitDrained, s.win)
		if _, err := s.producer.send(s.producer.spread(event.Likes, s.win, 100, 101)); !tooOld(err) {
			fail("Redis took an entry for a window that is drained: %v", err)
		}
	}},
	{"the fence never goes back", func(w *world) {
		s := w.scene()
		s.produce()
		s.drain(exitDrained, s.win.Next())
		s.drain(exitDrained, s.win)
		if _, err := s.producer.send(s.producer.spread(event.Likes, s.win.Next(), 100, 101)); !tooOld(err) {
			fail("Redis took an entry for a window that is drained, after an older one was drained again: %v", err)
		}
	}},
	{"entries from before the first run go through the group", func(w *world) {
		s := w.scene()
		s.produce()
		p := s.hold("part.synced#1=stop")
		pending := int64(0)
		for _, k := range event.Kinds() {
			if of, err := s.redis.c.XPending(context.Background(), s.stream(k), group).Result(); err == nil {
				pending += of.Count
			}
		}
		if pending < others {
			fail("a kind is read, but XPENDING shows %d entries", pending)
		}
		p.signal(syscall.SIGCONT)
		s.wait(p)
		s.checkLag()
		s.finish(nil)
	}},
	{"an older window waits while a newer one is drained", func(w *world) {
		s := w.scene()
		s.produce()
		s.drain(exitDrained, s.win.Next(), "--catch-up=false")
		s.inspect("after the newer window was drained")
		s.drain(exitDrained, s.win)
		s.check(s.win.Next().Next())
	}},
	{"out of memory, producers are refused and the drain goes on", func(w *world) {
		s := w.scene()
		s.produce()
		s.redis.do("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
		if _, err := s.producer.send(s.producer.spread(event.Likes, s.win.Next(), 100, 101)); !away(err) {
			fail("Redis took an entry beyond its memory: %v", err)
		}
		s.finish(nil)
	}},
	{"the disk of Redis is full", func(w *world) {
		s := w.scene()
		s.produce()
		s.fullDisk()
		s.drain(exitUnavailable, s.win)
		s.inspect("with a full disk")
		s.roomAgain()
		s.finish(nil)
	}},
	{"the consumer is deleted with what it had claimed", func(w *world) {
		s := w.scene()
		s.produce()
		s.kill("claimed#4=kill")
		for _, k := range event.Kinds() {
			_ = s.redis.c.XGroupDelConsumer(context.Background(), s.stream(k), group, "datawriter").Err()
		}
		s.finish(nil)
	}},
	{"the group is destroyed with what it had claimed", func(w *world) {
		s := w.scene()
		s.produce()
		s.kill("claimed#4=kill")
		s.destroyGroups()
		s.finish(nil)
	}},
	{"the group is destroyed under a run, and another run reads on", func(w *world) {
		s := w.scene()
		s.produce()
		p := s.hold("claimed#1=stop")
		s.destroyGroups()
		s.wait(s.start(s.win.String(), "claimed#5=kill"))
		p.signal(syscall.SIGCONT)
		if s.wait(p) == exitDrained {
			s.check(s.win.Next())
		}
		s.finish(nil)
	}},
	{"claimed entries are deleted by somebody else", func(w *world) {
		s := w.scene()
		s.produce()
		s.kill("claimed#6=kill")
		for _, k := range event.Kinds() {
			s.redis.do("XTRIM", s.stream(k), "MINID", s.win.StartMS()+40)
		}
		s.excuse("foreign trim")
		s.lossy().finish(nil)
	}},
	{"what is pending of an older window goes, when its entries are gone", func(w *world) {
		s := w.scene().lossy()
		s.produce()
		s.kill("claimed#4=kill")
		for _, k := range event.Kinds() {
			s.redis.do("XTRIM", s.stream(k), "MINID", s.win.EndMS())
		}
		s.excuse("foreign trim")
		s.drain(exitDrained, s.win.Next())
		s.check(s.win.Next().Next())
	}},
	{"a run that slept finds its window drained without the rejects that it has", func(w *world) {
		s := w.scene().lossy()
		likes := s.producer.spread(event.Likes, s.win, 0, others)
		likes[others/2].fields = []string{"event", "no JSON"}
		s.add(likes...)
		s.next()
		p := s.hold("rejects.synced#1=stop")
		s.redis.do("XTRIM", s.stream(event.Likes), "MINID", s.win.EndMS())
		s.excuse("foreign trim")
		s.drain(exitDrained, s.win) // without the rejects
		p.signal(syscall.SIGCONT)   // publishes them all the same, and sees that it must not
		s.wait(p)
		s.finish(nil)
		s.verified()
	}},
	{"a part that was lost is not replaced by an empty one", func(w *world) { w.lostPart(func(*scene) {}) }},
	{"a part that was lost is not replaced, although Redis began again", func(w *world) {
		w.lostPart(func(s *scene) { s.redis.do("FLUSHALL") })
	}},
	{"a part that was lost is not replaced, although the state is gone", func(w *world) {
		w.lostPart(func(s *scene) { removeAll(s.state) })
	}},
	{"a reader that dies takes a page of the group", func(w *world) {
		s := w.scene()
		s.add(s.producer.spread(event.Likes, s.win, 0, manyLikes)...)
		s.next()
		p := s.hold("claimed#1=stop") // the first page; the other reader takes the second
		s.kill("claimed#1=kill")
		p.signal(syscall.SIGCONT)
		if s.wait(p) == exitDrained {
			s.check(s.win.Next())
		}
		s.finish(nil)
	}},
	{"a lease that its holder cannot give back is no obstacle, whatever the clock does", func(w *world) {
		s := w.scene()
		s.produce()
		s.kill("lease.taken#5=kill")
		for _, k := range event.Kinds() { // the clock steps back by an hour
			_ = s.redis.c.PExpire(context.Background(), s.stream(k)+":lease:"+group, time.Hour).Err()
		}
		s.finish(nil)
	}},
	{"huge entries", func(w *world) {
		s := w.scene()
		s.produce()
		huge := s.producer.spread(event.Posts, s.win.Next(), 20, 23)
		huge[0].fields = []string{"event", strings.Repeat("x", 5<<20)}
		huge[1].fields = []string{"event", strings.Replace(s.producer.event(event.Posts), `"text":"`, `"text":"`+strings.Repeat("long ", 200_000), 1)}
		s.add(huge...)
		s.drain(exitDrained, s.win.Next())
		s.check(s.win.Next().Next())
	}},
}

// lostPart loses a part between two others, and perhaps more. No run puts
// another in its place; every run says so, and drains what is younger.
func (w *world) lostPart(more func(*scene)) {
	s := w.scene().lossy()
	s.produce()
	s.drain(exitDrained, s.win)
	s.drain(exitDrained, s.win.Next())
	s.losePart(event.Posts, s.win)
	more(s)
	younger := s.win.Next().Next()
	for range 2 {
		s.drain(exitIntegrity, s.win)
		s.drain(exitIntegrity, younger)
		younger = younger.Next()
	}
	for _, k := range event.Kinds() {
		if _, err := os.Stat(s.partPath(k, s.win)); (err == nil) != (k != event.Posts) {
			fail("the part of %s of the window: %w", k, err)
		}
		if _, err := os.Stat(s.partPath(k, younger.Previous())); err != nil {
			fail("a younger window was not drained: %w", err)
		}
	}
}

// allSpecials returns the special cases, with those under a run.
func allSpecials(core bool) []trial {
	return slices.Concat(specials, underRuns(core), lostReplies(core), rescues(core))
}

// kill runs until the fault kills the run.
func (s *scene) kill(spec string, options ...string) {
	p := s.start(s.win.String(), spec, options...)
	s.wait(p)
	s.fired(p)
}

// hold runs until the fault stops the run.
func (s *scene) hold(spec string) *process {
	p := s.start(s.win.String(), spec)
	s.awaitStopped(p)
	s.fired(p)
	return p
}

func (s *scene) fired(p *process) {
	if !s.hasFired(p) {
		fail("%s: %w", p.fault, errNotFired)
	}
	s.inspect("after the fault")
}

func (s *scene) destroyGroups() {
	for _, k := range event.Kinds() {
		_ = s.redis.c.XGroupDestroy(context.Background(), s.stream(k), group).Err()
	}
}

// renewed returns other entries for a kind's window and the next one.
func (s *scene) renewed(k event.Kind) []addition {
	return s.producer.spread(k, s.win.Next(), newer, newer+3)
}

// lossy: Redis itself has lost entries, so only what is left counts.
func (s *scene) lossy() *scene { s.afterLoss = true; return s }

// await waits for a condition of the outside world.
func (w *world) await(what string, condition func() bool) {
	for deadline := time.Now().Add(limit); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			fail("wait for %s: %w", what, errTimeout)
		}
	}
}

// TestSpecials plays every special case.
func TestSpecials(t *testing.T) { playAll(t, allSpecials(!*full)) }

func playAll(t *testing.T, trials []trial) {
	try(prepare())
	for _, c := range trials {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.run(""); err != nil {
				fmt.Println(err) // at once: a test says it only at its end
				t.Fatalf("%v\nagain: go test ./worker/torture -full -run '%s'", err, strings.ReplaceAll(t.Name(), " ", "_"))
			}
		})
	}
}

func prepare() error { _, err := production(); return err }
