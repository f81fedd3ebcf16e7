package validate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"go.uber.org/zap"
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
}

// Steps lists the programme, in its order.
func Steps() []Step {
	return []Step{
		{"monitoring", "ask a running stack whether everything is watched: targets, series, rules, dashboards, the chain of alerts", monitoring},
		{"prefect", "ask a running Prefect server whether windows are drained by themselves: flows, plans, workers, dead runs", prefect},
		{"alerts", "break a rehearsal of the stack for real, and wait for messages, their end, acknowledgment and escalation", alerts},
	}
}

// Config says where the parts of the stack are. A step skips checks on what is
// empty, unless it cannot do without.
type Config struct {
	Prometheus   string // URL
	Alertmanager string // URL
	Exporter     string // URL of the datawriter exporter
	Grafana      string // URL; may carry USER:PASSWORD@
	Prefect      string // URL of the API: http://127.0.0.1:4200/api
	PrefectAuth  string // USER:PASSWORD, an API key, or nothing
	Dashboards   string // folder of dashboards, where there is no Grafana to ask

	Faster      int    // how much faster than in production a rehearsal's time runs
	RedisServer string // program; empty looks for redis-server or valkey-server
	Keep        string // folder in which a rehearsal leaves its logs and the messages; empty leaves none

	Log *zap.Logger
}

// Status is how a check ended.
type Status string

// Statuses.
const (
	OK      Status = "ok"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Check is one question and its answer.
type Check struct {
	Name    string  `json:"check"`
	Status  Status  `json:"status"`
	Detail  string  `json:"detail"` // what was seen; for a failure, what to do with it
	Seconds float64 `json:"seconds"`
}

// Report is what a step saw.
type Report struct {
	Step    string    `json:"step"`
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"`
	Checks  []Check   `json:"checks"`
}

// Session is one run of one step.
type Session struct {
	cfg    Config
	report Report
}

// Execute runs a step to its end. The report is what was seen so far, also with
// an error; ErrFailed when a check failed.
func Execute(ctx context.Context, step Step, cfg Config) (Report, error) {
	s := &Session{cfg: cfg, report: Report{Step: step.Name, Start: time.Now().UTC(), Checks: []Check{}}}
	err := step.Run(ctx, s)
	s.report.Seconds = time.Since(s.report.Start).Seconds()
	return s.report, errors.Join(err, s.report.err())
}

// check asks one question. It returns whether the answer was good; detail says
// what was seen.
func (s *Session) check(name string, ask func() (detail string, err error)) bool {
	began := time.Now()
	detail, err := ask()
	c := Check{Name: name, Status: OK, Detail: detail, Seconds: time.Since(began).Seconds()}
	if err != nil {
		c.Status, c.Detail = Failed, err.Error()
	}
	s.report.Checks = append(s.report.Checks, c)
	s.cfg.Log.Info("check", zap.String("check", c.Name), zap.String("status", string(c.Status)), zap.String("detail", c.Detail))
	return err == nil
}

// skip notes a question that could not be asked.
func (s *Session) skip(name, why string) {
	s.report.Checks = append(s.report.Checks, Check{Name: name, Status: Skipped, Detail: why})
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

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "status\tcheck\tseconds\tseen")
	for _, c := range r.Checks {
		fmt.Fprintf(table, "%s\t%s\t%.1f\t%s\n", c.Status, c.Name, c.Seconds, c.Detail)
	}
	return table.Flush()
}
