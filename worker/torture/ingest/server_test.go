package ingest_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// version is one of the two programs that people run.
type version string

const (
	legacy  version = "v1"
	current version = "v2"
)

// importToken lets the seeds import timestamps.
const importToken = "torture"

// jetstream is a real server: a process that may be killed, and the folder with
// what it has stored.
type jetstream struct {
	t       testing.TB
	version version
	folder  string
	address string
	log     *os.File
	cmd     *exec.Cmd
	done    chan struct{}
}

func newJetstream(t testing.TB, v version, folder string, log *os.File) *jetstream {
	return &jetstream{t: t, version: v, folder: folder, log: log}
}

// start runs the server for a relay, on a port of its own, and waits until it
// answers.
func (j *jetstream) start(r *relay) {
	j.t.Helper()
	for range 5 {
		j.run(r)
		if j.ready() {
			return
		}
		j.kill() // another process took the port
	}
	j.t.Fatalf("a server of version %s does not start; the log: %s", j.version, j.log.Name())
}

func (j *jetstream) run(r *relay) {
	j.t.Helper()
	var ports [2]string
	for n := range ports {
		port, err := unusedPort()
		if err != nil {
			j.t.Fatal(err)
		}
		ports[n] = "127.0.0.1:" + strconv.Itoa(port)
	}
	j.address = ports[0]
	if j.version == legacy {
		j.cmd = exec.Command(filepath.Join(jetstreams(), "jetstream-v1"), "--ws-url", r.stream(), "--listen-addr", ports[0], "--metrics-listen-addr", ports[1],
			"--data-dir", j.folder, "--liveness-ttl", "1h", "--max-sub-rate", "100000")
	} else {
		j.cmd = exec.Command(filepath.Join(jetstreams(), "jetstream"), "serve", "--addr", ports[0], "--relay-url", r.server.URL, "--plc-url", r.server.URL,
			"--data-dir", j.folder, "--timestamp-import-token", importToken, "--shutdown-timeout", "1s", "--client-drain-timeout", "1s")
	}
	j.cmd.Stdout, j.cmd.Stderr = j.log, j.log
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := os.MkdirAll(j.folder, 0o755); err != nil {
		j.t.Fatal(err)
	}
	if err := j.cmd.Start(); err != nil {
		j.t.Fatalf("start a server of version %s: %v", j.version, err)
	}
	j.done = make(chan struct{})
	go func(c *exec.Cmd, done chan struct{}) { _ = c.Wait(); close(done) }(j.cmd, j.done)
	j.t.Cleanup(j.kill)
}

// ready waits until the server answers, or has died.
func (j *jetstream) ready() bool {
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(20 * time.Millisecond) {
		select {
		case <-j.done:
			return false
		default:
		}
		path := "/"
		if j.version == current { // serves its store only behind its bootstrap; this is no upgrade to a websocket
			path = "/xrpc/network.bsky.jetstream.subscribeEvents?cursor=0"
		}
		response, err := http.Get("http://" + j.address + path)
		if err != nil {
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode < 500 {
			return true
		}
	}
	return false
}

// kill ends it as a crash does.
func (j *jetstream) kill() {
	if j.cmd == nil {
		return
	}
	_ = j.cmd.Process.Kill()
	<-j.done
}

func (j *jetstream) signal(s syscall.Signal) { _ = j.cmd.Process.Signal(s) }

// backdate imports times of years ago for records, as operators do: what the
// server has, and what is to come. It waits until that is done.
func (j *jetstream) backdate(ctx context.Context, uris []string, at time.Time) error {
	var list strings.Builder
	list.WriteString("uri,timestamp,scope,cid\n")
	for n, uri := range uris {
		fmt.Fprintf(&list, "%s,%s,all_versions,\n", uri, at.Add(time.Duration(n)*time.Second).Format(time.RFC3339))
	}
	name := fmt.Sprintf("times-%d.csv", time.Now().UnixNano())
	if err := os.WriteFile(filepath.Join(j.folder, "imports", name), []byte(list.String()), 0o600); err != nil {
		return err
	}
	body := strings.NewReader(fmt.Sprintf(`{"path":%q}`, name))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+j.address+"/xrpc/network.bsky.jetstream.importTimestamps", body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+importToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the import is answered with %s", response.Status)
	}
	return nil
}
