package torture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/window"
)

// schedule is one random case: windows are filled and drained while faults that
// the seed draws happen to everything.
type schedule struct {
	*world
	rng      *rand.Rand
	first    window.Window
	now      uint64 // the clock of producers, in milliseconds
	failover bool
	noack    bool     // all runs are without a pending list, not just some
	mended   []func() // what has to be undone before the end
}

// seedSteps is how often a schedule drains something.
const seedSteps = 14

// seed returns the trial of a seed.
func seed(n uint64, failover bool) trial {
	name := fmt.Sprintf("seed %d", n)
	if failover {
		name = fmt.Sprintf("failover seed %d", n)
	}
	return trial{name, func(w *world) {
		s := &schedule{world: w, rng: newRand(n), first: base(), failover: failover}
		s.play()
	}}
}

func (s *schedule) play() {
	s.producer.poison = 5 + s.rng.IntN(30)
	s.producer.numbered, s.noack = s.chance(2), s.chance(3)
	args := []string{}
	if s.chance(2) {
		args = append(args, "--appendfsync", "everysec")
	}
	if s.failover {
		s.pair(args...)
	} else {
		s.redis = s.startServer("redis", 0, args...)
		s.url = s.redis.url()
	}
	// Up to an hour later, so that windows cross its end.
	s.first.Start = s.first.Start.Add(time.Duration(s.rng.IntN(360)) * length)
	s.now = s.first.StartMS()
	for range seedSteps {
		s.produce(20 + s.rng.IntN(150))
		if s.chance(16) {
			s.burst()
		}
		s.step()
		s.inspect("between steps")
	}
	s.end()
}

func (s *schedule) chance(oneIn int) bool { return s.rng.IntN(oneIn) == 0 }

// produce adds n entries from the producers' clock on.
func (s *schedule) produce(n int) {
	var additions []addition
	for range n {
		s.now += uint64(s.rng.IntN(60))
		k := event.Kinds()[s.rng.IntN(5)]
		if s.chance(2) {
			k = event.Likes
		}
		additions = append(additions, addition{k, s.id(k), s.producer.fields(k)})
	}
	s.send(additions)
}

// burst adds more to one stream at once than is deleted one by one.
func (s *schedule) burst() {
	var additions []addition
	for range 1200 {
		additions = append(additions, addition{event.Likes, s.id(event.Likes), s.producer.fields(event.Likes)})
	}
	s.send(additions)
}

// send adds entries, of which Redis refuses those behind a fence.
func (s *schedule) send(additions []addition) {
	if _, err := s.producer.send(additions); tooOld(err) {
		s.catchUp()
	}
}

// id returns the ID that a server with the producers' clock gives next.
func (s *schedule) id(k event.Kind) event.ID {
	id := event.ID{MS: s.now}
	if last := s.producer.last[k]; last.Compare(id) >= 0 {
		id = event.ID{MS: last.MS, Seq: last.Seq + 1}
		if last.Seq == 1<<64-1 {
			id = event.ID{MS: last.MS + 1}
		}
	}
	s.producer.last[k] = id
	return id
}

// catchUp learns from Redis where its streams stand: behind a fence.
func (s *schedule) catchUp() {
	for _, k := range event.Kinds() {
		info, err := s.redis.c.XInfoStream(s.ctx(), s.stream(k)).Result()
		if err == nil {
			s.producer.last[k] = must(event.ParseID(info.LastGeneratedID))
		}
	}
}

// step drains something, more often than not with something else going wrong.
func (s *schedule) step() {
	if s.chance(8) {
		s.restart(0)
		s.fault(idleKill, true)
	}
	var ps []*process
	for range 1 + s.rng.IntN(3) {
		ps = append(ps, s.startSome())
	}
	if s.chance(3) {
		s.produce(30) // beside the drains
	}
	if s.chance(2) {
		time.Sleep(time.Duration(s.rng.IntN(120)) * time.Millisecond)
		s.trouble()
	}
	for _, p := range ps {
		s.settleProcess(p)
	}
	s.heal()
}

// startSome starts a drain of some window, perhaps with a fault.
func (s *schedule) startSome() *process {
	win := s.first
	past := max(1, int((s.now-s.first.StartMS())/uint64(length.Milliseconds())))
	for range s.rng.IntN(past + 1) {
		win = win.Next()
	}
	var options []string
	if s.noack || s.chance(6) {
		options = append(options, "--noack")
	}
	if s.chance(3) {
		options = append(options, "--catch-up=false")
	}
	if s.chance(4) {
		options = append(options, "--attempts=2")
	}
	if s.hasShape() && s.chance(12) {
		p := s.start(win.Start.Truncate(2*length).Format(time.RFC3339)+"/"+window.Label(2*length), "", options...)
		p.foreign = true
		return p
	}
	return s.start(win.String(), s.someFault(), options...)
}

// hasShape reports whether a run has got as far as writing the archive's shape.
func (s *schedule) hasShape() bool {
	_, err := os.Stat(filepath.Join(s.data, "_archive.json"))
	return err == nil
}

// someFault returns a fault spec, or none. What only a first run passes is drawn
// more often while there has been none.
func (s *schedule) someFault() string {
	points := fault.Points()
	if s.chance(2) && !s.hasShape() {
		points = slices.DeleteFunc(points, func(p fault.Point) bool { return !ofTheShape(p) })
	}
	point, nth := points[s.rng.IntN(len(points))], 1+s.rng.IntN(6)
	if happensOnce(point) {
		nth = 1
	}
	at := fmt.Sprintf("%s#%d", point, nth)
	switch s.rng.IntN(10) {
	case 0, 1, 2, 3:
		return at + "=kill"
	case 4, 5:
		return at + "=stop"
	case 6:
		return at + "=EIO"
	case 7:
		return at + "=ENOSPC"
	}
	return ""
}

// settleProcess brings a process to its end: it may have to be killed, stopped
// and continued first.
func (s *schedule) settleProcess(p *process) {
	switch s.rng.IntN(6) {
	case 0:
		time.Sleep(time.Duration(s.rng.IntN(60)) * time.Millisecond)
		s.fault(randomKill, s.signalled(p, syscall.SIGKILL) && p.code == exitKilled)
	case 1:
		p.signal(syscall.SIGSTOP)
		stopped := s.awaitStopped(p)
		if stopped {
			time.Sleep(2 * lease)
			p.signal(syscall.SIGCONT)
		}
		s.fault(pastLease, stopped)
	case 2:
		s.fault(terminated, s.signalled(p, syscall.SIGTERM) && p.code == exitTerminated)
	}
	s.letEnd(p)
	if s.wait(p); p.foreign {
		s.fault(otherLength, p.code == exitUsage)
		if p.code != exitUsage && p.code != exitKilled && p.code != exitTerminated {
			fail("a run with another window length was let in: exit %d\n%s", p.code, p.err.String())
		}
	}
}

// signalled sends a signal that ends a process, and waits for that. False when the
// process was faster.
func (s *schedule) signalled(p *process, signal syscall.Signal) bool {
	before := p.ended()
	p.signal(signal)
	s.letEnd(p)
	return !before
}

// letEnd waits for the end of a process, and lets it go on, later, where it stops.
func (s *schedule) letEnd(p *process) {
	for s.awaitStopped(p) {
		time.Sleep(time.Duration(s.rng.IntN(300)) * time.Millisecond)
		p.signal(syscall.SIGCONT)
		time.Sleep(2 * time.Millisecond)
	}
}

// end drains everything, after the other groups are done, and looks at it all.
func (s *schedule) end() {
	for name := range s.others {
		for _, k := range event.Kinds() {
			_ = s.redis.c.XGroupDestroy(s.ctx(), s.stream(k), name).Err()
		}
	}
	s.others = map[string]bool{}
	last := s.lastWindow()
	s.drain(exitDrained, last)
	s.check(last.Next())
	if s.producer.numbered {
		s.checkNumbers(last.Next())
	}
	s.verified()
	try(s.reader.end())
	s.tally()
}

// lastWindow returns the youngest window that any entry is in, or any part: Redis
// may have lost every entry of a window that a killed run drained in part.
func (s *schedule) lastWindow() window.Window {
	last := must(window.Containing(time.UnixMilli(int64(s.latest())), length))
	for _, f := range s.files(false) {
		if of := f.name.Window; of.Start.After(last.Start) {
			last = of
		}
	}
	return last
}

// tally adds what this schedule was to what happened in all.
func (s *schedule) tally() {
	trace := readTrace(s.traceFile, s.data)
	for _, p := range s.processes {
		if p.fault != "" {
			happened.fault(atPoint(p.fault), trace.hasFired(p))
		}
		happened.add(fmt.Sprintf("runs that ended with exit %d", p.code), 1)
		if slices.Contains(p.args, "--noack") {
			happened.add("runs with --noack", 1)
		}
	}
	happened.add("looks of readers", s.reader.laps)
	happened.add("entries sent", len(s.journal.entries))
	happened.add("entries that redis lost", s.excused)
	happened.add("numbers that were told to be lost", s.skipped)
	happened.add("schedules without a violation", 1)
}

// latest returns the youngest millisecond that any stream has given an ID of.
func (s *schedule) latest() uint64 {
	latest := s.now
	for _, k := range event.Kinds() {
		for _, e := range s.rangeAll(k) {
			latest = max(latest, e.ID.MS)
		}
	}
	return latest
}

// TestSeeds plays random schedules.
func TestSeeds(t *testing.T) {
	var trials []trial
	for n := range *seedCount {
		trials = append(trials, seed(*firstSeed+uint64(n), false))
	}
	for n := range *failovers {
		trials = append(trials, seed(*firstSeed+uint64(n), true))
	}
	t.Cleanup(func() {
		fmt.Print(&happened)
		if never := happened.never(expected(*seedCount, *failovers)); len(never) > 0 && !t.Failed() {
			t.Errorf("these faults did not happen once: %q", never)
		}
	})
	playAll(t, trials)
}
