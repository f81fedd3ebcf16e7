package torture

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
	"datawriter/worker/window"
)

// What happens to processes, and to Redis as a whole, by name.
const (
	randomKill  = "killed at a random moment"
	pastLease   = "stopped past its lease"
	terminated  = "terminated"
	otherLength = "another window length asked for"
	idleKill    = "redis killed while nothing ran"

	takenOver       = "a replica took over"
	takenOverBehind = "a replica took over that was behind"
	takenOverAlive  = "a replica took over, and the old server lived on"
)

// trouble is what can happen to Redis, to the streams and to the disk while runs
// are at work. do reports whether it is proven to have happened.
type trouble struct {
	name string
	rare bool // it may be that it never happens
	do   func(*schedule) bool
}

var troubles []trouble

func init() { // expected, which do calls in the end, lists them
	troubles = []trouble{
		{"redis killed under runs", false, func(s *schedule) bool { s.restart(0); return true }},
		{"redis killed, and the tail of its file lost", false, func(s *schedule) bool { return s.restart(1+s.rng.Int64N(20_000)) > 0 }},
		{"redis killed, its tail lost, and its clock stepped back", false, (*schedule).stepBack},
		{"redis killed with a busy disk", true, (*schedule).killBusy},
		{"redis killed with a full disk", false, func(s *schedule) bool {
			s.redis.fillDisk()
			s.produce(20) // acknowledged, until Redis notices
			return s.restart(0) > 0
		}},
		{"a stream deleted", false, func(s *schedule) bool {
			s.inspect("before DEL")
			n := s.redis.do("DEL", s.stream(s.someKind())).(int64)
			s.excuse("DEL")
			s.wiped = true
			return n == 1
		}},
		{"the consumer deleted with what it had claimed", false, func(s *schedule) (fired bool) {
			s.diesAt("claimed=kill")
			for _, k := range event.Kinds() {
				n, err := s.redis.c.XGroupDelConsumer(s.ctx(), s.stream(k), group, "datawriter").Result()
				fired = fired || err == nil && n > 0
			}
			return fired
		}},
		{"the group destroyed", false, func(s *schedule) bool {
			n, err := s.redis.c.XGroupDestroy(s.ctx(), s.stream(s.someKind()), group).Result()
			return err == nil && n == 1
		}},
		{"another group came, and read", false, (*schedule).anotherGroup},
		{"out of memory, and producers refused", false, func(s *schedule) bool {
			s.redis.do("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
			before := s.producer.refused
			s.produce(20)
			s.mended = append(s.mended, func() { s.redis.do("CONFIG", "SET", "maxmemory", "0") })
			return s.producer.refused > before
		}},
		{"streams evicted", false, func(s *schedule) bool {
			s.inspect("before the eviction")
			before := s.redis.evicted()
			s.redis.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "1mb")
			s.produce(20)
			s.redis.do("CONFIG", "SET", "maxmemory", "0")
			s.excuse("eviction")
			s.wiped = true
			return s.redis.evicted() > before
		}},
		{"the disk of redis full, and writes refused", false, func(s *schedule) bool {
			s.redis.fillDisk()
			s.mended = append(s.mended, s.redis.freeDisk)
			s.produce(20)
			return hasPrefix(s.redis.c.Set(s.ctx(), "f", "x", 0).Err(), "MISCONF")
		}},
		{"entries trimmed by somebody else", false, func(s *schedule) bool {
			s.inspect("before a foreign trim")
			n := s.redis.do("XTRIM", s.stream(event.Likes), "MAXLEN", s.rng.IntN(20)).(int64)
			s.excuse("foreign trim")
			return n > 0
		}},
		{"power lost, and with it names that were not on disk", false, (*schedule).powerLost},
		{"a reply lost", false, func(s *schedule) bool {
			p := startProxy(filepath.Join(s.dir, fmt.Sprintf("p%d", len(s.processes))), s.redis, 1+s.rng.Int64N(150))
			defer p.stop()
			url := s.url
			s.url = p.url()
			s.wait(s.start(s.first.String(), ""))
			s.url = url
			return p.lost()
		}},
	}
}

func (s *schedule) someKind() event.Kind { return event.Kinds()[s.rng.IntN(5)] }

// trouble lets one thing happen.
func (s *schedule) trouble() {
	if s.failover && s.chance(2) {
		s.promoted()
		return
	}
	t := troubles[s.rng.IntN(len(troubles))]
	s.note("%s ...", t.name)
	s.fault(t.name, t.do(s))
}

// fault notes a fault that was tried.
func (s *schedule) fault(name string, fired bool) {
	happened.fault(name, fired)
	s.note("%s: %t", name, fired)
}

// restart kills Redis and starts it without the last bytes of its file. It
// returns how many entries that cost.
func (s *schedule) restart(lost int64) int {
	s.inspect("before redis is killed")
	s.redis.crash(lost)
	n := s.excuse("restart")
	s.catchUp()
	return n
}

// stepBack loses a tail and sets the clock back, so that other entries get the
// IDs that were lost.
func (s *schedule) stepBack() bool {
	lost := s.restart(1 + s.rng.Int64N(40_000))
	before := s.now
	s.now -= min(s.now-s.first.StartMS(), uint64(s.rng.IntN(25_000)))
	return lost > 0 && s.now < before
}

// killBusy kills Redis while it holds back what it has acknowledged, because
// its disk is too slow. That it does is a question of luck.
func (s *schedule) killBusy() bool {
	s.redis.do("CONFIG", "SET", "appendfsync", "everysec")
	stop := s.redis.busyDisk()
	defer stop()
	for deadline := time.Now().Add(2200 * time.Millisecond); time.Now().Before(deadline) && s.redis.unwritten() == 0; {
		s.produce(3)
	}
	return s.restart(0) > 0
}

func (s *schedule) killAll() {
	for _, p := range s.processes {
		p.signal(syscall.SIGKILL)
	}
	for _, p := range s.processes {
		<-p.done
	}
}

// diesAt lets a run of the youngest window die at a point, if it comes so far
// before long: another run may hold its streams.
func (s *schedule) diesAt(spec string) {
	s.produce(10)
	p := s.start(must(window.Containing(time.UnixMilli(int64(s.latest())), length)).String(), spec)
	select {
	case <-p.done:
	case <-time.After(time.Second):
	}
}

func (s *schedule) anotherGroup() (fired bool) {
	s.others["analytics"] = true
	for _, k := range event.Kinds() {
		_ = s.redis.c.XGroupCreate(s.ctx(), s.stream(k), "analytics", "0").Err()
		err := s.redis.c.XReadGroup(s.ctx(), &redis.XReadGroupArgs{Group: "analytics", Consumer: "a",
			Streams: []string{s.stream(k), ">"}, Count: int64(1 + s.rng.IntN(50)), Block: -1, NoAck: s.chance(2)}).Err()
		fired = fired || err == nil
	}
	return fired
}

// powerLost ends every run, takes the names that were not on disk, and the tail
// of Redis's file.
func (s *schedule) powerLost() bool {
	s.killAll()
	s.diesAt("part.linked=kill")
	s.killAll()
	s.inspect("before power is lost")
	gone := s.losePower(func() bool { return s.chance(2) })
	s.inspect("after power was lost, with what Redis has")
	s.restart(1 + s.rng.Int64N(20_000))
	return gone > 0
}

// promoted lets the replica take over, perhaps while it lags behind, perhaps
// while the old server lives on.
func (s *schedule) promoted() {
	behind, alive := s.chance(2), s.chance(3)
	if behind { // what is added now never reaches the replica
		s.cutOff()
		s.produce(40)
	}
	s.inspect("before the failover")
	s.promote(alive)
	lost := s.excuse("failover")
	s.catchUp()
	s.follow()
	s.fault(takenOver, true)
	if behind {
		s.fault(takenOverBehind, lost > 0)
	}
	if alive {
		s.fault(takenOverAlive, true)
	}
}

// heal undoes what would last.
func (s *schedule) heal() {
	for _, mend := range s.mended {
		mend()
	}
	if len(s.mended) > 0 {
		s.mended = nil
		s.await("redis taking writes", func() bool { return s.redis.c.Set(context.Background(), "f", "x", 0).Err() == nil })
	}
}

// busyDisk keeps the server's disk busy until stop is called.
func (s *server) busyDisk() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		name := filepath.Join(s.dir, "busy")
		f := must(os.Create(name))
		for block := make([]byte, 4<<20); ; {
			_, _ = f.WriteAt(block, 0)
			_ = f.Sync()
			select {
			case <-done:
				_ = f.Close()
				_ = os.Remove(name)
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() { close(done); <-ended }
}
