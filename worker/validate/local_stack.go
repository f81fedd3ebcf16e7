package validate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/verify"
	"datawriter/worker/window"
)

// stackScript starts and ends the local stack, below the root of the repository.
const stackScript = "deployments/local/stack.py"

// localStack is a whole stack as `make up` brings it up, with folders and ports of
// its own and without its mock stream: the step produces, and keeps the book.
type localStack struct {
	root, python string
	state, data  string
	env          []string
	length       time.Duration
	redisPort    string
	prefectPort  string

	redis   *redis.Client
	source  *stream.Client
	archive sink.Sink
	prefect prefectAPI
}

// startStack brings a stack up; it ends with the step. data is where the files go.
func (s *Session) startStack(ctx context.Context, folder, data string, length time.Duration) (*localStack, error) {
	l := &localStack{state: filepath.Join(folder, "state"), data: data, length: length}
	if err := l.prepare(ctx, s.cfg, folder); err != nil {
		return nil, err
	}
	s.cleanup(func(ctx context.Context) error { return l.down(ctx) })
	if err := l.call(ctx, "up"); err != nil {
		return nil, err
	}
	if err := l.connect(); err != nil {
		return nil, err
	}
	s.cleanup(func(context.Context) error { return errors.Join(l.redis.Close(), l.source.Close()) })
	return l, s.factsOfRedis(ctx, l.redis)
}

// prepare chooses ports and writes down the environment of every process.
func (l *localStack) prepare(ctx context.Context, cfg Config, folder string) (err error) {
	if cfg.Root == "" {
		return fmt.Errorf("%w: it brings up a whole stack: say with --root where the repository is", ErrUnready)
	}
	if l.root, err = filepath.Abs(cfg.Root); err != nil {
		return err
	}
	l.python = filepath.Join(l.root, ".venv/bin/python")
	for _, needed := range []string{filepath.Join(l.root, stackScript), l.python} {
		if _, err := os.Stat(needed); err != nil {
			return fmt.Errorf("%w: there is no %s: run it in the repository (or name it with --root), after `make venv`", ErrUnready, needed)
		}
	}
	server, err := findProgram("redis", cfg.RedisServer)
	if err != nil {
		return err
	}
	bin, err := l.program(cfg.Program, folder)
	if err != nil {
		return err
	}
	if l.prefectPort, err = freePort(ctx); err != nil {
		return err
	}
	if l.redisPort, err = freePort(ctx); err != nil {
		return err
	}
	exporterPort, err := freePort(ctx)
	if err != nil {
		return err
	}
	l.env = append(os.Environ(), "STATE="+l.state, "DATA="+l.data, "PREFECT_PORT="+l.prefectPort, "REDIS_PORT="+l.redisPort, "REDIS_URL=",
		"REDIS_SERVER="+server, "BIN_DIR="+bin, "WINDOW="+window.Label(l.length), "RATE=0", "DETACH=1", "MONITORING=0", "EXPORTER_PORT="+exporterPort,
		"DATAWRITER_STATE_DIR="+l.stateDir())
	return nil
}

// program makes a folder in which `datawriter` is this program, whatever its file
// is called. A pause asked for in the file `pause` comes before a drain, so that a
// run can be met alive; exec keeps its signals and its parent's death.
func (l *localStack) program(path, folder string) (string, error) {
	if path == "" {
		own, err := os.Executable()
		if err != nil {
			return "", err
		}
		path = own
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	bin := filepath.Join(folder, "bin")
	script := "#!/bin/sh\nif [ \"$1\" = run ] && [ -e '" + l.pauseFile() + "' ]; then\n" +
		"  trap 'kill $!; exit 143' TERM\n  sleep \"$(cat '" + l.pauseFile() + "')\" & wait\nfi\nexec '" + path + "' \"$@\"\n"
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	return bin, os.WriteFile(filepath.Join(bin, "datawriter"), []byte(script), 0o755)
}

func (l *localStack) pauseFile() string { return filepath.Join(l.state, "pause") }

// pause makes drains wait before they begin; 0 ends that.
func (l *localStack) pause(d time.Duration) error {
	if d == 0 {
		return os.Remove(l.pauseFile())
	}
	return os.WriteFile(l.pauseFile(), fmt.Appendf(nil, "%.0f", d.Seconds()), 0o644)
}

func freePort(ctx context.Context) (string, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(address)
	return port, err
}

// connect logs in with the passwords that the stack has made.
func (l *localStack) connect() (err error) {
	login, err := l.secret("prefect_auth")
	if err != nil {
		return err
	}
	l.prefect = newPrefectAPI("http://127.0.0.1:"+l.prefectPort+"/api", login)
	const user = "admin"
	password, err := l.secret("redis_" + user)
	if err != nil {
		return err
	}
	address := "127.0.0.1:" + l.redisPort
	l.redis = redis.NewClient(&redis.Options{Addr: address, Username: user, Password: password, Protocol: 2, MaxRetries: -1, DisableIdentity: true})
	if l.source, err = stream.Open(stream.Config{URL: "redis://" + user + "@" + address + "/0", Password: password}); err != nil {
		return err
	}
	l.archive, err = sink.OpenURL(l.data, nil)
	return err
}

func (l *localStack) secret(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(l.state, "secrets", name))
	return string(text), err
}

// call runs the script that starts and ends the stack.
func (l *localStack) call(ctx context.Context, verb string) error {
	command := exec.CommandContext(ctx, l.python, filepath.Join(l.root, stackScript), verb)
	command.Env, command.Dir = l.env, l.root
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches only us
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: the local stack, %s: %w: %s", ErrUnready, verb, err, out)
	}
	return nil
}

// down ends the stack.
func (l *localStack) down(ctx context.Context) error {
	if _, err := os.Stat(l.state); err != nil {
		return nil //nolint:nilerr // it was never brought up
	}
	return l.call(ctx, "down")
}

// supervisor talks to what keeps the processes running: "restart", "redis".
func (l *localStack) supervisor(ctx context.Context, args ...string) error {
	args = append([]string{"-s", "unix://" + l.state + "/supervisor.sock"}, args...)
	out, err := exec.CommandContext(ctx, filepath.Join(l.root, ".venv/bin/supervisorctl"), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("supervisorctl %s: %w: %s", args, err, out)
	}
	return nil
}

// killWorker ends the worker's processes at once, as a crash does.
func (l *localStack) killWorker() error {
	killed := 0
	for _, p := range l.processes() {
		if p.role == "worker" && syscall.Kill(p.pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	if killed == 0 {
		return errors.New("no worker to kill")
	}
	return nil
}

// drained tells which windows of [first, last] have a part of every kind.
func (l *localStack) drained(ctx context.Context, first, last window.Window) (map[window.Window]bool, error) {
	all := make(map[window.Window]int)
	for _, kind := range event.Kinds() {
		found, err := sink.Drained(ctx, l.archive, sink.Plain, sink.Name{Kind: kind}, first.Start, last.End())
		if err != nil {
			return nil, err
		}
		for w, yes := range found {
			if yes {
				all[w]++
			}
		}
	}
	complete := make(map[window.Window]bool)
	for w, kinds := range all {
		complete[w] = kinds == len(event.Kinds())
	}
	return complete, nil
}

// awaitDrained waits until every window of [first, last] is drained. That it is
// not within the time is for the criteria to say.
func (l *localStack) awaitDrained(ctx context.Context, first, last window.Window, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) {
		done, err := l.drained(ctx, first, last)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(between(first, last), func(w window.Window) bool { return !done[w] }) {
			return nil
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// runs returns the run log.
func (l *localStack) runs(since time.Time) (records []runlog.Record, err error) {
	_, err = l.runLog().Read(since, func(r runlog.Record) error {
		records = append(records, r)
		return nil
	})
	return records, err
}

// stateDir is not beside the files, so that the run log can tell of a disk that is full.
func (l *localStack) stateDir() string    { return filepath.Join(l.state, "runs") }
func (l *localStack) runLog() *runlog.Log { return runlog.Open(l.stateDir()) }

// verify holds the archive and the streams against what was promised.
func (l *localStack) verify(ctx context.Context) (verify.Report, error) {
	return verify.New(l.archive, verify.Config{Runs: l.runLog(), Book: account.OpenBook(l.stateDir()), Source: l.source}).Run(ctx)
}

// flowRun is one run of drain-window.
type flowRun struct {
	Name     string     `json:"name"`
	Type     string     `json:"state_type"`
	State    string     `json:"state_name"`
	Expected time.Time  `json:"expected_start_time"`
	Start    *time.Time `json:"start_time"`
	End      *time.Time `json:"end_time"`
	Auto     bool       `json:"auto_scheduled"`
}

// flowRuns returns the runs of drain-window whose time came in [from, to), oldest
// first. A server that has just been restarted is given time.
func (l *localStack) flowRuns(ctx context.Context, from, to time.Time) (found []flowRun, err error) {
	question := of("drain-window")
	question["sort"], question["limit"] = "EXPECTED_START_TIME_ASC", 200
	question["flow_runs"] = map[string]any{"expected_start_time": map[string]any{"after_": from.UTC(), "before_": to.UTC()}}
	for range 60 {
		if err = l.prefect.post(ctx, "/flow_runs/filter", question, &found); err == nil {
			return found, nil
		}
		if err := sleep(ctx, time.Second); err != nil {
			return nil, err
		}
	}
	return nil, err
}

// sleep waits, or returns why it was ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
