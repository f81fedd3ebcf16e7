package exporter

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/runlog"
	"datawriter/worker/simulate"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/verify"
	"datawriter/worker/window"
)

// rig is a real Redis, an archive, and a run log that the test writes, so that
// it can lose lines of it.
type rig struct {
	*testing.T
	client *stream.Client
	server *streamtest.Server
	data   string
	log    *runlog.Log
	seed   uint64
	also   []event.Kind // raw kinds to drain
}

func newRig(t *testing.T, options ...string) *rig {
	t.Helper()
	server := streamtest.Start(t, options...)
	client, err := stream.Open(stream.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	data := filepath.Join(t.TempDir(), "data")
	return &rig{T: t, client: client, server: server, data: data, log: runlog.Open(filepath.Join(data, "_state"))}
}

// first is the first window of every test; it begins late on a day.
var first = window.Window{Start: time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC), Length: 5 * time.Minute}

// nth returns the window n after the first.
func nth(n int) window.Window {
	w := first
	for range n {
		w = w.Next()
	}
	return w
}

// simulate puts entries into a past window, one in twenty of them no event, and
// one more of each kind that is none.
func (r *rig) simulate(w window.Window, count int64) {
	r.Helper()
	r.seed++
	_, err := simulate.Run(r.Context(), r.client, simulate.Options{
		Traits: simulate.Traits{Seed: r.seed, Authors: 100, Malformed: 0.05}, Window: w, Count: count,
	})
	if err != nil {
		r.Fatal(err)
	}
	for _, kind := range event.Kinds() {
		r.addAt(kind, w.End().Add(-time.Millisecond))
	}
}

// drain drains one window, with a fault if spec names one, and returns its
// record without writing it to the run log.
func (r *rig) drain(w window.Window, spec string, attempts int) runlog.Record {
	r.Helper()
	faults, err := fault.Parse(spec)
	if err != nil {
		r.Fatal(err)
	}
	to, err := sink.OpenURL(r.data, faults)
	if err != nil {
		r.Fatal(err)
	}
	cfg := drain.Config{
		Length: w.Length, Layout: sink.Plain, Lease: 300 * time.Millisecond, Attempts: attempts, Version: "test", Faults: faults, Also: r.also,
	}
	elsewhere := runlog.Open(r.TempDir())
	records, err := drain.New(r.client, to, elsewhere, cfg, zaptest.NewLogger(r)).Run(r.Context(), w)
	if len(records) != 1 || (err != nil) != (records[0].Status == runlog.Failed) {
		r.Fatalf("drain of %s: %d records, %v", w, len(records), err)
	}
	return records[0]
}

// append writes a record to the run log as if its work had ended at that time.
func (r *rig) append(record runlog.Record, at time.Time) {
	r.Helper()
	record.End = at
	if err := r.log.Append(record); err != nil {
		r.Fatal(err)
	}
}

// verify counts what the files hold.
func (r *rig) verify() verify.Report {
	r.Helper()
	report, err := verify.New(r.archive(), verify.Config{}).Run(r.Context())
	if err != nil || report.Err() != nil {
		r.Fatalf("%v, %v: %v", err, report.Err(), report.Violations)
	}
	return report
}

func (r *rig) archive() sink.Sink {
	r.Helper()
	archive, err := sink.OpenURL(r.data, nil)
	if err != nil {
		r.Fatal(err)
	}
	return archive
}

// follow returns what follows the run log, at a time that the test moves.
func (r *rig) follow(checkpoint string, clock *time.Time) *runs {
	return &runs{
		log: r.log, archive: r.archive(), checkpoint: checkpoint, warn: zaptest.NewLogger(r),
		now: func() time.Time { return *clock },
	}
}

// look looks once and returns the series by name.
func look(t *testing.T, look func(context.Context) ([]prometheus.Metric, error)) series {
	t.Helper()
	metrics, err := look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(fixed(metrics))
	return scrape(t, routes(registry, func() string { return "" }))
}

// fixed is a collector of metrics that are there already.
type fixed []prometheus.Metric

func (f fixed) Describe(to chan<- *prometheus.Desc) {
	for _, family := range families() {
		to <- family.desc()
	}
}

func (f fixed) Collect(to chan<- prometheus.Metric) {
	for _, m := range f {
		to <- m
	}
}

// series are the lines of a scrape without the namespace, such as
// `rows_total{kind="likes"}`, with their values.
type series map[string]float64

func scrape(t *testing.T, handler http.Handler) series {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if recorder.Code != http.StatusOK {
		t.Fatalf("a scrape answered %d: %s", recorder.Code, recorder.Body)
	}
	found := make(series)
	for line := range strings.Lines(recorder.Body.String()) {
		name, ours := strings.CutPrefix(strings.TrimSpace(line), namespace)
		at := strings.LastIndexByte(name, ' ')
		if !ours || at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(name[at+1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		found[name[:at]] = value
	}
	return found
}

// sum adds all series of a metric.
func (s series) sum(metric string) (sum int64) {
	for name, value := range s {
		if base, _, _ := strings.Cut(name, "{"); base == metric {
			sum += int64(value)
		}
	}
	return sum
}

// want compares series of a scrape; NaN wants a series to be absent.
func (s series) want(t *testing.T, what string, want series) {
	t.Helper()
	for name, value := range want {
		got, ok := s[name]
		switch absent := value != value; {
		case absent && ok:
			t.Errorf("%s: %s is %v, but must not be there", what, name, got)
		case !absent && (!ok || got != value):
			t.Errorf("%s: %s is %v (there: %t), want %v", what, name, got, ok, value)
		}
	}
}

// addAt adds an entry without an event at that time.
func (r *rig) addAt(kind event.Kind, at time.Time) {
	r.Helper()
	addition := stream.Addition{Kind: kind, ID: event.ID{MS: uint64(at.UnixMilli())}, Fields: [][]byte{[]byte("event"), []byte("{}")}}
	if _, err := r.client.Add(r.Context(), []stream.Addition{addition}); err != nil {
		r.Fatal(err)
	}
}
