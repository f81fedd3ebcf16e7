package torture

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"

	"datawriter/worker/stream/streamtest"
)

// server is one Redis process of a case, with an append-only file.
type server struct {
	dir  string
	port int // 0: only its socket
	args []string
	cmd  *exec.Cmd
	done chan struct{}
	c    *redis.Client

	starts int // how often the process was started
}

func redisBinary() string {
	if path := os.Getenv(streamtest.BinaryEnv); path != "" {
		return path
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	fail("no redis-server or valkey-server on the PATH and no %s: run the tests with `make test`, which brings one", streamtest.BinaryEnv)
	return ""
}

// startServer starts a server of the world in a folder of its own. Without a port
// it listens on its socket alone.
func (w *world) startServer(folder string, port int, args ...string) *server {
	dir := filepath.Join(w.dir, folder)
	try(os.MkdirAll(dir, 0o755))
	s := &server{dir: dir, port: port, args: args}
	w.servers = append(w.servers, s)
	s.c = redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket(), Protocol: 2, MaxRetries: -1,
		DisableIdentity: true, ReadTimeout: 30 * time.Second})
	s.start()
	return s
}

func (s *server) socket() string { return filepath.Join(s.dir, "s") }

func (s *server) url() string { return "unix://" + s.socket() + "?db=0" }

func (s *server) start() {
	_ = os.Remove(s.socket())
	args := append([]string{
		"--port", fmt.Sprint(s.port), "--bind", "127.0.0.1", "--unixsocket", s.socket(), "--dir", s.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0",
		"--repl-diskless-sync-delay", "0", "--logfile", filepath.Join(s.dir, "redis.log"),
	}, s.args...)
	s.cmd = exec.Command(redisBinary(), args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	try(s.cmd.Start())
	s.starts++
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) { _ = cmd.Wait(); close(done) }(s.cmd, s.done)
	for deadline := time.Now().Add(30 * time.Second); ; {
		if _, err := os.Stat(s.socket()); err == nil && s.c.Ping(context.Background()).Err() == nil {
			return
		}
		select {
		case <-s.done:
			log, _ := os.ReadFile(filepath.Join(s.dir, "redis.log"))
			fail("redis ended: %s", log)
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			fail("start redis: %w", errTimeout)
		}
	}
}

// kill ends the server as kill -9 does. It can be repeated.
func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		<-s.done
		s.cmd = nil
	}
}

// aof returns the file to which the server appends. The rig never rewrites it,
// so that a position in it is a moment; a replica begins a new one when it
// copies its master.
func (s *server) aof() (last string) {
	names := must(filepath.Glob(filepath.Join(s.dir, "appendonlydir", "*.incr.aof")))
	for _, name := range names {
		if len(name) > len(last) || len(name) == len(last) && name > last {
			last = name
		}
	}
	return last
}

// mark returns the moment up to which everything that was answered is in the file.
func (s *server) mark() int64 {
	try(s.c.Ping(context.Background()).Err())
	return must(os.Stat(s.aof())).Size()
}

// rollBack kills the server and starts it with the append-only file as it was at
// a moment, as a loss of power does.
func (s *server) rollBack(to int64) {
	s.kill()
	if size := must(os.Stat(s.aof())).Size(); to < size {
		try(os.Truncate(s.aof(), to))
	}
	s.start()
}

// crash kills the server and starts it without the last bytes of its file.
func (s *server) crash(lost int64) {
	s.kill()
	s.rollBack(max(0, must(os.Stat(s.aof())).Size()-lost))
}

// fillDisk makes every further write to a file fail, as a full disk does.
func (s *server) fillDisk() {
	size := uint64(must(os.Stat(s.aof())).Size())
	try(unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil))
}

func (s *server) freeDisk() {
	try(unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, nil))
}

// evicted returns how many keys the server has evicted.
func (s *server) evicted() int { return s.info("stats", "evicted_keys") }

// unwritten returns how many bytes the server has answered for and not written.
func (s *server) unwritten() int { return s.info("persistence", "aof_buffer_length") }

func (s *server) info(section, field string) int {
	text, _ := s.do("INFO", section).(string)
	_, after, _ := strings.Cut(text, "\n"+field+":")
	value, _, _ := strings.Cut(after, "\r")
	return must(strconv.Atoi(value))
}

func (s *server) do(args ...any) any {
	reply, err := s.c.Do(context.Background(), args...).Result()
	if err != nil {
		fail("redis: %v: %w", args, err)
	}
	return reply
}

// stop ends the server for good.
func (s *server) stop() {
	s.kill()
	_ = s.c.Close()
}

func freePort() int {
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
