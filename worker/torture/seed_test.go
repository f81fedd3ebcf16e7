package torture

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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
	replica  *server
	failover bool
	mended   []func() // what has to be undone before the end
}

// Sizes of a schedule.
const (
	seedWindows = 5
	seedSteps   = 14
)

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
	args := []string{}
	if s.chance(2) {
		args = append(args, "--appendfsync", "everysec")
	}
	port := 0
	if s.failover {
		port = freePort()
	}
	s.redis = startServer(filepath.Join(s.dir, "redis"), port, args...)
	s.url = s.redis.url()
	// Up to a minute before the end of an hour, so that windows cross it.
	s.first.Start = s.first.Start.Add(time.Duration(s.rng.IntN(360)) * length)
	s.now = s.first.StartMS()
	if s.failover {
		s.follow()
	}
	for range seedSteps {
		s.produce(20 + s.rng.IntN(150))
		s.step()
		s.inspect("between steps")
	}
	s.end()
}

func (s *schedule) chance(oneIn int) bool { return s.rng.IntN(oneIn) == 0 }

func (s *schedule) count(what string) {
	happened.add(what, 1)
	s.note("%s", what)
}

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
		info, err := s.redis.c.XInfoStream(context.Background(), s.stream(k)).Result()
		if err == nil {
			s.producer.last[k] = must(event.ParseID(info.LastGeneratedID))
		}
	}
}

// step drains something, more often than not with something else going wrong.
func (s *schedule) step() {
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
	for option, oneIn := range map[string]int{"--noack": 6, "--catch-up=false": 3, "--attempts=2": 4} {
		if s.chance(oneIn) {
			options = append(options, option)
		}
	}
	text := win.String()
	if s.chance(12) { // another length: refused, or the first to come
		if _, err := os.Stat(filepath.Join(s.data, "_archive.json")); err == nil {
			s.count("asked for another window length")
			text = win.Start.Truncate(2*length).Format(time.RFC3339) + "/" + window.Label(2*length)
		}
	}
	return s.start(text, s.someFault(), options...)
}

// someFault returns a fault spec, or none.
func (s *schedule) someFault() string {
	points := fault.Points()
	at := fmt.Sprintf("%s#%d", points[s.rng.IntN(len(points))], 1+s.rng.IntN(6))
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
		s.count("killed at a random moment")
		p.signal(syscall.SIGKILL)
	case 1:
		p.signal(syscall.SIGSTOP)
		s.count("stopped past its lease")
		time.Sleep(2 * lease)
		p.signal(syscall.SIGCONT)
	case 2:
		s.count("terminated")
		p.signal(syscall.SIGTERM)
	}
	for !p.ended() {
		if s.awaitStopped(p) {
			s.count("stopped at a point")
			time.Sleep(time.Duration(s.rng.IntN(300)) * time.Millisecond)
			p.signal(syscall.SIGCONT)
			time.Sleep(2 * time.Millisecond)
		}
	}
	s.wait(p)
}

// troubles are what can happen to Redis, to the streams and to the disk.
var troubles = []struct {
	name string
	do   func(*schedule)
}{
	{"redis killed", func(s *schedule) { s.restart(0) }},
	{"redis lost the tail of its file", func(s *schedule) { s.restart(1 + s.rng.Int64N(20_000)) }},
	{"redis lost its tail, and the clock stepped back", func(s *schedule) {
		s.restart(1 + s.rng.Int64N(40_000))
		s.catchUp() // the next IDs are those that were lost
		s.now -= min(s.now-s.first.StartMS(), uint64(s.rng.IntN(25_000)))
	}},
	{"redis killed with a busy disk", func(s *schedule) {
		busy := filepath.Join(s.dir, "busy")
		f := must(os.Create(busy))
		for range 20 {
			_, _ = f.Write(make([]byte, 1<<20))
		}
		s.restart(0)
		_ = f.Sync()
		_ = f.Close()
	}},
	{"a stream deleted", func(s *schedule) {
		s.inspect("before DEL")
		s.redis.do("DEL", s.stream(s.someKind()))
		s.excuse("DEL")
	}},
	{"the consumer deleted", func(s *schedule) {
		_ = s.redis.c.XGroupDelConsumer(context.Background(), s.stream(s.someKind()), group, "datawriter").Err()
	}},
	{"the group destroyed", func(s *schedule) {
		_ = s.redis.c.XGroupDestroy(context.Background(), s.stream(s.someKind()), group).Err()
	}},
	{"another group", func(s *schedule) {
		s.others["analytics"] = true
		for _, k := range event.Kinds() {
			_ = s.redis.c.XGroupCreate(context.Background(), s.stream(k), "analytics", "0").Err()
			_ = s.redis.c.XReadGroup(context.Background(), &redis.XReadGroupArgs{Group: "analytics", Consumer: "a",
				Streams: []string{s.stream(k), ">"}, Count: int64(1 + s.rng.IntN(50)), Block: -1, NoAck: s.chance(2)}).Err()
		}
	}},
	{"out of memory", func(s *schedule) {
		s.redis.do("CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction")
		s.produce(20)
		s.mended = append(s.mended, func() { s.redis.do("CONFIG", "SET", "maxmemory", "0") })
	}},
	{"eviction", func(s *schedule) {
		s.inspect("before the eviction")
		s.redis.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "1500kb")
		s.produce(20)
		s.redis.do("CONFIG", "SET", "maxmemory", "0")
		s.excuse("eviction")
	}},
	{"the disk of redis full", func(s *schedule) {
		s.redis.fillDisk()
		s.produce(20)
		s.mended = append(s.mended, s.redis.freeDisk)
	}},
	{"claimed entries deleted by somebody else", func(s *schedule) {
		s.inspect("before a foreign trim")
		s.redis.do("XTRIM", s.stream(s.someKind()), "MAXLEN", s.rng.IntN(20))
		s.excuse("foreign trim")
	}},
	{"power lost", func(s *schedule) {
		for _, p := range s.processes {
			p.signal(syscall.SIGKILL)
		}
		for _, p := range s.processes {
			<-p.done
		}
		s.inspect("before power is lost")
		s.losePower(func() bool { return s.chance(2) })
		s.inspect("after power was lost, with what Redis has")
		s.restart(1 + s.rng.Int64N(20_000))
	}},
	{"a reply lost", func(s *schedule) {
		p := startProxy(filepath.Join(s.dir, fmt.Sprintf("p%d", len(s.processes))), s.redis, 1+s.rng.Int64N(150))
		url := s.url
		s.url = p.url()
		s.wait(s.start(s.first.String(), ""))
		s.url = url
		p.stop()
	}},
}

func (s *schedule) someKind() event.Kind { return event.Kinds()[s.rng.IntN(5)] }

func (s *schedule) trouble() {
	if s.failover && s.chance(2) {
		s.count("failover")
		s.promote()
		return
	}
	t := troubles[s.rng.IntN(len(troubles))]
	s.count(t.name)
	t.do(s)
}

// restart kills Redis and starts it without the last bytes of its file.
func (s *schedule) restart(lost int64) {
	s.inspect("before redis is killed")
	size := s.redis.mark()
	s.redis.rollBack(max(0, size-lost))
	s.excuse("restart")
	s.catchUp()
}

// follow starts a replica of the server.
func (s *schedule) follow() {
	s.replica = startServer(filepath.Join(s.dir, fmt.Sprintf("redis%d", s.redis.port)), freePort(),
		"--replicaof", fmt.Sprintf("127.0.0.1 %d", s.redis.port))
	s.await("the replica", func() bool {
		info, _ := s.replica.c.Info(context.Background(), "replication").Result()
		return strings.Contains(info, "master_link_status:up")
	})
}

// promote kills the server, perhaps while its replica lags, and lets the replica
// take its place, with a new replica behind it.
func (s *schedule) promote() {
	if s.chance(2) { // what is added now never reaches the replica
		_ = s.replica.cmd.Process.Signal(syscall.SIGSTOP)
		s.produce(40)
	}
	s.inspect("before the failover")
	s.redis.kill()
	_ = s.replica.cmd.Process.Signal(syscall.SIGCONT)
	old := s.redis
	s.redis = s.replica
	s.url = s.redis.url()
	s.redis.do("REPLICAOF", "NO", "ONE")
	s.redis.args = nil // when it restarts, it follows nobody
	_ = old.c.Close()
	s.excuse("failover")
	s.catchUp()
	s.follow()
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

// end drains everything, after the other groups are done, and looks at it all.
func (s *schedule) end() {
	for name := range s.others {
		for _, k := range event.Kinds() {
			_ = s.redis.c.XGroupDestroy(context.Background(), s.stream(k), name).Err()
		}
	}
	s.others = map[string]bool{}
	last := must(window.Containing(time.UnixMilli(int64(s.latest())), length))
	s.drain(exitDrained, last)
	s.check(last.Next())
	try(s.reader.end())
	s.tally()
	if s.replica != nil {
		s.replica.stop()
	}
}

// tally adds what this schedule was to what happened in all.
func (s *schedule) tally() {
	for _, point := range readTrace(s.traceFile, s.data).fired {
		happened.add("fault at "+point, 1)
	}
	for _, p := range s.processes {
		happened.add(fmt.Sprintf("runs that ended with exit %d", p.code), 1)
	}
	happened.add("looks of readers", s.reader.laps)
	happened.add("entries sent", len(s.journal.entries))
	happened.add("entries that redis lost", s.excused)
	happened.add("schedules without a violation", 1)
}

// tallies counts over all schedules of a test run.
type tallies struct {
	mu     sync.Mutex
	counts map[string]int
}

var happened = tallies{counts: make(map[string]int)}

func (t *tallies) add(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what] += n
}

func (t *tallies) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		fmt.Fprintf(&text, "%9d %s\n", t.counts[what], what)
	}
	return text.String()
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
	t.Cleanup(func() { fmt.Print(&happened) })
	playAll(t, trials)
}
