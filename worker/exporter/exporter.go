package exporter

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"datawriter/worker/account"
	"datawriter/worker/prefect"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
)

// Config says what to look at and where to answer. What is zero is not looked at.
type Config struct {
	Runs       *runlog.Log
	Checkpoint string        // file below which the counters survive a restart; empty rebuilds them at each start
	Archive    sink.Sink     // nil believes the run log alone
	Book       *account.Book // of the state folder; nil, or no archive: missing parts are not told of

	Redis        *stream.Client
	WindowLength time.Duration // until the archive tells its own

	PrefectURL  string // of the API: http://127.0.0.1:4200/api
	PrefectAuth string // user:password, or an API key

	WebConfig string // file of exporter-toolkit, for TLS and passwords
	Version   string // of this program
}

// Exporter looks at its sources in the background and answers scrapes with what
// they last said.
type Exporter struct {
	cfg      Config
	log      *zap.Logger
	sources  []*source
	runs     *runs
	registry *prometheus.Registry
}

// How often each source is looked at, and how long one look may take. The run
// log has no limit: the first look may read a year of it.
const (
	runsEvery    = 2 * time.Second
	holesEvery   = 15 * time.Second
	redisEvery   = 5 * time.Second
	redisLimit   = 4 * time.Second
	prefectEvery = 15 * time.Second
	prefectLimit = 10 * time.Second
)

// New returns an Exporter. It owns none of its dependencies.
func New(cfg Config, log *zap.Logger) *Exporter {
	e := &Exporter{cfg: cfg, log: log, registry: prometheus.NewRegistry()}
	if cfg.Runs != nil {
		e.runs = &runs{log: cfg.Runs, archive: cfg.Archive, checkpoint: cfg.Checkpoint, warn: log, now: time.Now}
		e.sources = append(e.sources, &source{name: "runlog", every: runsEvery, look: e.runs.look})
	}
	if cfg.Book != nil && cfg.Archive != nil {
		h := &holes{cfg.Book, cfg.Archive}
		e.sources = append(e.sources, &source{name: "holes", every: holesEvery, look: h.look})
	}
	if cfg.Redis != nil {
		b := &buffer{client: cfg.Redis, length: e.windowLength}
		e.sources = append(e.sources, &source{name: "redis", every: redisEvery, limit: redisLimit, look: b.look})
	}
	if cfg.PrefectURL != "" {
		p := &prefectSource{prefect.New(cfg.PrefectURL, cfg.PrefectAuth)}
		e.sources = append(e.sources, &source{name: "prefect", every: prefectEvery, limit: prefectLimit, look: p.look})
	}
	e.registry.MustRegister(e, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return e
}

// Run looks and answers until ctx ends; then it writes a last checkpoint.
func (e *Exporter) Run(ctx context.Context, listener net.Listener) error {
	var all sync.WaitGroup
	looking, stop := context.WithCancel(ctx)
	for _, s := range e.sources {
		all.Go(func() { s.run(looking, e.log) })
	}
	err := serve(ctx, listener, e.cfg.WebConfig, e.Handler())
	stop()
	all.Wait()
	if e.runs != nil {
		if err := e.runs.save(0); err != nil {
			e.log.Warn("no checkpoint", zap.Error(err))
		}
	}
	return err
}

// Handler answers /metrics, /healthz and /readyz.
func (e *Exporter) Handler() http.Handler { return routes(e.registry, e.waiting) }

// waiting names the sources that have not been looked at yet. A source that is
// down does not keep the exporter from being ready: to say so is its work.
func (e *Exporter) waiting() string {
	var names []string
	for _, s := range e.sources {
		if s.waits() {
			names = append(names, s.name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("not looked at yet: %s", strings.Join(names, ", "))
}

// Describe implements prometheus.Collector.
func (e *Exporter) Describe(to chan<- *prometheus.Desc) {
	for _, f := range families() {
		to <- f.desc()
	}
}

// Collect implements prometheus.Collector. It waits for nothing.
func (e *Exporter) Collect(to chan<- prometheus.Metric) {
	to <- buildInfo.value(1, e.cfg.Version, runtime.Version())
	for _, s := range e.sources {
		s.collect(to)
	}
}

// windowLength returns the length of the archive's windows, which never changes
// once there is an archive. It waits for nobody.
func (e *Exporter) windowLength() time.Duration {
	if e.runs != nil {
		if length := time.Duration(e.runs.length.Load()); length > 0 {
			return length
		}
	}
	return e.cfg.WindowLength
}
