package validate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// programs that steps start, by the names that projects and distributions give
// them.
var programs = map[string][]string{
	"prometheus":     {"prometheus"},
	"alertmanager":   {"alertmanager", "prometheus-alertmanager"},
	"redis_exporter": {"redis_exporter", "prometheus-redis-exporter"},
	"redis":          {"redis-server", "valkey-server"},
}

// findProgram looks for a program on the PATH. server is the path of a Redis where
// one was given.
func findProgram(name, server string) (string, error) {
	if name == "redis" && server != "" {
		return server, nil
	}
	for _, candidate := range programs[name] {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: no %s on the PATH: install the packages prometheus, prometheus-alertmanager, prometheus-redis-exporter and redis-server",
		ErrUnready, strings.Join(programs[name], " or "))
}

// child is a program that was started.
type child struct {
	command *exec.Cmd
	done    chan struct{}
}

// launch starts a program in a folder; what it prints is appended to a log.
func launch(name, path, folder, log string, args ...string) (*child, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	// Ended by its owner, in order and with a grace, not by a context.
	command := exec.Command(path, args...) //nolint:noctx
	command.Dir, command.Stdout, command.Stderr = folder, out, out
	// Ctrl-C reaches only us; when we are killed, it goes with us.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), out.Close())
	}
	c := &child{command: command, done: make(chan struct{})}
	go func() { _ = command.Wait(); _ = out.Close(); close(c.done) }()
	return c, nil
}

// kill ends a program at once, as a crash does, with what it had forked.
func (c *child) kill() {
	_ = syscall.Kill(-c.command.Process.Pid, syscall.SIGKILL)
	<-c.done
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("look for a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
