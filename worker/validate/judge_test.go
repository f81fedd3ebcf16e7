package validate

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/simulate"
	"datawriter/worker/verify"
	"datawriter/worker/window"
)

// recordedWell returns what a step sees of a stack that works: ten windows of five
// minutes, each drained five seconds after its end by the run of its slot.
func recordedWell(step string) *recording {
	first, _ := window.New(time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC), 5*time.Minute)
	rec := &recording{Step: step, Start: first.Start, First: first, Windows: 10, Rate: 1500, Count: 4_500_000}
	rec.Traffic = simulate.Result{Added: rec.Count, Rate: 1500, Seconds: 3000}
	rec.Found = comparison{Kinds: make(map[event.Kind]kindComparison)}
	for _, kind := range event.Kinds() {
		rec.Found.Kinds[kind] = kindComparison{Produced: 900_000, Rows: 900_000}
	}
	rec.Pings = pingSummary{Count: 1000, P50: 1, P95: 2, P99: 3, Most: 9}
	w := first
	for range rec.Windows {
		begin, end := w.End().Add(2*time.Second), w.End().Add(8*time.Second)
		rec.Runs = append(rec.Runs, runlog.Record{Window: w, Status: runlog.Drained, Start: begin.Add(time.Second), End: w.End().Add(5 * time.Second), Seconds: 2})
		rec.Flows = append(rec.Flows, flowRun{Name: w.String(), Type: "COMPLETED", State: "Completed", Expected: w.End(), Start: &begin, End: &end, Auto: true})
		rec.Last, w = w, w.Next()
	}
	for at := first.Start; at.Before(rec.Last.End()); at = at.Add(5 * time.Second) {
		rec.Samples = append(rec.Samples, reading{At: at, Redis: true, Memory: 100e6, MaxMemory: 2e9, Clients: 10, Ping: 2,
			Usage: map[string]*usage{"redis": level(), "server": level(), "worker": level(), "supervisor": level()}})
	}
	rec.Incidents = []incident{{What: "something", Begin: first.Start.Add(17 * time.Minute), End: first.Start.Add(18 * time.Minute), Proof: "it was seen"}}
	return rec
}

// level is the usage of a process that does not grow.
func level() *usage { return &usage{PID: 1, Count: 1, Memory: 100e6, Files: 20} }

// judgements are the steps that judge a recording.
var judgements = map[string]func(*Session, *recording){
	"schedule": (*Session).judgeSchedule, "load": (*Session).judgeLoad, "soak": (*Session).judgeSoak,
}

func verdicts(step string, rec *recording) []string {
	s := newSession(Step{Name: step}, Config{Log: zap.NewNop()})
	defer s.bars.stop()
	judgements[step](s, rec)
	return failures(s.report)
}

func TestAGoodRecordingPasses(t *testing.T) {
	for step := range judgements {
		if failed := verdicts(step, recordedWell(step)); len(failed) > 0 {
			t.Errorf("%s: %q", step, failed)
		}
	}
}

func TestABadRecordingFails(t *testing.T) {
	all := []string{"schedule", "load", "soak"}
	for _, one := range []struct {
		name, fails string
		steps       []string
		spoil       func(*recording)
	}{
		{"an entry that is in no file", "entries lost", all, func(r *recording) {
			r.Found.Kinds[event.Likes] = kindComparison{Produced: 900_000, Rows: 899_999, Missing: 1}
		}},
		{"an entry that is there twice", "entries written twice", all, func(r *recording) {
			r.Found.Kinds[event.Likes] = kindComparison{Produced: 900_000, Rows: 900_001, Double: 1}
		}},
		{"a window that was skipped", "windows drained, each by one run", all, func(r *recording) { r.Runs = slices.Delete(r.Runs, 3, 4) }},
		{"a window that was drained twice", "windows drained, each by one run", all, func(r *recording) { r.Runs = append(r.Runs, r.Runs[3]) }},
		{"a window that was late", "from a window's end to its files, the longest", all, func(r *recording) { r.Runs[8].End = r.Runs[8].End.Add(5 * time.Minute) }},
		{"a run that drained the window of another", "runs that drained exactly their window", []string{"schedule"}, func(r *recording) {
			r.Runs[2].Start = r.Flows[3].Start.Add(time.Second)
		}},
		{"a run that was dropped", "scheduled runs, none dropped", []string{"schedule"}, func(r *recording) { r.Flows = slices.Delete(r.Flows, 7, 8) }},
		{"runs side by side", "runs at work beside another", []string{"schedule"}, func(r *recording) { r.Flows[7].Start = r.Flows[6].Start }},
		{"a run that failed", "scheduled runs that completed", all, func(r *recording) { r.Flows[6].Type = "FAILED" }},
		{"a producer that fell short", "events produced", all, func(r *recording) { r.Traffic.Added-- }},
		{"a promise broken", "promises that verify finds broken", all, func(r *recording) { r.Verified.Violations = []verify.Violation{{Check: "rows"}} }},
		{"an entry left behind", "entries that still stand in Redis", all, func(r *recording) { r.Left = 1 }},
		{"memory beyond the limit", "memory of Redis at its highest", []string{"load", "soak"}, func(r *recording) { r.Samples[100].Memory = 1.7e9 }},
		{"an eviction", "keys that Redis evicted", []string{"load", "soak"}, func(r *recording) { r.Samples[100].Evicted = 1 }},
		{"a fault that did not happen", "fault: something: took place", all, func(r *recording) { r.Incidents[0].Proof = "" }},
		{"a worker that leaks memory", "trend: memory of the worker", []string{"soak"}, func(r *recording) {
			for n := range r.Samples {
				r.Samples[n].Usage["worker"].Memory += int64(n) * 100_000
			}
		}},
		{"a worker that leaks files", "trend: open files of the worker", []string{"soak"}, func(r *recording) {
			for n := range r.Samples {
				r.Samples[n].Usage["worker"].Files += n / 10
			}
		}},
		{"a Redis that keeps what was drained", "trend: memory of Redis after each drain", []string{"soak"}, func(r *recording) {
			for n := range r.Samples {
				r.Samples[n].Memory += float64(n) * 100_000
			}
		}},
	} {
		for _, step := range one.steps {
			rec := recordedWell(step)
			one.spoil(rec)
			if failed := verdicts(step, rec); !slices.Contains(failed, one.fails) {
				t.Errorf("%s, %s: only %q fails", step, one.name, failed)
			}
		}
	}
}

func TestARecordingIsJudgedAgain(t *testing.T) {
	text, err := json.Marshal(recordedWell("load"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := trial(t)
	cfg.From = filepath.Join(t.TempDir(), recordingFile)
	if err := os.WriteFile(cfg.From, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if report, err := execute(t, "load", cfg); err != nil || len(report.Plots) == 0 {
		t.Errorf("%v, %d plots:\n%s", err, len(report.Plots), table(t, report))
	}
	if _, err := execute(t, "soak", cfg); !errors.Is(err, ErrUnready) {
		t.Errorf("a recording of another step: %v", err)
	}
}

func TestAStackNeedsItsRepository(t *testing.T) {
	for _, root := range []string{"", t.TempDir()} {
		cfg := trial(t)
		cfg.Root = root
		if _, err := execute(t, "load", cfg); !errors.Is(err, ErrUnready) {
			t.Errorf("root %q: %v", root, err)
		}
	}
}

func TestSlopes(t *testing.T) {
	at := func(minutes int, value float64) moment {
		return moment{time.Date(2026, 11, 25, 10, minutes, 0, 0, time.UTC), value}
	}
	for _, one := range []struct {
		name   string
		values []moment
		want   float64
	}{
		{"level", []moment{at(0, 5), at(10, 5), at(20, 5), at(30, 5)}, 0},
		{"rising by six an hour", []moment{at(0, 0), at(10, 1), at(20, 2), at(30, 3)}, 6},
		{"level, with one outlier", []moment{at(0, 5), at(10, 5), at(20, 500), at(30, 5), at(40, 5)}, 0},
	} {
		if got := slopePerHour(one.values); got < one.want-0.01 || got > one.want+0.01 {
			t.Errorf("%s: %v, not %v", one.name, got, one.want)
		}
	}
}
