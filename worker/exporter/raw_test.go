package exporter

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"datawriter/worker/event"
)

// TestRawKindsHaveNoSeries: what the exporter tells of an archive is the same with
// and without them, whether a line of the run log names their files or none does.
func TestRawKindsHaveNoSeries(t *testing.T) {
	without, with := newRig(t), newRig(t)
	with.also = event.RawKinds()
	var told [2]series
	for n, r := range []*rig{without, with} {
		clock := nth(1).End().Add(time.Minute)
		core, warnings := observer.New(zap.WarnLevel)
		following := r.follow("", &clock)
		following.warn = zap.New(core)
		for i := range 2 {
			w := nth(i)
			r.simulate(w, 200)
			for _, kind := range r.also {
				r.addAt(kind, w.Start) // is rejected
			}
			record := r.drain(w, "", 1)
			if i == 0 {
				r.append(record, clock)
			}
		}
		for range 3 {
			look(t, following.look)
			clock = clock.Add(walkAllEvery)
		}
		told[n] = look(t, following.look)
		if warnings.Len() > 0 {
			t.Errorf("it warns: %v", warnings.All())
		}
	}
	for _, metric := range []string{
		"rows_total", "rejected_total", "entries_total", "parts_total", "part_size_bytes_count", "settled_total",
		"recovered_parts_total", "windows_total",
	} {
		if a, b := told[0].sum(metric), told[1].sum(metric); a != b {
			t.Errorf("%s is %d without raw kinds and %d with them", metric, a, b)
		}
	}
	const rate = "last_window_events_per_second"
	told[1].want(t, "an archive with raw kinds", series{rate: told[0][rate]})
	if told[1].sum("recovered_parts_total") == 0 || told[1].sum("rows_total") == 0 {
		t.Errorf("the test tests nothing: %v", told[1])
	}
	for name := range told[1] {
		if strings.Contains(name, "identity") || strings.Contains(name, "account") {
			t.Errorf("there is a series %s", name)
		}
	}
	if files := with.verify().Files; files <= without.verify().Files {
		t.Errorf("no raw kind was drained: %d files", files)
	}
}
