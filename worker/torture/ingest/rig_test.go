package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream/streamtest"
)

var builds string // folder of the program

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if builds, err = os.MkdirTemp("", "ingest-torture-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(builds)
	os.Exit(code)
}

// program is the binary, built once.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(builds, "datawriter")
	out, err := exec.Command("go", "build", "-o", path, "datawriter/worker/cmd/datawriter").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// rig is a Redis and an archive that processes work on.
type rig struct {
	t      testing.TB
	redis  *streamtest.Server
	data   string
	port   int // of the ingest's metrics
	binary string
	log    *os.File
	also   []event.Kind // raw kinds that are kept beside the five
}

func newRig(t testing.TB, options ...string) *rig {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, redis: streamtest.Start(t, options...), data: filepath.Join(t.TempDir(), "data"), port: freePort(t), binary: path}
	if r.log, err = os.Create(filepath.Join(os.TempDir(), "ingest-torture-"+filepath.Base(t.Name())+".log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.log.Close() })
	return r
}

func freePort(t testing.TB) int {
	t.Helper()
	port, err := unusedPort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func unusedPort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func (r *rig) command(args ...string) *exec.Cmd {
	c := exec.Command(r.binary, args...)
	c.Env = append(os.Environ(), "DATAWRITER_REDIS_URL="+r.redis.URL(), "DATAWRITER_DATA="+r.data)
	if len(r.also) > 0 && (args[0] == "run" || args[0] == "ingest") {
		c.Env = append(c.Env, "DATAWRITER_ALSO="+strings.Join(names(r.also), ","))
	}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.Stderr = r.log
	return c
}

// kinds returns what is kept.
func (r *rig) kinds() []event.Kind { return append(event.Kinds(), r.also...) }

func names(kinds []event.Kind) (names []string) {
	for _, kind := range kinds {
		names = append(names, kind.String())
	}
	return names
}

// process is one ingest, and what those before it used.
type process struct {
	*exec.Cmd
	done chan struct{}
}

func (r *rig) ingest(args ...string) *process {
	r.t.Helper()
	c := r.command(append([]string{"ingest", "--listen", fmt.Sprintf("127.0.0.1:%d", r.port)}, args...)...)
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	p := &process{Cmd: c, done: make(chan struct{})}
	go func() { _ = c.Wait(); close(p.done) }()
	r.t.Cleanup(p.kill)
	return p
}

// kill ends the process as a crash does.
func (p *process) kill() {
	_ = p.Process.Kill()
	<-p.done
}

// stop ends it by a signal.
func (p *process) stop() {
	_ = p.Process.Signal(syscall.SIGTERM)
	<-p.done
}

// drain runs the drain for closed windows until ctx ends, and whatever it says.
func (r *rig) drain(ctx context.Context, length time.Duration) {
	for ctx.Err() == nil {
		c := r.command("run", "--window", length.String())
		out, err := c.Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 4 {
			r.t.Errorf("the drain found a contradiction: %s", out)
		}
		select {
		case <-time.After(min(time.Second, length/4)):
		case <-ctx.Done():
		}
	}
}

// metric reads a metric of the ingest, the sum of its series; labels must occur
// in the line. It is 0 while the process does not answer.
func (r *rig) metric(name, labels string) (sum float64) {
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", r.port))
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "datawriter_ingest_"+name) && strings.Contains(line, labels) {
			fields := strings.Fields(line)
			value, _ := strconv.ParseFloat(fields[len(fields)-1], 64)
			sum += value
		}
	}
	return sum
}

// rss returns the resident memory of a process in MB.
func rss(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// cpuOf returns the processor time that a living process has used.
func cpuOf(pid int) time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// report prints a line of JSON, so that results can be kept.
func (r *rig) report(what string, values map[string]any) {
	text, _ := json.Marshal(values)
	r.t.Logf("%s %s", what, text)
	fmt.Fprintf(os.Stderr, "%s %s %s\n", time.Now().UTC().Format(time.TimeOnly), what, text)
}
