package validate

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"datawriter/worker/event"
)

// reading is what a stack used and held at one moment.
type reading struct {
	At       time.Time `json:"at"`
	Produced int64     `json:"produced"` // acknowledged so far

	Redis     bool    `json:"redis"`   // it answered
	Ping      float64 `json:"ping_ms"` // the slowest since the sample before
	PingP50   float64 `json:"ping_p50_ms"`
	Memory    float64 `json:"memory_bytes"`
	MaxMemory float64 `json:"max_memory_bytes"`
	Clients   float64 `json:"clients"`
	Ops       float64 `json:"ops"` // a second, as Redis sees it
	AOF       float64 `json:"aof_bytes"`
	Evicted   float64 `json:"evicted"`
	Errors    float64 `json:"error_replies"`
	Waiting   int64   `json:"waiting"` // entries in the five streams
	Pending   int64   `json:"pending"`

	SQLite    int64             `json:"sqlite_bytes"` // database and its log
	Files     int64             `json:"files"`
	DataBytes int64             `json:"data_bytes"`
	DiskFree  uint64            `json:"disk_free_bytes"` // where the files are
	Load      float64           `json:"load"`            // of the machine
	Usage     map[string]*usage `json:"usage"`           // by role
}

// usage is what the processes of a role use.
type usage struct {
	PID    int     `json:"pid"` // of the oldest
	Count  int     `json:"count"`
	Memory int64   `json:"rss_bytes"`
	Files  int     `json:"open_files"`
	CPU    float64 `json:"cpu_seconds"` // with that of children that have ended
}

// Roles of a stack's processes, by words of their command lines, the first that fits.
var roles = []struct{ role, words string }{
	{"redis", "redis-server"}, {"redis", "valkey-server"},
	{"server", "prefect/server.py"}, {"worker", "prefect worker start"}, {"flow", "prefect.engine"},
	{"drain", "datawriter run"}, {"exporter", "datawriter exporter"}, {"supervisor", "supervisord"},
}

type process struct {
	pid  int
	role string
}

// processes finds those of the stack by the STATE in their environment; Redis
// writes its title over its own, and is known by its port.
func (l *localStack) processes() (found []process) {
	mark := []byte("\x00STATE=" + l.state + "\x00")
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		text, err := os.ReadFile(filepath.Join(folder, "cmdline"))
		if err != nil || len(text) == 0 {
			continue
		}
		command := string(bytes.ReplaceAll(text, []byte{0}, []byte{' '}))
		if !strings.Contains(command, ":"+l.redisPort) {
			env, err := os.ReadFile(filepath.Join(folder, "environ"))
			if err != nil || !bytes.Contains(append([]byte{0}, env...), mark) {
				continue
			}
		}
		pid, _ := strconv.Atoi(filepath.Base(folder))
		for _, r := range roles {
			if strings.Contains(command, r.words) {
				found = append(found, process{pid, r.role})
				break
			}
		}
	}
	return found
}

// sampler looks at a stack from time to time. Its samples may be read when it has
// ended.
type sampler struct {
	stack    *localStack
	every    time.Duration
	produced func() int64

	mu      sync.Mutex
	pings   *latencies // since the last sample
	all     *latencies
	samples []reading
}

// pingEvery is how often Redis is asked how long it takes to answer: at fixed
// times, so that a stall of a second shows as the answers that were due in it.
const pingEvery = 100 * time.Millisecond

func newSampler(l *localStack, every time.Duration, produced func() int64) *sampler {
	return &sampler{stack: l, every: every, produced: produced, pings: newLatencies(), all: newLatencies()}
}

// run samples until ctx ends.
func (s *sampler) run(ctx context.Context) {
	var pinging sync.WaitGroup
	pinging.Go(func() { s.ping(ctx) })
	defer pinging.Wait()
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	for {
		now := s.look(ctx)
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		s.samples = append(s.samples, now)
		s.mu.Unlock()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *sampler) ping(ctx context.Context) {
	for due := time.Now(); ctx.Err() == nil; due = due.Add(pingEvery) {
		if sleep(ctx, time.Until(due)) != nil {
			return
		}
		if s.stack.redis.Ping(ctx).Err() != nil {
			due = time.Now()
			continue
		}
		took := time.Since(due)
		s.mu.Lock()
		s.pings.note(took)
		s.all.note(took)
		s.mu.Unlock()
	}
}

// look takes one sample. What does not answer stays zero.
func (s *sampler) look(ctx context.Context) reading {
	now := reading{At: time.Now().UTC(), Produced: s.produced(), Usage: s.stack.usage()}
	s.mu.Lock()
	now.Ping, now.PingP50 = s.pings.ms(100), s.pings.ms(50)
	s.pings.Reset()
	s.mu.Unlock()
	s.lookAtRedis(ctx, &now)
	home := filepath.Join(s.stack.state, "prefect")
	for _, name := range []string{"prefect.db", "prefect.db-wal"} {
		if info, err := os.Stat(filepath.Join(home, name)); err == nil {
			now.SQLite += info.Size()
		}
	}
	_ = filepath.WalkDir(s.stack.data, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(d.Name(), ".parquet") {
			return nil //nolint:nilerr // a file that went away while we looked
		}
		if info, err := d.Info(); err == nil {
			now.Files++
			now.DataBytes += info.Size()
		}
		return nil
	})
	var disk unix.Statfs_t
	if unix.Statfs(s.stack.data, &disk) == nil {
		now.DiskFree = disk.Bavail * uint64(disk.Bsize)
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		now.Load, _ = strconv.ParseFloat(strings.Fields(string(text))[0], 64)
	}
	return now
}

func (s *sampler) lookAtRedis(ctx context.Context, now *reading) {
	state, err := readInfo(ctx, s.stack.redis)
	if err != nil {
		return
	}
	now.Redis = true
	now.Memory, now.MaxMemory = state.number("used_memory"), state.number("maxmemory")
	now.Clients, now.Ops = state.number("connected_clients"), state.number("instantaneous_ops_per_sec")
	now.AOF, now.Evicted, now.Errors = state.number("aof_current_size"), state.number("evicted_keys"), state.number("total_error_replies")
	for _, kind := range event.Kinds() {
		name := s.stack.source.Name(kind)
		n, _ := s.stack.redis.XLen(ctx, name).Result()
		now.Waiting += n
		groups, _ := s.stack.redis.XInfoGroups(ctx, name).Result()
		for _, g := range groups {
			now.Pending += g.Pending
		}
	}
}

// usage adds up what the processes of each role use.
func (l *localStack) usage() map[string]*usage {
	all := make(map[string]*usage)
	for _, p := range l.processes() {
		u := all[p.role]
		if u == nil {
			u = &usage{PID: p.pid}
			all[p.role] = u
		}
		u.Count++
		u.PID = min(u.PID, p.pid)
		u.read("/proc/" + strconv.Itoa(p.pid))
	}
	return all
}

// clockTicks a second are what the kernel counts CPU time in, on every Linux.
const clockTicks = 100

func (u *usage) read(folder string) {
	if text, err := os.ReadFile(folder + "/statm"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64)
			u.Memory += pages * int64(os.Getpagesize())
		}
	}
	if open, err := os.ReadDir(folder + "/fd"); err == nil {
		u.Files += len(open)
	}
	text, _ := os.ReadFile(folder + "/stat")
	_, after, _ := strings.Cut(string(text), ") ")
	if fields := strings.Fields(after); len(fields) > 14 {
		for _, field := range fields[11:15] { // utime, stime, cutime, cstime
			ticks, _ := strconv.ParseFloat(field, 64)
			u.CPU += ticks / clockTicks
		}
	}
}
