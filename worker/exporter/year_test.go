package exporter

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

// BenchmarkAYear holds an exporter against the run log of a year of five-minute
// windows: what a scrape takes, what a look takes while nothing is new, and how
// long an exporter without a checkpoint reads.
func BenchmarkAYear(b *testing.B) {
	state := b.TempDir()
	lines := writeYear(b, filepath.Join(state, "runs"))
	log := runlog.Open(state)
	follow := func() *runs { return &runs{log: log, warn: zap.NewNop(), now: time.Now} }
	b.Run("read", func(b *testing.B) {
		began := cpuTime()
		for b.Loop() {
			r := follow()
			if _, err := r.look(context.Background()); err != nil || r.totals.Attempts != lines {
				b.Fatal(r.totals.Attempts, err)
			}
		}
		reportCPU(b, began)
	})
	e := New(Config{Runs: log}, zap.NewNop())
	e.sources[0].once(b.Context(), zap.NewNop())
	b.Run("look", func(b *testing.B) {
		began := cpuTime()
		for b.Loop() {
			e.sources[0].once(b.Context(), zap.NewNop())
		}
		reportCPU(b, began)
	})
	b.Run("scrape", func(b *testing.B) {
		server := httptest.NewServer(e.Handler())
		defer server.Close()
		began := cpuTime()
		for b.Loop() {
			response, err := http.Get(server.URL + "/metrics")
			if err != nil {
				b.Fatal(err)
			}
			var body bytes.Buffer
			if _, err := body.ReadFrom(response.Body); err != nil || !bytes.Contains(body.Bytes(), []byte(`datawriter_windows_total{status="drained"} 105120`)) {
				b.Fatalf("%v: %s", err, body.Bytes())
			}
			response.Body.Close()
		}
		reportCPU(b, began)
	})
}

// cpuTime is what this process has used, which a busy machine does not change.
func cpuTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func reportCPU(b *testing.B, began time.Duration) {
	b.ReportMetric(float64((cpuTime()-began).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

// writeYear writes a line for every window of a year, as a drain would, and
// returns how many.
func writeYear(b *testing.B, folder string) int64 {
	b.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		b.Fatal(err)
	}
	var lines int64
	w := window.Window{Start: time.Date(2025, 11, 23, 0, 0, 0, 0, time.UTC), Length: 5 * time.Minute}
	for range 365 {
		var day bytes.Buffer
		name := filepath.Join(folder, w.Start.Format(time.DateOnly)+".jsonl")
		for range 288 {
			r := runlog.Record{Window: w, Status: runlog.Drained, Start: w.Start, End: w.Start.Add(time.Minute), Seconds: 1.5, Attempts: 1}
			for _, kind := range event.Kinds() {
				r.Kinds = append(r.Kinds, runlog.Kind{Kind: kind, Stream: "bluesky:{" + kind.String() + "}", Entries: 20_000, Rows: 20_000,
					Settled: 20_000, Parts: []string{w.Start.Format("2006/01/02/15/") + kind.String() + "/part-00.parquet"}, Bytes: 2_000_000, Attempts: 1, Seconds: 1.5})
			}
			line, err := json.Marshal(r)
			if err != nil {
				b.Fatal(err)
			}
			day.Write(append(line, '\n'))
			w = w.Next()
			lines++
		}
		if err := os.WriteFile(name, day.Bytes(), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return lines
}
