package window_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"datawriter/worker/window"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

var five = window.Window{Start: at("2026-11-23T10:05:00Z"), Length: 5 * time.Minute}

func TestOneWindowHasManySpellings(t *testing.T) {
	for _, text := range []string{
		"2026-11-23T10:05:00Z/5m",
		"2026-11-23T10:05Z/5m",
		"2026-11-23T10:05:00.000Z/300s",
		"2026-11-23T10:05:00Z/PT5M",
		"2026-11-23T10:05:00Z/PT300S",
		"2026-11-23T10:05:00Z/2026-11-23T10:10:00Z",
		"2026-11-23T12:05:00+02:00/5m",
		"2026-11-23T04:35:00-05:30/2026-11-23T10:10:00Z",
	} {
		if w, err := window.Parse(text); err != nil || w != five {
			t.Errorf("%s is %v (%v), want %v", text, w, err, five)
		}
	}
}

func TestARefusalNamesTheRuleAndTheWayOut(t *testing.T) {
	for text, want := range map[string]string{
		"5m":                                        "has no '/'",
		"2026-11-23T10:05:00Z":                      "START/LENGTH",
		"2026-11-23T10:05:00/5m":                    "a time with an offset",
		"2026-11-23T10:05:00Z/":                     "write 5m",
		"2026-11-23T10:05:00Z/soon":                 "write 5m",
		"2026-11-23T10:05:00Z/-5m":                  "not positive",
		"2026-11-23T10:05:00Z/0s":                   "not positive",
		"2026-11-23T10:05:00Z/7m":                   "does not divide 60 minutes",
		"2026-11-23T10:00:00Z/2h":                   "does not divide 60 minutes",
		"2026-11-23T10:05:00Z/1.5s":                 "whole number of seconds",
		"2026-11-23T10:06:00Z/5m":                   "use 2026-11-23T10:05:00Z/5m",
		"2026-11-23T10:05:00.001Z/5m":               "use 2026-11-23T10:05:00Z/5m",
		"2026-11-23T10:55:00Z/10m":                  "would cross a boundary",
		"2026-11-23T10:05:00Z/2026-11-23T10:05:00Z": "not after its start",
		"2026-11-23T10:05:00Z/2026-11-23T10:00:00Z": "not after its start",
		"2026-11-23T10:55:00Z/2026-11-23T11:05:00Z": "would cross a boundary",
		"1969-12-31T23:00:00Z/5m":                   "outside 1970",
	} {
		_, err := window.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", text, err, want)
		}
	}
}

func TestAWindowIsHalfOpen(t *testing.T) {
	for ms, want := range map[uint64]bool{
		five.StartMS() - 1: false,
		five.StartMS():     true,
		five.EndMS() - 1:   true,
		five.EndMS():       false,
	} {
		if five.ContainsMS(ms) != want {
			t.Errorf("%s contains %d: %v", five, ms, !want)
		}
	}
	if five.EndMS()-five.StartMS() != 300_000 || !five.End().Equal(at("2026-11-23T10:10:00Z")) {
		t.Errorf("%s ends at %s", five, five.End())
	}
}

func TestNeighbours(t *testing.T) {
	next := window.Window{Start: at("2026-11-23T10:10:00Z"), Length: 5 * time.Minute}
	if five.Next() != next || next.Previous() != five || !five.Before(next) || five.Before(five) {
		t.Errorf("the window after %s is %s, the one before %s", five, five.Next(), five.Previous())
	}
}

func TestContaining(t *testing.T) {
	for instant, want := range map[string]string{
		"2026-11-23T10:05:00Z":      "2026-11-23T10:05:00Z/5m",
		"2026-11-23T10:09:59.999Z":  "2026-11-23T10:05:00Z/5m",
		"2026-11-23T12:59:59+02:00": "2026-11-23T10:55:00Z/5m",
		"1970-01-01T00:00:00Z":      "1970-01-01T00:00:00Z/5m",
	} {
		if w, err := window.Containing(at(instant), 5*time.Minute); err != nil || w.String() != want {
			t.Errorf("%s lies in %s (%v), want %s", instant, w, err, want)
		}
	}
	if _, err := window.Containing(at("2026-11-23T10:05:00Z"), 0); err == nil {
		t.Error("a window of no length contains something")
	}
}

func TestStems(t *testing.T) {
	for _, length := range []time.Duration{time.Second, 90 * time.Second, 5 * time.Minute, time.Hour} {
		w, err := window.Containing(at("2026-11-23T10:05:00Z"), length)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := window.ParseStem(w.Stem()); err != nil || back != w {
			t.Errorf("%s reads as %s (%v), want %s", w.Stem(), back, err, w)
		}
	}
	if five.Stem() != "20261123T100500Z-5m" {
		t.Errorf("the stem is %s", five.Stem())
	}
	for _, stem := range []string{"", "20261123T100500Z", "20261123T100500Z-", "20261123T100500Z-300s", "20261123T100500Z-PT5M",
		"20261123T100600Z-5m", "20261123T100500-5m", "2026-11-23T10:05:00Z-5m", "20261123T106500Z-5m"} {
		if w, err := window.ParseStem(stem); err == nil {
			t.Errorf("%q reads as %s", stem, w)
		}
	}
}

func TestAWindowIsOneJSONString(t *testing.T) {
	text, err := json.Marshal(five)
	if err != nil || string(text) != `"2026-11-23T10:05:00Z/5m"` {
		t.Errorf("JSON is %s (%v)", text, err)
	}
	var back window.Window
	if err := json.Unmarshal(text, &back); err != nil || back != five {
		t.Errorf("it reads as %v (%v)", back, err)
	}
	if err := json.Unmarshal([]byte(`"5m"`), &back); err == nil {
		t.Error("a bare length reads as a window")
	}
}

func TestRanges(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-23T00:00:00Z/24h":                  "2026-11-23T00:00:00Z/2026-11-24T00:00:00Z",
		"2026-11-23T00:00:00Z/PT24H":                "2026-11-23T00:00:00Z/2026-11-24T00:00:00Z",
		"2026-11-23T10:05:00Z/5m":                   "2026-11-23T10:05:00Z/2026-11-23T10:10:00Z",
		"2026-11-23T10:05:00Z/2026-12-01T00:00:00Z": "2026-11-23T10:05:00Z/2026-12-01T00:00:00Z",
		"2026-11-23T12:00+02:00/90m":                "2026-11-23T10:00:00Z/2026-11-23T11:30:00Z",
	} {
		if r, err := window.ParseRange(text); err != nil || r.String() != want {
			t.Errorf("%s is %s (%v), want %s", text, r, err, want)
		}
	}
	for text, want := range map[string]string{
		"24h":                      "START/END or START/DURATION",
		"yesterday/24h":            "a time with an offset",
		"2026-11-23T10:05:00Z/day": "duration like 24h",
		"2026-11-23T10:05:00Z/-1h": "not after its start",
		"2026-11-23T10:05:00Z/2026-11-23T10:05:00Z": "not after its start",
	} {
		if _, err := window.ParseRange(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", text, err, want)
		}
	}
}

func TestARangeIsOneJSONString(t *testing.T) {
	for _, r := range []window.Range{{}, {From: five.Start, To: five.End()}} {
		text, err := json.Marshal(r)
		if err != nil || string(text) != `"`+r.String()+`"` {
			t.Errorf("JSON of %s is %s (%v)", r, text, err)
		}
		var back window.Range
		if err := json.Unmarshal(text, &back); err != nil || back != r {
			t.Errorf("%s reads as %s (%v)", text, back, err)
		}
	}
}

func TestARangeMeansTheWindowsThatBeginInIt(t *testing.T) {
	r := window.Range{From: five.Start, To: five.Next().Start}
	for w, want := range map[window.Window]bool{five.Previous(): false, five: true, five.Next(): false} {
		if r.Contains(w) != want {
			t.Errorf("%s contains %s: %v", r, w, !want)
		}
		if !(window.Range{}).Contains(w) {
			t.Errorf("the range of everything leaves %s out", w)
		}
	}
}
