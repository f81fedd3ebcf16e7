package torture

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
	"datawriter/worker/fault"
)

// under is what happens to Redis while a run stands at a point, and goes on.
var under = []struct {
	name string
	pair bool // the server has a replica
	do   func(s *scene, p *process)
}{
	{"a stream is deleted, and comes again", false, func(s *scene, _ *process) {
		s.inspect("before the streams were deleted")
		for _, k := range event.Kinds() {
			s.redis.do("DEL", s.stream(k))
		}
		s.excuse("DEL")
		s.next() // with the IDs of before, other entries, and no fence
		s.add(s.renewed(event.Likes)...)
		s.lossy()
	}},
	{"a replica takes over that is behind", true, func(s *scene, _ *process) { s.takeOver(false) }},
	{"a replica takes over, and the old server lives on", true, func(s *scene, _ *process) { s.takeOver(true) }},
	{"redis has no memory left", false, func(s *scene, p *process) {
		s.redis.do("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
		if _, err := s.producer.send(s.producer.spread(event.Likes, s.win.Next(), 100, 101)); !away(err) {
			fail("Redis took an entry beyond its memory: %v", err)
		}
		p.signal(syscall.SIGCONT)
		if code := s.wait(p); code != exitDrained {
			fail("out of memory, the drain ended with exit %d\n%s", code, p.err.String())
		}
	}},
	{"redis evicts", false, func(s *scene, _ *process) {
		s.inspect("before the eviction")
		s.redis.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "1mb")
		_ = s.redis.c.Set(s.ctx(), "one", "more", 0).Err()
		s.redis.do("CONFIG", "SET", "maxmemory", "0")
		s.excuse("eviction")
		atLeast("evicted keys", s.redis.evicted(), 1)
		s.lossy()
	}},
	{"the disk of redis is full", false, func(s *scene, p *process) {
		s.fullDisk()
		p.signal(syscall.SIGCONT)
		s.wait(p)
		s.inspect("with a full disk")
		s.roomAgain()
	}},
	{"another group comes, and reads", false, func(s *scene, _ *process) {
		s.others["analytics"] = true
		for _, k := range event.Kinds() {
			try(s.redis.c.XGroupCreateMkStream(s.ctx(), s.stream(k), "analytics", "0").Err())
			_ = s.redis.c.XReadGroup(s.ctx(), &redis.XReadGroupArgs{Group: "analytics", Consumer: "a",
				Streams: []string{s.stream(k), ">"}, Count: 9, Block: -1}).Err()
		}
		s.needed = s.neededByOthers()
	}},
	{"the consumer is deleted", false, func(s *scene, _ *process) {
		for _, k := range event.Kinds() {
			_ = s.redis.c.XGroupDelConsumer(s.ctx(), s.stream(k), group, "datawriter").Err()
		}
	}},
	{"the group is destroyed", false, func(s *scene, _ *process) { s.destroyGroups() }},
	{"redis follows another server, and returns with its entries", false, (*scene).followAndReturn},
	{"somebody trims", false, func(s *scene, _ *process) {
		s.inspect("before a foreign trim")
		for _, k := range event.Kinds() {
			s.redis.do("XTRIM", s.stream(k), "MINID", s.win.StartMS()+40)
		}
		s.excuse("foreign trim")
		s.lossy()
	}},
}

// underPoints are where a run stands in the core.
var underPoints = []string{"listed", "claimed#4", "part.linked", "settled#2"}

// underRuns lists everything under a run at every point.
func underRuns(core bool) (trials []trial) {
	points := underPoints
	if !core {
		points = nil
		for _, p := range fault.Points() {
			points = append(points, string(p))
		}
		points = append(points, "claimed#4", "part.hardened#5", "settled#2")
	}
	for _, u := range under {
		for _, point := range points {
			trials = append(trials, trial{u.name + " under a run at " + point, func(w *world) {
				if u.pair {
					w.pair()
				}
				s := w.scene()
				s.produce()
				p := s.hold(point + "=stop")
				u.do(s, p)
				p.signal(syscall.SIGCONT)
				s.wait(p)
				s.inspect("after it went on")
				s.finish(s.needed)
			}})
		}
	}
	return trials
}

// takeOver lets a replica take the server's place that has not seen all, and gives
// IDs that only the old server had given to other entries.
func (s *scene) takeOver(alive bool) {
	s.cutOff()
	s.add(s.renewed(event.Posts)...) // only the old one sees them
	s.inspect("before the failover")
	s.promote(alive)
	atLeast("entries that the failover lost", s.excuse("failover"), 3)
	s.add(s.renewed(event.Posts)...)
	s.lossy()
}

// followAndReturn gives the process the data of another server, which has other
// entries under the same IDs.
func (s *scene) followAndReturn(*process) {
	s.inspect("before redis followed another server")
	own, other := s.redis, s.startServer("other", freePort())
	s.redis = other
	for _, k := range event.Kinds() { // the group too, so that nothing but the guard can tell
		other.do("XGROUP", "CREATE", s.stream(k), group, "0", "MKSTREAM")
	}
	s.produce()
	s.redis = own
	starts := own.starts
	own.do("REPLICAOF", "127.0.0.1", other.port)
	s.await("redis following", func() bool {
		info, _ := own.c.Info(s.ctx(), "replication").Result()
		return strings.Contains(info, "master_link_status:up")
	})
	own.do("REPLICAOF", "NO", "ONE")
	other.stop()
	s.excuse("other data")
	if own.starts != starts {
		fail("the process is another one")
	}
	s.lossy()
}

// fullDisk fills the disk of Redis and waits until it refuses to write.
func (s *scene) fullDisk() {
	s.redis.do("CONFIG", "SET", "appendfsync", "everysec")
	s.redis.fillDisk()
	s.await("Redis noticing that its disk is full", func() bool { return hasPrefix(s.redis.c.Set(s.ctx(), "f", "x", 0).Err(), "MISCONF") })
}

func (s *scene) roomAgain() {
	s.redis.freeDisk()
	s.await("Redis writing again", func() bool { return s.redis.c.Set(s.ctx(), "f", "x", 0).Err() == nil })
}

// lostReplies lists, for every reply that a run gets, a case that loses it; some
// of them for the core.
func lostReplies(core bool) (trials []trial) {
	step := int64(1)
	if core {
		step = 17
	}
	for n := int64(1); n <= replies; n += step {
		trials = append(trials, lostReply(n))
	}
	return trials
}

// replies is how many a run of these scenes gets at least.
const replies = 150

func lostReply(n int64) trial {
	return trial{fmt.Sprintf("reply %d is lost", n), func(w *world) {
		s := w.scene()
		s.produce()
		p := startProxy(filepath.Join(s.dir, "p"), s.redis, n)
		defer p.stop()
		s.url = p.url()
		s.wait(s.start(s.win.String(), ""))
		if !p.lost() {
			fail("reply %d of %d: %w", n, p.replies.Load(), errNotFired)
		}
		s.inspect("after the reply was lost")
		s.url = s.redis.url()
		s.finish(nil)
	}}
}
