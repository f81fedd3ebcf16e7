package validate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/stream"
)

// ErrFailed: a check of a step failed. The report says which.
var ErrFailed = errors.New("validation failed")

// ErrUnready: a step cannot begin, for lack of an address or a program.
var ErrUnready = errors.New("the step cannot begin")

// Step is one step of the programme.
type Step struct {
	Name  string
	Usage string // one line
	Run   func(context.Context, *Session) error

	About string        // what it does to whom, in a few sentences
	Takes time.Duration // about, on two cores; 0 for a moment
	Quick time.Duration // the same with Config.Quick
}

// Steps lists the programme, in its order.
func Steps() []Step {
	return []Step{
		{Name: "baseline", Usage: "measure what a Redis does: SET and GET, 1 to 50 connections, memory under load, sustained", Run: baseline,
			About: baselineAbout, Takes: 2 * time.Minute, Quick: 4 * time.Second},
		{Name: "capacity", Usage: "fill a Redis with 2.7 million events, read every one back, and say how long the buffer lasts", Run: capacity,
			About: capacityAbout, Takes: 3 * time.Minute, Quick: 5 * time.Second},
		{Name: "pressure", Usage: "fill a Redis to 95 %, hold it there, then go beyond: evictions and refusals", Run: pressure,
			About: pressureAbout, Takes: 9 * time.Minute, Quick: 8 * time.Second},
		{Name: "persistence", Usage: "restart and kill a Redis that holds 100,000 events, and read every one back", Run: persistence,
			About: persistenceAbout, Takes: time.Minute, Quick: 5 * time.Second},
		{Name: "throughput", Usage: "add events as producers do: alone, at 1,500 a second for 5 minutes, ten at once", Run: throughput,
			About: throughputAbout, Takes: 6 * time.Minute, Quick: 4 * time.Second},
		{Name: "monitoring", Usage: "ask a running stack whether everything is watched: targets, series, rules, dashboards, the chain of alerts", Run: monitoring,
			About: "Asks Prometheus, Alertmanager, the exporter and Grafana of a running stack. Changes nothing."},
		{Name: "prefect", Usage: "ask a running Prefect server whether windows are drained by themselves: flows, plans, workers, dead runs", Run: orchestration,
			About: "Asks the API of a running Prefect server. Changes nothing."},
		{Name: "pipeline", Usage: "send 450,000 events through Redis into Parquet, and hold every one against its file", Run: pipeline,
			About: pipelineAbout, Takes: time.Minute, Quick: 3 * time.Second},
		{Name: "schedule", Usage: "let Prefect drain ten windows: each run exactly its own, slow, repeated and late ones too", Run: schedule,
			About: scheduleAbout, Takes: 56 * time.Minute, Quick: 5 * time.Minute},
		{Name: "load", Usage: "send 2.7 million events in 30 minutes through Prefect's schedule, and look for each in the files", Run: load,
			About: loadAbout, Takes: 36 * time.Minute, Quick: 3 * time.Minute},
		{Name: "soak", Usage: "send 5.4 million events in an hour, break what can break, and look for each event and for what grows", Run: soak,
			About: soakAbout, Takes: 67 * time.Minute, Quick: 5 * time.Minute},
		{Name: "alerts", Usage: "break a rehearsal of the stack for real, and wait for messages, their end, acknowledgment and escalation", Run: alerts,
			About: "Starts Redis, exporters, Prometheus, Alertmanager and a receiver in Slack's place on free ports, breaks them and listens.", Takes: 10 * time.Minute, Quick: time.Minute},
	}
}

// Find returns a step by its name.
func Find(name string) (Step, bool) {
	for _, s := range Steps() {
		if s.Name == name {
			return s, true
		}
	}
	return Step{}, false
}

// Config says where the parts of the stack are. A step skips checks on what is
// empty, unless it cannot do without.
type Config struct {
	Prometheus   string // URL
	Alertmanager string // URL; may carry USER:PASSWORD@
	Exporter     string // URL of the datawriter exporter
	Grafana      string // URL; may carry USER:PASSWORD@
	Prefect      string // URL of the API: http://127.0.0.1:4200/api
	PrefectAuth  string // USER:PASSWORD, an API key, or nothing
	Dashboards   string // folder of dashboards, where there is no Grafana to ask

	Quick bool // a few seconds' version of each step: shows that it works, measures little

	// Redis is the server that baseline and throughput try; empty starts one of
	// their own. The other steps restart, fill or kill theirs: it is always their own.
	Redis       string        // URL
	RedisAccess stream.Config // password and certificates for it
	RedisServer string        // program; empty looks for redis-server or valkey-server
	RedisConf   string        // configuration file of own servers; empty means the shipped redis.conf
	RedisOption []string      // options beyond that file: "maxmemory 64mb"

	// What schedule, load and soak bring up a whole stack with.
	Root    string        // of the repository, in which the local stack's scripts are
	Program string        // path of datawriter; empty means this one
	Window  time.Duration // length of a window; 0 means the step's own
	Windows int           // how many
	Rate    float64       // events a second
	From    string        // recording of an earlier run, to be judged again instead of running

	Faster int    // how much faster than in production a rehearsal's time runs
	Keep   string // folder in which a step leaves its files, logs and messages; empty leaves none

	Log      *zap.Logger
	Progress io.Writer // draws progress bars with the time left; nil logs a line from time to time
}

// Report is what a step saw.
type Report struct {
	Step    string    `json:"step"`
	About   string    `json:"about,omitempty"`
	Quick   bool      `json:"quick,omitempty"`
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"`
	Skipped string    `json:"skipped,omitempty"` // why the step did not run at all
	Broken  string    `json:"broken,omitempty"`  // why it ended early
	Checks  []Check   `json:"checks"`
	Facts   []Fact    `json:"facts,omitempty"` // what was tried: versions, configuration, sizes
	Plots   []*Plot   `json:"plots,omitempty"`
	Remarks []string  `json:"remarks,omitempty"` // what a reader must know beside the numbers
}

// Fact is something about what was tried.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Execute runs a step to its end and cleans up behind it, also when ctx ends.
// The report is what was seen so far, also with an error; ErrFailed when a check
// failed.
func Execute(ctx context.Context, step Step, cfg Config) (Report, error) {
	s := newSession(step, cfg)
	defer s.bars.stop()
	s.fact("load before", "%s", loadAverage())
	err := step.Run(ctx, s)
	s.fact("load after", "%s", loadAverage())
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	err = errors.Join(err, s.cleanUp(ctx))
	s.report.Seconds = time.Since(s.report.Start).Seconds()
	if err != nil {
		s.report.Broken = err.Error()
	}
	return s.report, errors.Join(err, s.report.err())
}

func (r Report) err() error {
	failed := 0
	for _, c := range r.Checks {
		if c.Status == Failed {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of %d checks of %s", ErrFailed, failed, len(r.Checks), r.Step)
}
