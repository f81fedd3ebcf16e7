package exporter

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
)

// TestCountersAreWhatTheFilesHold drains twenty windows while runs die in every
// way that costs the run log something, and while the exporter is restarted,
// with and without having saved. Whoever counts must come to what verify counts.
func TestCountersAreWhatTheFilesHold(t *testing.T) {
	r := newRig(t)
	clock := first.Start
	checkpoint := filepath.Join(t.TempDir(), "exporter.json")
	following := r.follow(checkpoint, &clock)
	for n := range 20 {
		w := nth(n)
		clock = w.End().Add(time.Minute) // across midnight: the log is rotated
		r.simulate(w, 200)
		if n == 16 { // ends here, with the run log's last line torn
			r.append(r.drain(w, "", 1), clock)
			r.tear()
			continue
		}
		r.drainSomehow(n, clock)
		look(t, following.look)
		switch n {
		case 4: // stopped in order
			if err := following.save(0); err != nil {
				t.Fatal(err)
			}
			following = r.follow(checkpoint, &clock)
		case 9, 14: // killed: what came since the last checkpoint is read again
			following = r.follow(checkpoint, &clock)
		}
	}
	for range 3 { // until everything is older than a run may take to write its line
		clock = clock.Add(walkAllEvery)
		look(t, following.look)
	}
	got := look(t, following.look)
	rebuilt := look(t, r.follow("", &clock).look)
	restarted := look(t, r.follow(checkpoint, &clock).look)
	r.compare("the one that followed", got)
	r.compare("one without a checkpoint", rebuilt)
	r.compare("one with a checkpoint", restarted)
	got.want(t, "the log", series{
		`windows_total{status="drained"}`: 17, `windows_total{status="failed"}`: 1, `windows_total{status="nothing"}`: 1,
		"runlog_broken_lines_total": 2, "last_window_end_timestamp_seconds": float64(nth(19).End().Unix()),
		`run_failures_total{class="unavailable"}`: 1,
	})
	for name, value := range withoutSources(rebuilt) {
		if got[name] != value && !strings.HasPrefix(name, "recovered_") {
			t.Errorf("%s: %v when rebuilt, %v when followed", name, value, got[name])
		}
	}
}

// drainSomehow drains the nth window and writes what its run would have left in
// the run log.
func (r *rig) drainSomehow(n int, at time.Time) {
	r.Helper()
	w := nth(n)
	switch n {
	case 2: // the disk fails between rejects and part, and the run tries again
		r.append(r.drain(w, "part.linked=EIO", 2), at)
	case 5: // killed in the middle of its line
		r.append(r.drain(w, "", 1), at)
		r.tear()
	case 8: // killed before its line, and run again: nothing is left to do
		r.drain(w, "", 1)
		r.append(r.drain(w, "", 1), at)
	case 11: // killed before its line
		r.drain(w, "", 1)
	case 13: // gave up between rejects and part; another run completes them
		r.append(r.drain(w, "part.linked=EIO", 1), at)
		r.append(r.drain(w, "", 1), at)
	case 15: // the same, and the first run died without a line
		r.drain(w, "part.linked=EIO", 1)
		r.append(r.drain(w, "", 1), at)
	case 18: // a late entry, after a failover that took the fence back
		r.append(r.drain(w, "", 1), at)
		name := r.client.Name(event.Likes)
		if err := r.client.Redis().Do(r.Context(), "XSETID", name, "1-1").Err(); err != nil {
			r.Fatal(err)
		}
		r.addAt(event.Likes, w.Start.Add(time.Second))
		record := r.drain(w, "", 1)
		if record.Kinds[event.Likes].Late != 1 {
			r.Fatalf("the late entry was not late: %+v", record)
		}
		r.append(record, at)
	default:
		r.append(r.drain(w, "", 1), at)
	}
}

// tear leaves half of the run log's last line.
func (r *rig) tear() {
	r.Helper()
	days, err := filepath.Glob(filepath.Join(r.data, "_state", "runs", "*.jsonl"))
	if err != nil || len(days) == 0 {
		r.Fatal(days, err)
	}
	last := days[len(days)-1]
	text, err := os.ReadFile(last)
	if err != nil {
		r.Fatal(err)
	}
	line := strings.LastIndexByte(strings.TrimSuffix(string(text), "\n"), '\n') + 1
	if err := os.Truncate(last, int64(line+(len(text)-line)/2)); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) compare(who string, got series) {
	r.Helper()
	want := r.verify()
	for metric, number := range map[string]int64{
		"rows_total": want.Rows, "rejected_total": want.Rejects, "entries_total": want.Rows + want.Rejects,
		"late_total": want.Late, "part_bytes_total": want.Bytes, "parts_total": want.Files, "part_size_bytes_count": want.Files,
	} {
		if got.sum(metric) != number {
			r.Errorf("%s: %s is %d, the files hold %d", who, metric, got.sum(metric), number)
		}
	}
	if want.Rejects == 0 || want.Late == 0 {
		r.Errorf("%d rejects and %d late entries: the test tests nothing", want.Rejects, want.Late)
	}
}

func withoutSources(s series) series {
	s = maps.Clone(s)
	maps.DeleteFunc(s, func(name string, _ float64) bool { return strings.HasPrefix(name, "source_") })
	return s
}

func TestWithoutAnArchiveTheRunLogIsBelieved(t *testing.T) {
	r := newRig(t)
	clock := first.End().Add(time.Hour)
	r.simulate(first, 300)
	record := r.drain(first, "", 1)
	record.Kinds[event.Likes].Losses = []runlog.Loss{{Class: "evicted", Count: 7}}
	r.append(record, clock)
	following := r.follow("", &clock)
	following.archive = nil
	got, want := look(t, following.look), r.verify()
	if got.sum("rows_total") != want.Rows || got.sum("rejected_total") != want.Rejects || got.sum("part_bytes_total") != want.Bytes {
		t.Errorf("rows %d, rejected %d, bytes %d; the files hold %+v", got.sum("rows_total"), got.sum("rejected_total"), got.sum("part_bytes_total"), want)
	}
	got.want(t, "losses", series{`lost_total{class="evicted",kind="likes"}`: 7, `lost_total{class="evicted",kind="posts"}`: 0})
}

func TestACheckpointThatCannotBeUsedIsPassedOver(t *testing.T) {
	r := newRig(t)
	clock := first.End().Add(time.Hour)
	r.simulate(first, 100)
	r.append(r.drain(first, "", 1), clock)
	checkpoint := filepath.Join(t.TempDir(), "exporter.json")
	for what, text := range map[string]string{
		"an empty file":   ``,
		"a torn one":      `{"version":1,"position":{"2026-11-`,
		"another version": `{"version":0,"position":{},"counted":{},"totals":{}}`,
		"missing totals":  `{"version":1,"position":{},"counted":{},"totals":{"windows":{},"failures":{}}}`,
	} {
		if err := os.WriteFile(checkpoint, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := look(t, r.follow(checkpoint, &clock).look)
		if entries := got.sum("entries_total"); entries != 105 {
			t.Errorf("%s: %d entries, want 105", what, entries)
		}
	}
}

func TestAFolderThatCannotBeWrittenStopsNoCounter(t *testing.T) {
	r := newRig(t)
	clock := first.End().Add(time.Hour)
	r.simulate(first, 100)
	r.append(r.drain(first, "", 1), clock)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := look(t, r.follow(filepath.Join(file, "exporter.json"), &clock).look)
	if entries := got.sum("entries_total"); entries != 105 {
		t.Errorf("%d entries, want 105", entries)
	}
}
