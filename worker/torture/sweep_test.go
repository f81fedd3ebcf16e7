package torture

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/window"
)

// scene is a world in which one window is about to be drained by a run that a
// fault will hit, and the next one must not be touched.
type scene struct {
	*world
	win     window.Window
	options []string
	middle  int64 // moment at which half of the window's entries were there
	ready   int64 // moment right before the run
	half    []addition

	afterLoss bool                      // Redis lost entries of the next window too
	needed    map[event.Kind][]event.ID // by other groups, when the fault happened
}

// Sizes: likes need more than one settling page, so that the trim is reached.
const (
	manyLikes = 1100
	others    = 24
	newer     = 8
)

// scenarios are the worlds in which the sweep lets a fault happen.
var scenarios = map[string]func(*scene){
	// Nothing was ever drained.
	"fresh": func(s *scene) { s.produce() },
	// The window has a part 0. Redis lost half of what that holds and gave the
	// same IDs to other entries, which are late now.
	"late": func(s *scene) {
		s.produce()
		s.drain(exitDrained, s.win)
		s.clockBack()
	},
	// Another group reads the streams, and is behind.
	"shared": func(s *scene) {
		for _, k := range event.Kinds() {
			s.redis.do("XGROUP", "CREATE", s.stream(k), "analytics", "0", "MKSTREAM")
		}
		s.others["analytics"] = true
		s.produce()
		for _, k := range event.Kinds() {
			s.redis.do("XREADGROUP", "GROUP", "analytics", "a", "COUNT", 9, "STREAMS", s.stream(k), ">")
			first := s.rangeAll(k)
			s.redis.do("XACK", s.stream(k), "analytics", first[0].ID.String(), first[1].ID.String())
		}
	},
	// Without a pending list.
	"noack": func(s *scene) {
		s.options = []string{"--noack"}
		s.produce()
	},
}

// produce fills the window and the next one, and notes the moments.
func (s *scene) produce() {
	s.half = s.half[:0]
	for _, k := range event.Kinds() {
		n := others
		if k == event.Likes {
			n = manyLikes
		}
		s.add(s.producer.spread(k, s.win, 0, n/2)...)
	}
	s.middle = s.redis.mark()
	for _, k := range event.Kinds() {
		n := others
		if k == event.Likes {
			n = manyLikes
		}
		s.half = append(s.half, s.producer.spread(k, s.win, n/2, n)...)
	}
	s.add(s.half...)
	s.next()
}

// next fills the window behind the one under test.
func (s *scene) next() {
	for _, k := range event.Kinds() {
		s.add(s.producer.spread(k, s.win.Next(), 0, newer)...)
	}
	s.ready = s.redis.mark()
}

func (s *scene) add(additions ...addition) {
	_, err := s.producer.send(additions)
	try(err)
}

// spread makes the entries [from, to) of a window that has room for manyLikes.
func (p *producer) spread(k event.Kind, w window.Window, from, to int) (additions []addition) {
	for n := from; n < to; n++ {
		id := event.ID{MS: w.StartMS() + uint64(n*9/2), Seq: uint64(n % 2)}
		additions = append(additions, addition{k, id, p.fields(k)})
	}
	return additions
}

// rollBack lets Redis lose power and come back as it was.
func (s *scene) rollBack(to int64) {
	s.inspect("before redis is rolled back")
	s.redis.rollBack(to)
	s.excuse("rollback")
}

// clockBack lets Redis lose half of the window and its clock step back: the same
// IDs are given to other entries.
func (s *scene) clockBack() {
	s.rollBack(s.middle)
	for i := range s.half {
		s.half[i].fields = s.producer.fields(s.half[i].kind)
	}
	s.add(s.half...)
	s.next()
}

// aftermath is what happens once the fault has fired. The process is stopped or
// gone, as holds says.
type aftermath struct {
	name  string
	holds bool // the process is only stopped, and goes on at the end
	do    func(*scene)
}

var aftermaths = []aftermath{
	{"rerun", false, func(*scene) {}},
	{"rollback", false, func(s *scene) { s.rollBack(s.ready) }},
	{"rollback and clock back", false, func(s *scene) { s.clockBack() }},
	{"power loss", false, func(s *scene) {
		s.inspect("before power is lost")
		gone := s.losePower(func() bool { return true })
		if at := s.processes[len(s.processes)-1].fault; strings.Contains(at, "linked#") && strings.HasSuffix(at, "=kill") && gone == 0 {
			fail("no name was lost with the power, although the run died at %s", at)
		}
		s.redis.rollBack(s.redis.mark())
		s.inspect("after power was lost")
	}},
	{"racer", true, func(s *scene) {
		s.drain(exitDrained, s.win, s.options...)
		s.check(s.win.Next())
	}},
	{"racer killed", true, func(s *scene) {
		s.kill("listed#2=kill", s.options...)
	}},
	{"redis rolled back under it", true, func(s *scene) { s.clockBack() }},
}

// sweepCase is one scenario × fault × aftermath.
type sweepCase struct {
	scenario  string
	spec      string
	aftermath aftermath
	core      bool
}

func (c sweepCase) name() string {
	return fmt.Sprintf("%s/%s/%s", c.scenario, c.spec, c.aftermath.name)
}

func (c sweepCase) play(w *world) {
	s := w.scene()
	scenarios[c.scenario](s)
	s.needed = s.neededByOthers()

	p := s.start(s.win.String(), c.spec, s.options...)
	if c.aftermath.holds {
		s.awaitStopped(p)
	} else {
		s.wait(p)
	}
	s.fired(p)
	c.aftermath.do(s)
	if c.aftermath.holds {
		p.signal(syscall.SIGCONT)
		if s.wait(p) == exitDrained && c.aftermath.name != "redis rolled back under it" {
			s.check(s.win.Next())
		}
		s.inspect("after it went on")
	}
	s.finish(s.needed)
}

// finish drains again, which must succeed at once, then the next window, and
// looks at everything.
func (s *scene) finish(needed map[event.Kind][]event.ID) {
	s.drain(exitDrained, s.win, s.options...)
	s.check(s.win.Next())
	if len(s.others) == 0 && s.options == nil && !s.afterLoss {
		s.untouched()
	}
	s.keptForOthers(needed)
	s.drain(exitDrained, s.win.Next(), s.options...)
	s.check(s.win.Next().Next())
	if len(s.others) == 0 && s.options == nil && s.redis.starts == 1 && !s.afterLoss {
		s.checkLag() // Redis forgets its own count of read entries over a restart
	}
	try(s.reader.end())
}

// untouched: no entry of the next window is claimed or gone.
func (s *scene) untouched() {
	for _, k := range event.Kinds() {
		if n := len(s.rangeAll(k)); n != newer {
			fail("%s holds %d entries of the next window, want %d", s.stream(k), n, newer)
		}
	}
}

// neededByOthers returns what other groups have not acked.
func (w *world) neededByOthers() map[event.Kind][]event.ID {
	needed := make(map[event.Kind][]event.ID)
	for name := range w.others {
		for _, k := range event.Kinds() {
			needed[k] = append(needed[k], w.needs(k, name)...)
		}
	}
	return needed
}

// keptForOthers: all of that is still there.
func (w *world) keptForOthers(needed map[event.Kind][]event.ID) {
	for k, ids := range needed {
		there := make(map[event.ID]bool)
		for _, e := range w.rangeAll(k) {
			there[e.ID] = true
		}
		for _, id := range ids {
			if !there[id] {
				fail("%s of %s was deleted before another group had acked it", id, w.stream(k))
			}
		}
	}
}

// sweepCases lists every case, the core first.
func sweepCases() (cases []sweepCase) {
	for _, scenario := range []string{"fresh", "late", "shared", "noack"} {
		for _, nth := range []int{1, 3} {
			for _, point := range fault.Points() {
				if happensOnce(point) && nth > 1 || !reaches(scenario, point) {
					continue
				}
				for _, a := range aftermaths {
					if scenario == "shared" && strings.Contains(a.name, "roll") {
						continue // the other group is rolled back too, so what it needs is another question
					}
					for _, action := range actions(point, a) {
						spec := fmt.Sprintf("%s#%d=%s", point, nth, action)
						cases = append(cases, sweepCase{scenario, spec, a, nth == 1 && isCore(scenario, point, action, a.name)})
					}
				}
			}
		}
	}
	slices.SortStableFunc(cases, func(a, b sweepCase) int {
		switch {
		case a.core == b.core:
			return 0
		case a.core:
			return -1
		}
		return 1
	})
	return cases
}

// reaches reports whether a run of the scenario passes the point.
func reaches(scenario string, p fault.Point) bool {
	switch scenario {
	case "late":
		return !ofTheShape(p)
	case "shared":
		return p != fault.Trimmed
	}
	return true
}

// actions lists what can happen at a point before an aftermath.
func actions(p fault.Point, a aftermath) []string {
	switch {
	case a.holds:
		return []string{"stop"}
	case isFileStep(p):
		return []string{"kill", "EIO", "ENOSPC"}
	}
	return []string{"kill"}
}

// isCore picks what every test run tries.
func isCore(scenario string, p fault.Point, action, aftermath string) bool {
	switch {
	case aftermath == "racer killed":
		return scenario == "fresh" && p == fault.Listed
	case aftermath == "rerun":
		return action == "kill" || scenario == "fresh"
	case scenario == "late":
		return aftermath == "racer"
	case scenario != "fresh":
		return false
	case action == "EIO":
		return aftermath == "power loss"
	}
	return action != "ENOSPC" && aftermath != "rollback"
}

// happensOnce: a run passes these points once, all others once a kind or more.
func happensOnce(p fault.Point) bool {
	return ofTheShape(p) || p == fault.Trimmed || p == fault.Logged
}

// ofTheShape: a step of writing the archive's shape.
func ofTheShape(p fault.Point) bool { return strings.HasPrefix(string(p), "archive.") }

// isFileStep reports whether the point can answer an I/O error.
func isFileStep(p fault.Point) bool {
	step := string(p[strings.LastIndex(string(p), ".")+1:])
	return slices.Contains([]string{fault.Staged, fault.Written, fault.Synced, fault.Linked, fault.Hardened}, step)
}

// sweep returns the trials of the sweep.
func sweep(core bool) (trials []trial) {
	for _, c := range sweepCases() {
		if c.core || !core {
			trials = append(trials, trial{c.name(), c.play})
		}
	}
	return trials
}

// TestSweep visits every crash point and every I/O error with every aftermath.
func TestSweep(t *testing.T) { playAll(t, sweep(!*full)) }
