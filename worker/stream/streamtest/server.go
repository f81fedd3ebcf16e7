// Package streamtest starts real Redis or Valkey servers for tests: each on a
// free port, with its files below the test's folder, gone when the test ends.
// A machine without a server fails the test; it does not skip it.
package streamtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// BinaryEnv names the server's binary where none is on the PATH.
const BinaryEnv = "TEST_REDIS_SERVER"

// Server is one running server.
type Server struct {
	Port int
	Dir  string // its working folder: append-only file, log

	t    testing.TB
	args []string
	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts a server with these options beyond the defaults (no persistence,
// loopback only), for example "--maxmemory", "64mb".
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	s := &Server{t: t, Dir: t.TempDir(), args: options}
	t.Cleanup(s.Kill)
	for range 5 { // a free port can be taken between the look and the start
		s.Port = FreePort(t)
		if s.start() == nil {
			return s
		}
	}
	t.Fatalf("redis did not start; its log:\n%s", s.log())
	return nil
}

// StartWith starts a server on a configuration file, which it may rewrite.
func StartWith(t testing.TB, file string, options ...string) *Server {
	t.Helper()
	return Start(t, append([]string{configFile, file}, options...)...)
}

// configFile marks, as the first option, the file that must stand before all.
const configFile = "\x00file"

// URL returns the server's address as the commands take it.
func (s *Server) URL() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", s.Port) }

// Client returns a connection that ends with the test.
func (s *Server) Client() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", s.Port), Protocol: 2})
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// Kill ends the server with SIGKILL, as a crash does. It can be repeated.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.done
	s.cmd = nil
}

// Signal sends a signal to the server.
func (s *Server) Signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// PID returns the server's process ID.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Restart starts the server again on the same port and folder, after Kill.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		s.t.Fatalf("restart redis: %v; its log:\n%s", err, s.log())
	}
}

func (s *Server) start() error {
	file, options := []string{}, s.args
	if len(options) > 1 && options[0] == configFile {
		file, options = options[1:2], options[2:]
	}
	args := append(append(file,
		"--port", fmt.Sprint(s.Port), "--bind", "127.0.0.1", "--dir", s.Dir,
		"--save", "", "--appendonly", "no", "--logfile", filepath.Join(s.Dir, "redis.log"),
	), options...)
	s.cmd = exec.Command(binary(s.t), args...)
	s.cmd.Stdout, s.cmd.Stderr = io.Discard, io.Discard
	// The server must not outlive a test process that is killed.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) { _ = cmd.Wait(); close(done) }(s.cmd, s.done)
	return s.waitReady()
}

// waitReady waits until the server answers, also past loading its files.
func (s *Server) waitReady() error {
	client := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", s.Port), MaxRetries: -1})
	defer client.Close()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		select {
		case <-s.done:
			return errors.New("it ended")
		default:
		}
		// NOAUTH is an answer too: the server of a test with a password is ready.
		err := client.Ping(context.Background()).Err()
		var answer redis.Error
		if err == nil || errors.As(err, &answer) && answer.Error()[:4] != "LOAD" {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return errors.New("it did not answer")
}

func (s *Server) log() string {
	log, _ := os.ReadFile(filepath.Join(s.Dir, "redis.log"))
	return string(log)
}

func binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(BinaryEnv); path != "" {
		return path
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("no redis-server or valkey-server on the PATH and no %s: run the tests with `make test`, which brings one", BinaryEnv)
	return ""
}

// FreePort returns a port that nobody listens on now.
func FreePort(t testing.TB) int {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
