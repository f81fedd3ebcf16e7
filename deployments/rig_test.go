package deployments_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"datawriter/deployments"
	"datawriter/worker/stream/streamtest"
)

// rig is the real chain: Redis, both exporters, Prometheus and Alertmanager with
// the shipped configuration in hurried time, and a receiver in Slack's place.
type rig struct {
	t      testing.TB
	folder string
	faster int
	redis  *streamtest.Server
	slack  *slack

	addresses                map[string]string
	prometheus, alertmanager *process
	exporter, redisExporter  *process
	alertmanagerURL, apiURL  string
	data                     string
	prefect                  *prefect
	binary                   string
}

// Paths of the two webhooks.
const (
	first  = "/first"
	second = "/second"
)

// startRig brings everything up. Redis gets these options.
func startRig(t testing.TB, faster int, redisOptions ...string) *rig {
	t.Helper()
	r := &rig{t: t, folder: t.TempDir(), faster: faster, slack: startSlack(t), addresses: make(map[string]string)}
	r.redis = streamtest.Start(t, redisOptions...)
	r.data = filepath.Join(r.folder, "data")
	r.binary = buildBinary(t)
	for _, job := range []string{"prometheus", "alertmanager", "redis", "datawriter"} {
		r.addresses[job] = freeAddress(t)
	}
	r.prefect = startPrefect(t)
	r.addresses["prefect"] = r.prefect.Listener.Addr().String()
	rehearsal := deployments.Rehearsal{Faster: faster, Targets: r.addresses, Channel: r.slack.URL + first, Escalation: r.slack.URL + second}
	if err := rehearsal.Write(r.folder); err != nil {
		t.Fatal(err)
	}
	r.startExporters()
	r.alertmanagerURL, r.apiURL = "http://"+r.addresses["alertmanager"], "http://"+r.addresses["prometheus"]
	r.startAlertmanager()
	r.prometheus = r.start("prometheus", filepath.Join(r.folder, "prometheus"), program(t, prometheus),
		append(rehearsal.PrometheusFlags(), "--config.file=prometheus.yml", "--web.listen-address="+r.addresses["prometheus"],
			"--web.external-url=http://localhost:9090", "--storage.tsdb.path="+filepath.Join(r.folder, "tsdb"))...)
	r.ready(r.apiURL + "/-/ready")
	return r
}

func (r *rig) startExporters() {
	r.redisExporter = r.start("redis_exporter", r.folder, program(r.t, redisExporter),
		"--redis.addr="+strings.TrimSuffix(r.redis.URL(), "/0"), "--web.listen-address="+r.addresses["redis"], "--check-streams=bluesky:{*}")
	r.exporter = r.start("exporter", r.folder, r.binary, "exporter", "--listen="+r.addresses["datawriter"],
		"--data="+r.data, "--redis-url="+r.redis.URL(), "--prefect-url="+r.prefect.URL+"/api")
	r.ready("http://" + r.addresses["redis"] + "/metrics")
	r.ready("http://" + r.addresses["datawriter"] + "/healthz")
}

// startIngest starts an ingest whose host does not answer: its series are there.
func (r *rig) startIngest() {
	r.addresses["ingest"] = freeAddress(r.t)
	r.start("ingest", r.folder, r.binary, "ingest", "--host=ws://127.0.0.1:1", "--listen="+r.addresses["ingest"], "--data="+r.data, "--redis-url="+r.redis.URL())
	r.ready("http://" + r.addresses["ingest"] + "/healthz")
	targets := filepath.Join(r.folder, "prometheus", "targets", "ingest.yml")
	if err := os.WriteFile(targets, []byte(fmt.Sprintf("- targets: [%q]\n", r.addresses["ingest"])), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) startAlertmanager() {
	r.alertmanager = r.start("alertmanager", filepath.Join(r.folder, "alertmanager"), program(r.t, alertmanager),
		"--config.file=alertmanager.yml", "--web.listen-address="+r.addresses["alertmanager"], "--cluster.listen-address=",
		"--web.external-url=http://localhost:9093", "--storage.path="+filepath.Join(r.folder, "alerts"))
	r.ready(r.alertmanagerURL + "/-/ready")
}

// prefect stands in for a Prefect server, as far as the exporter asks it: one
// deployment, one worker, and as many failed runs as a test wants.
type prefect struct {
	*httptest.Server
	failed atomic.Int64
}

func startPrefect(t testing.TB) *prefect {
	p := &prefect{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now().UTC()
		switch r.URL.Path {
		case "/api/deployments/filter":
			answer(w, []any{map[string]any{"id": "1", "name": "drain-window", "paused": false}})
		case "/api/flow_runs/history":
			state := func(name string, n int64) map[string]any {
				return map[string]any{"state_type": strings.ToUpper(name), "state_name": name, "count_runs": n}
			}
			answer(w, []any{map[string]any{"states": []any{state("Completed", 280), state("Scheduled", 12), state("Failed", p.failed.Load())}}})
		case "/api/flow_runs/filter":
			answer(w, []any{map[string]any{"expected_start_time": now.Add(time.Minute)}})
		case "/api/work_pools/filter":
			answer(w, []any{map[string]any{"name": "datawriter"}})
		case "/api/work_pools/datawriter/workers/filter":
			answer(w, []any{map[string]any{"status": "ONLINE", "last_heartbeat_time": now}})
		case "/api/metrics":
			_, _ = io.WriteString(w, "stand_in 1\n")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func answer(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(document)
}

// drain runs `datawriter run` for a window and returns its exit code.
func (r *rig) drain(window, redisURL string) int {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), r.binary, "run", "--window="+window, "--data="+r.data, "--redis-url="+redisURL, "--wait=30s")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		r.t.Fatalf("datawriter run: %v", err)
	}
	r.t.Logf("datawriter run --window=%s exits with %d: %s", window, cmd.ProcessState.ExitCode(), out[:min(len(out), 200)])
	return cmd.ProcessState.ExitCode()
}

// real returns how long a duration of the shipped configuration takes here.
func (r *rig) real(d time.Duration) time.Duration { return d / time.Duration(r.faster) }

// ready waits until an address answers 200.
func (r *rig) ready(address string) {
	r.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		answer, err := http.Get(address)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s does not answer: %v", address, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// process is one program, its output in a log, that never outlives the test.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func (r *rig) start(name, folder, path string, args ...string) *process {
	r.t.Helper()
	log, err := os.OpenFile(filepath.Join(r.folder, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	p := &process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = folder, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		r.t.Fatalf("start %s: %v", name, err)
	}
	go func() { _ = p.cmd.Wait(); log.Close(); close(p.done) }()
	r.t.Cleanup(func() {
		p.stop()
		if r.t.Failed() {
			content, _ := os.ReadFile(filepath.Join(r.folder, name+".log"))
			r.t.Logf("the end of %s.log:\n%s", name, content[max(0, len(content)-2000):])
		}
	})
	return p
}

// stop ends the process and waits for it. It can be repeated.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

var builtBinary struct {
	once sync.Once
	path string
	err  error
}

// buildBinary builds datawriter once for all tests.
func buildBinary(t testing.TB) string {
	t.Helper()
	builtBinary.once.Do(func() {
		folder, err := os.MkdirTemp("", "datawriter-alerts-") //nolint:usetesting // all tests of the package share it
		if err != nil {
			builtBinary.err = err
			return
		}
		builtBinary.path = filepath.Join(folder, "datawriter")
		out, err := exec.CommandContext(context.Background(), "go", "build", "-o", builtBinary.path, "datawriter/worker/cmd/datawriter").CombinedOutput()
		if err != nil {
			builtBinary.err = fmt.Errorf("build datawriter: %w\n%s", err, out)
		}
	})
	if builtBinary.err != nil {
		t.Fatal(builtBinary.err)
	}
	return builtBinary.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if builtBinary.path != "" {
		_ = os.RemoveAll(filepath.Dir(builtBinary.path))
	}
	os.Exit(code)
}
