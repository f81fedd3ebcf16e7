package torture

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"syscall"
	"testing"

	"datawriter/worker/event"
	"datawriter/worker/window"
)

// told drains a window, and wants exactly these losses told, by class.
func (s *scene) told(win window.Window, want map[string]int64) {
	p := s.drain(exitDrained, win)
	if !maps.Equal(p.lost, want) {
		fail("datawriter tells of the losses %v, want %v\n%s", p.lost, want, p.err.String())
	}
	if (p.code == exitIntegrity) != (len(want) > 0) {
		fail("exit %d with the losses %v", p.code, want)
	}
}

// none is no loss at all.
var none = map[string]int64{}

// drained is a scene whose first window is drained, and whose next one waits.
func (w *world) drained() *scene {
	s := w.scene()
	s.produce()
	s.told(s.win, none)
	return s
}

// losses are what Redis can lose by itself; newer entries a kind wait in it.
var losses = []trial{
	{"a deleted stream", func(w *world) {
		s := w.drained()
		s.redis.do("DEL", s.stream(event.Likes))
		s.excuse("DEL")
		s.told(s.win.Next(), map[string]int64{"deleted": newer})
		s.told(s.win.Next(), none) // once
	}},
	{"a deleted stream that counts beyond its past", func(w *world) {
		s := w.drained()
		s.redis.do("DEL", s.stream(event.Posts))
		s.excuse("DEL")
		s.add(s.producer.spread(event.Posts, s.win.Next(), 20, 900)...)
		s.told(s.win.Next(), map[string]int64{"deleted": newer})
	}},
	{"an evicted stream", func(w *world) {
		s := w.drained()
		s.redis.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "1mb")
		_ = s.redis.c.Set(s.ctx(), "one", "more", 0).Err()
		s.redis.do("CONFIG", "SET", "maxmemory", "0")
		lost := s.excuse("eviction")
		if lost == 0 {
			fail("nothing was evicted")
		}
		s.told(s.win.Next(), map[string]int64{"evicted": int64(lost)})
	}},
	{"entries that somebody trimmed", func(w *world) {
		s := w.drained()
		s.redis.do("XTRIM", s.stream(event.Blocks), "MAXLEN", newer-3)
		s.excuse("trim")
		s.told(s.win.Next(), map[string]int64{"trimmed": 3})
	}},
	{"entries that somebody deleted before the first run", func(w *world) {
		s := w.scene()
		s.produce()
		s.redis.do("XTRIM", s.stream(event.Blocks), "MAXLEN", 5)
		s.excuse("trim")
		s.told(s.win, none)
	}},
	{"a tail that Redis forgot", func(w *world) {
		s := w.drained()
		s.rollBack(s.ready - 1) // into the last command
		lost := w.excused
		s.told(s.win.Next(), map[string]int64{"rolled_back": int64(lost)})
	}},
	{"entries that somebody trimmed while the state was lost", func(w *world) {
		s := w.drained()
		removeAll(s.state)
		s.add(s.producer.spread(event.Blocks, s.win.Next(), newer, newer+9)...)
		s.redis.do("XTRIM", s.stream(event.Blocks), "MAXLEN", 2)
		s.excuse("trim")
		p := s.drain(exitDrained, s.win.Next())
		// newer were waiting when the last part was read, which its footer does not tell.
		if p.lost["trimmed"] < 9-2 {
			fail("datawriter tells of the losses %v\n%s", p.lost, p.err.String())
		}
	}},
	{"a tail that Redis forgot with its count, by the producer's numbers", func(w *world) {
		s := w.scene()
		s.number(s.win, 0, 40)
		middle := s.redis.mark()
		s.number(s.win, 40, 60)
		s.rollBack(middle)
		s.number(s.win, 60, 90)
		s.next()
		s.told(s.win, none)
		s.told(s.win.Next(), map[string]int64{"skipped": 20})
		s.told(s.win.Next(), none)
	}},
	{"numbers that a killed run had published, of a stream that is deleted then, are none", func(w *world) {
		s := w.scene()
		s.number(s.win, 0, 40)
		s.told(s.win, none)
		s.win = s.win.Next()
		s.number(s.win, 40, 60)
		s.kill("part.hardened#5=kill")
		s.redis.do("DEL", s.stream(event.Likes))
		if lost := s.excuse("DEL"); lost > 0 {
			fail("all was published, and yet %d entries are lost", lost)
		}
		for n := range 3 {
			s.win = s.win.Next()
			s.number(s.win, 60+10*n, 70+10*n)
			s.told(s.win, none)
		}
	}},
	{"numbers that a run read, and did not publish", func(w *world) {
		s := w.scene()
		s.number(s.win, 0, 40)
		s.told(s.win, none)
		s.win = s.win.Next()
		s.told(s.win, none) // so that only likes have something to publish from here on
		s.redis.do("DEL", s.stream(event.Likes))
		s.number(s.win, 40, 60)
		p := s.hold("claimed#1=stop")
		s.redis.do("DEL", s.stream(event.Likes))
		s.excuse("DEL")
		s.number(s.win, 60, 70)
		s.kill("part.hardened#1=kill") // publishes these, and settles nothing
		p.signal(syscall.SIGCONT)
		s.wait(p) // what it read is no part's, and what it finds is
		lost := map[string]int64{}
		for n := range 3 {
			s.win = s.win.Next()
			s.number(s.win, 70+10*n, 80+10*n)
			lost["skipped"] += s.drain(exitDrained, s.win).lost["skipped"]
		}
		if lost["skipped"] != 20 {
			fail("%d numbers were told to be missing, want 20", lost["skipped"])
		}
	}},
}

// number adds likes that their producer numbers from 1.
func (s *scene) number(w window.Window, from, to int) {
	additions := s.producer.spread(event.Likes, w, from, to)
	for i := range additions {
		additions[i].fields = append([]string{event.FieldName, s.producer.event(event.Likes)}, "seq", fmt.Sprint(from+i+1))
		s.producer.made++
	}
	s.add(additions...)
}

// TestLosses: what Redis loses by itself is told by the drain of the next window,
// with its class and count, once, and the exit code says so.
func TestLosses(t *testing.T) { playAll(t, losses) }

// TestNoFalseAlarm drains 100 healthy windows beside producers, with runs that are
// killed anywhere, empty windows, another group, restarts and a lost state.
func TestNoFalseAlarm(t *testing.T) {
	var trials []trial
	for n, name := range []string{"undisturbed but for kills", "another group", "restarts", "lost states and groups"} {
		trials = append(trials, trial{name, func(w *world) { w.healthy(n) }})
	}
	playAll(t, trials)
}

func (w *world) healthy(variant int) {
	w.redis = w.startServer("redis", 0)
	w.url = w.redis.url()
	s := &schedule{world: w, rng: newRand(uint64(100 + variant)), first: base()}
	s.now = s.first.StartMS()
	s.producer.numbered = variant%2 == 0
	if variant == 1 {
		w.others["analytics"] = true
	}
	win := s.first
	for n := range 25 {
		if n%6 != 5 { // else the window is empty
			s.produceUntil(win.EndMS())
		}
		s.now = win.EndMS()
		var beside sync.WaitGroup
		beside.Go(func() { s.produce(40) })
		if n%3 == 2 {
			s.wait(s.start(win.String(), s.someKill()))
		}
		s.wait(s.start(win.String(), ""))
		beside.Wait()
		switch {
		case variant == 1 && n == 7:
			s.otherGroup()
		case variant == 2 && n%5 == 4:
			w.redis.rollBack(w.redis.mark()) // a restart that loses nothing
		case variant == 3 && n%7 == 6:
			removeAll(w.state)
		case variant == 3 && n == 12:
			w.redis.do("XGROUP", "DESTROY", w.stream(event.Likes), group)
		}
		win = win.Next()
	}
	s.end()
	for _, p := range w.processes {
		if len(p.lost) > 0 {
			fail("a false alarm: %v\n%s", p.lost, p.err.String())
		}
	}
}

// produceUntil adds entries up to a moment.
func (s *schedule) produceUntil(ms uint64) {
	for s.now < ms {
		s.produce(60)
		s.now += 2000
	}
}

func (s *schedule) someKill() string {
	for {
		if spec := s.someFault(); strings.HasSuffix(spec, "=kill") {
			return spec
		}
	}
}

func (s *schedule) otherGroup() {
	for _, k := range event.Kinds() {
		_ = s.redis.c.XGroupCreate(s.ctx(), s.stream(k), "analytics", "0").Err()
	}
}
