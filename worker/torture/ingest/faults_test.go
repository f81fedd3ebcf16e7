package ingest_test

import (
	"slices"
	"strings"
	"time"

	"datawriter/worker/ingest"
	"datawriter/worker/ingest/ingesttest"
)

// fault is something that goes wrong once, and is over when do returns. do fails
// the test where it could not make it happen.
type fault struct {
	name  string
	often int // in a million events; -1 is as often as was asked for
	do    func(s *storm)
}

var faults = []*fault{
	{"kill -9 of the ingest", -1, (*storm).killIngest},
	{"kill -9 of redis", 8, (*storm).killRedis},
	{"redis out of memory", 6, (*storm).fillRedis},
	{"gap", 6, (*storm).gap},
	{"another host", 10, (*storm).changeHost},
	{"a silent socket", 6, host(ingesttest.Silent, func(f *ingesttest.Faults) { f.Silent = 1 })},
	{"a dead socket", 6, host(ingesttest.Dead, func(f *ingesttest.Faults) { f.Dead = 1 })},
	{"a cut connection", 16, host(ingesttest.Cut, func(f *ingesttest.Faults) { f.Cut = 1 })},
	{"a cutover", 8, (*storm).cutover},
	{"a crash of a host", 8, (*storm).crashHost},
	{"a closed connection", 16, host(ingesttest.Close, func(f *ingesttest.Faults) { f.Close = 1 })},
}

// ambient are the faults that hosts make all the time, or that others bring about.
var ambient = []string{
	ingesttest.Again, ingesttest.Garbage, ingesttest.Slow, ingesttest.Strangers, ingesttest.Long, ingesttest.Jump, ingesttest.JumpCut, ingesttest.TooOld, ingesttest.Crashed,
}

// deck returns faults in an order that the seed draws.
func (s *storm) deck() (deck []*fault) {
	for _, f := range faults {
		deck = append(deck, slices.Repeat([]*fault{f}, s.plan.times(f))...)
	}
	s.rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

// host returns a fault that a host makes at its next message.
func host(name string, certain func(f *ingesttest.Faults)) func(s *storm) {
	return func(s *storm) {
		f := s.plan.noise
		certain(&f)
		before := s.happened()[name]
		for _, h := range s.hosts {
			h.Set(f)
		}
		s.until(name, func() bool { return s.happened()[name] > before })
		s.noise()
	}
}

func (s *storm) killIngest() {
	select {
	case <-s.feeder.done:
		s.t.Fatalf("the ingest had ended by itself: %v", s.feeder.ProcessState)
	default:
	}
	s.feeder.kill()
	s.start()
}

func (s *storm) killRedis() {
	s.redis.Kill()
	time.Sleep(time.Duration(s.rng.Int64N(int64(s.plan.calm/4) + 1)))
	s.redis.Restart()
}

// fillRedis lowers the limit of the memory until the ingest was refused and
// has stopped, and lifts it again.
func (s *storm) fillRedis() {
	limit := func(bytes string) {
		if err := s.admin.ConfigSet(s.t.Context(), "maxmemory", bytes).Err(); err != nil {
			s.t.Fatal(err)
		}
	}
	for before := s.refusals(); ; {
		s.caughtUp() // it writes
		limit("1")
		s.until("it is paused", func() bool { return s.metric(`state{state="paused"}`, "") > 0 })
		refused := s.refusals() > before
		limit("0")
		if refused { // else it looked at the memory before it wrote
			return
		}
	}
}

// refusals returns how often Redis was out of memory since it started.
func (s *storm) refusals() int {
	text := s.admin.Info(s.t.Context(), "errorstats").Val()
	_, text, found := strings.Cut(text, "errorstat_OOM:count=")
	if !found {
		return 0
	}
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// changeHost turns the ingest away where it is, until it is somewhere else.
func (s *storm) changeHost() {
	var from *ingesttest.Host
	s.until("it is connected", func() bool { from = s.live(); return from != nil })
	from.Refuse(true)
	s.until("it is with another host", func() bool { h := s.live(); return h != nil && h != from })
	s.caughtUp()
	from.Refuse(false)
}

// cutover makes the ingest reconnect to a legacy host, while much happens, until
// that has left something out where its replay met what happened; once the
// connection goes on there, and once it ends right behind.
func (s *storm) cutover() {
	for _, h := range s.hosts {
		if !h.V1 || h.V2 || h.Numbers {
			h.Refuse(true)
		}
	}
	s.leftOut(ingesttest.Jump, 0)
	s.leftOut(ingesttest.JumpCut, 1)
	s.noise()
	s.caughtUp()
	for _, h := range s.hosts {
		h.Refuse(false)
	}
}

// leftOut breaks connections until a fault has happened once more.
func (s *storm) leftOut(fault string, cut float64) {
	f := s.plan.noise
	f.JumpCut = cut
	for _, h := range s.hosts {
		h.Set(f)
	}
	for before := s.happened()[fault]; s.happened()[fault] == before; {
		for _, h := range s.hosts {
			h.Drop()
		}
		for range 50 {
			s.mu.Lock()
			s.make(2)
			s.mu.Unlock()
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// crashHost lets a newer host forget what it had not written.
func (s *storm) crashHost() {
	for _, n := range s.rng.Perm(len(s.hosts)) {
		if h := s.hosts[n]; h.V2 || h.Numbers {
			h.Crash(1 + s.rng.Int64N(1000))
			return
		}
	}
}

// gap lets the hosts forget events that nobody has read. Every other time the
// ingest is killed before it can know.
func (s *storm) gap() {
	s.mu.Lock() // nothing more is made now
	known := len(s.made)
	s.until("all is read", func() bool { return s.stored() >= int64(known) })
	for _, h := range s.hosts {
		h.Refuse(true)
	}
	lost := s.source.Make(100+s.rng.IntN(900), time.Duration(s.rng.Int64N(int64(time.Second))))
	s.source.Forget(0)
	if s.rng.IntN(2) == 0 || s.plan.calm < time.Second {
		s.make(min(6000, s.plan.events/2)) // enough to judge by; else ten seconds are
	} else {
		s.make(10)
	}
	s.gaps = append(s.gaps, stretch{lost[0].US, lost[len(lost)-1].US, s.source.First()})
	s.mu.Unlock()
	for _, n := range s.rng.Perm(len(s.hosts))[:1+s.rng.IntN(len(s.hosts))] {
		s.hosts[n].Refuse(false)
	}
	if (len(s.gaps)+len(s.hosts))%2 == 0 {
		s.until("the first event behind the gap is stored", func() bool { return s.stored() > int64(known) })
		s.killIngest()
		s.fired["kill -9 in doubt"]++
	}
	s.until("the gap is known", func() bool { return len(s.recorded()) >= len(s.gaps) })
	for _, h := range s.hosts {
		h.Refuse(false)
	}
}

func (s *storm) recorded() []ingest.Gap {
	gaps, err := ingest.ReadGaps(s.data + "/_state")
	if err != nil {
		s.t.Fatal(err)
	}
	return gaps
}
