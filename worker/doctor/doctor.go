package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"datawriter/worker/audit"
	"datawriter/worker/runlog"
	"datawriter/worker/stream"
)

// Status is how well something is.
type Status string

// The three that there are.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Failure Status = "failure"
)

// ErrFailure: something does not work.
var ErrFailure = errors.New("something does not work")

// Finding is one line of the report.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	Says   string `json:"says"`
	Fix    string `json:"fix,omitempty"`
}

// Report is all findings, in the order of checks.
type Report struct {
	Status   Status    `json:"status"` // the worst
	Findings []Finding `json:"findings"`
}

// Config says where to look. What is empty is not looked at.
type Config struct {
	Redis       *stream.Client
	Data        string // folder of the archive
	State       string // folder of the run log
	PrefectURL  string // of its API
	PrefectAuth string // USER:PASSWORD or a key
	ExporterURL string // of the exporter's /readyz
	Hosts       []string
	Timeout     time.Duration // of each look
	Now         func() time.Time
}

// looking is one examination: what a check learns, later ones may use.
type looking struct {
	Config
	server   stream.Server
	audited  audit.Report    // by what INFO tells
	reached  bool            // Redis answered
	recorded []runlog.Record // of the last day
}

// checks lists what is looked at, in order.
var checks = []struct {
	name string
	look func(context.Context, *looking) Finding
}{
	{"redis", redisReachable},
	{"redis version", redisVersion},
	{"redis policy", redisPolicy},
	{"redis memory", redisMemory},
	{"redis persistence", redisPersistence},
	{"clock", clock},
	{"streams", streams},
	{"stream ends", streamEnds},
	{"other groups", otherGroups},
	{"data folder", dataFolder},
	{"free space", freeSpace},
	{"prefect", prefectReachable},
	{"schedule", prefectScheduled},
	{"last window", lastWindow},
	{"exporter", exporterReady},
	{"jetstream", jetstream},
	{"source", source},
	{"gaps", gaps},
}

// Examine looks at everything. The report is complete whatever fails; nothing is
// asked twice, and what cannot be judged because something else failed says so.
func Examine(ctx context.Context, cfg Config) Report {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &looking{Config: cfg}
	report := Report{Status: OK}
	for _, check := range checks {
		limited, cancel := context.WithTimeout(ctx, cfg.Timeout)
		f := check.look(limited, l)
		cancel()
		if f.Status == "" {
			continue // not asked for
		}
		f.Check = check.name
		report.Findings = append(report.Findings, f)
		report.Status = worse(report.Status, f.Status)
	}
	return report
}

func worse(a, b Status) Status {
	for _, s := range []Status{Failure, Warning} {
		if a == s || b == s {
			return s
		}
	}
	return OK
}

// Err returns ErrFailure if the report has one.
func (r Report) Err() error {
	if r.Status == Failure {
		return ErrFailure
	}
	return nil
}

// Write writes the report as a table.
func (r Report) Write(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, f := range r.Findings {
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.Status, f.Check, f.Says)
		if f.Fix != "" {
			fmt.Fprintf(table, "\t\t→ %s\n", f.Fix)
		}
	}
	return table.Flush()
}

// The three ways to end a check.

func ok(format string, args ...any) Finding {
	return Finding{Status: OK, Says: fmt.Sprintf(format, args...)}
}

func warn(says, fix string) Finding { return Finding{Status: Warning, Says: says, Fix: fix} }

func fail(says, fix string) Finding { return Finding{Status: Failure, Says: says, Fix: fix} }
