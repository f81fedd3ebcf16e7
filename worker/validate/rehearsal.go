package validate

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"datawriter/deployments"
	"datawriter/worker/account"
	"datawriter/worker/exporter"
	"datawriter/worker/monitor"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// rehearsalMemory is maxmemory of the rehearsal's Redis: soon full.
const rehearsalMemory = "48mb"

// startTime is how long a program may take to be ready.
const startTime = time.Minute

// rehearsal is the stack brought up for a test: real programs with the shipped
// configuration, in hurried time, and a receiver in Slack's place.
type rehearsal struct {
	cfg      Config
	folder   string
	data     string
	address  map[string]string // host and port by job, and that of redis-server
	receiver *receiver
	children map[string]*child
	stop     func() // ends the exporter and waits for it

	quicken func()        // ends what slows Redis down
	window  window.Window // that is failed and drained

	redis        *redis.Client
	stream       *stream.Client
	alertmanager monitor.Alertmanager
	prometheus   monitor.Prometheus
}

// startRehearsal brings everything up; close ends it, also after an error.
func startRehearsal(ctx context.Context, cfg Config) (*rehearsal, error) {
	r := &rehearsal{cfg: cfg, folder: cfg.Keep, address: make(map[string]string), children: make(map[string]*child), stop: func() {}}
	if r.folder == "" {
		folder, err := os.MkdirTemp("", "datawriter-rehearsal-")
		if err != nil {
			return r, fmt.Errorf("start the rehearsal: %w", err)
		}
		r.folder = folder
	}
	r.data = filepath.Join(r.folder, "data")
	for _, step := range []func(context.Context) error{r.prepare, r.startRedis, r.startExporters, r.startAlerting} {
		if err := step(ctx); err != nil {
			return r, err
		}
	}
	return r, nil
}

// prepare chooses addresses and writes the hurried configuration.
func (r *rehearsal) prepare(ctx context.Context) (err error) {
	for _, name := range []string{"prometheus", "alertmanager", "redis", "datawriter", "redis-server"} {
		if r.address[name], err = freeAddress(ctx); err != nil {
			return err
		}
	}
	messages := ""
	if r.cfg.Keep != "" {
		messages = filepath.Join(r.folder, "messages")
		if err := os.MkdirAll(messages, 0o755); err != nil {
			return fmt.Errorf("start the rehearsal: %w", err)
		}
	}
	if r.receiver, err = startReceiver(ctx, "127.0.0.1:0", messages); err != nil {
		return err
	}
	return r.configuration().Write(r.folder)
}

func (r *rehearsal) configuration() deployments.Rehearsal {
	return deployments.Rehearsal{
		Faster: r.cfg.Faster, Targets: r.address,
		Channel: r.receiver.url + firstChannel, Escalation: r.receiver.url + escalationChannel,
	}
}

func (r *rehearsal) startRedis(ctx context.Context) error {
	_, port, _ := net.SplitHostPort(r.address["redis-server"])
	folder := filepath.Join(r.folder, "redis")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("start the rehearsal: %w", err)
	}
	err := r.start("redis", folder, "--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes",
		"--maxmemory", rehearsalMemory, "--maxmemory-policy", "noeviction")
	if err != nil {
		return err
	}
	if r.redis == nil {
		r.redis = redis.NewClient(&redis.Options{Addr: r.address["redis-server"], Protocol: 2})
		if r.stream, err = stream.Open(stream.Config{URL: r.redisURL()}); err != nil {
			return err
		}
	}
	return r.ready(ctx, "redis", func(ctx context.Context) error { return r.redis.Ping(ctx).Err() })
}

func (r *rehearsal) redisURL() string { return "redis://" + r.address["redis-server"] + "/0" }

// startExporters starts redis_exporter, and the exporter of this program in it.
func (r *rehearsal) startExporters(ctx context.Context) error {
	err := r.start("redis_exporter", r.folder, "--redis.addr=redis://"+r.address["redis-server"],
		"--web.listen-address="+r.address["redis"], "--check-streams=bluesky:*")
	if err != nil {
		return err
	}
	archive, err := sink.OpenURL(r.data, nil)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.address["datawriter"])
	if err != nil {
		return fmt.Errorf("start the exporter: %w", err)
	}
	own, err := stream.Open(stream.Config{URL: r.redisURL()})
	if err != nil {
		return err
	}
	cfg := exporter.Config{Runs: r.runLog(), Book: account.OpenBook(r.stateDir()), Archive: archive, Redis: own, WindowLength: windowLength, Version: "rehearsal"}
	serving, end := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { _ = exporter.New(cfg, zap.NewNop()).Run(serving, listener) })
	r.stop = func() { end(); done.Wait(); _ = own.Close() }
	return r.ready(ctx, "redis_exporter", func(ctx context.Context) error {
		_, err := monitor.Get(ctx, "http://"+r.address["redis"]+"/metrics")
		return err
	})
}

func (r *rehearsal) stateDir() string { return filepath.Join(r.data, "_state") }

func (r *rehearsal) runLog() *runlog.Log { return runlog.Open(r.stateDir()) }

func (r *rehearsal) startAlerting(ctx context.Context) error {
	r.alertmanager = monitor.Alertmanager("http://" + r.address["alertmanager"])
	r.prometheus = monitor.Prometheus("http://" + r.address["prometheus"])
	err := r.start("alertmanager", filepath.Join(r.folder, "alertmanager"), "--config.file=alertmanager.yml",
		"--web.listen-address="+r.address["alertmanager"], "--cluster.listen-address=", "--storage.path="+filepath.Join(r.folder, "silences"))
	if err != nil {
		return err
	}
	if err := r.ready(ctx, "alertmanager", r.alertmanager.Ready); err != nil {
		return err
	}
	flags := append(r.configuration().PrometheusFlags(), "--config.file=prometheus.yml",
		"--web.listen-address="+r.address["prometheus"], "--storage.tsdb.path="+filepath.Join(r.folder, "tsdb"))
	if err := r.start("prometheus", filepath.Join(r.folder, "prometheus"), flags...); err != nil {
		return err
	}
	return r.ready(ctx, "prometheus", r.prometheus.Ready)
}

// ready waits until a program answers.
func (r *rehearsal) ready(ctx context.Context, name string, ask func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		err := ask(limited)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-r.children[name].done:
			return fmt.Errorf("%w: %s ended; its log says: %s", ErrUnready, name, r.tail(name))
		case <-limited.Done():
			return fmt.Errorf("%w: %s does not answer: %w; its log says: %s", ErrUnready, name, err, r.tail(name))
		}
	}
}

func (r *rehearsal) start(name, folder string, args ...string) error {
	path, err := findProgram(name, r.cfg.RedisServer)
	if err != nil {
		return err
	}
	started, err := launch(name, path, folder, filepath.Join(r.folder, name+".log"), args...)
	if err == nil {
		r.children[name] = started
	}
	return err
}

func (r *rehearsal) tail(name string) string {
	log, _ := os.ReadFile(filepath.Join(r.folder, name+".log"))
	return strings.TrimSpace(string(log[max(0, len(log)-500):]))
}

// close ends everything.
func (r *rehearsal) close() {
	r.stop()
	for _, c := range r.children {
		c.kill()
	}
	if r.receiver != nil {
		r.receiver.close()
	}
	if r.redis != nil {
		_ = r.redis.Close()
		_ = r.stream.Close()
	}
	if r.cfg.Keep == "" {
		_ = os.RemoveAll(r.folder)
	}
}
