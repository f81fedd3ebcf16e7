package validate

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// twoSteps is a result with everything that a report can hold.
func twoSteps() Result {
	value, other := 78.5, 12.0
	plot := &Plot{Title: "Memory <b>", Unit: "%", Limit: 90, Marks: []Mark{{At: 3, What: "restart & more"}}, start: time.Now()}
	for i := range 50 {
		at := plot.start.Add(time.Duration(i) * time.Second)
		plot.addAt(at, "used", 10+40*math.Sin(float64(i)/8))
		plot.addAt(at, "peak", 60)
	}
	return Result{Version: "1.2.3", Start: time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC), Seconds: 61, Machine: []Fact{{"cpus", "2"}}, Reports: []Report{
		{Step: "one", About: "Does <i>something</i>.", Checks: []Check{
			{Name: "peak memory", Status: OK, Value: &value, Unit: "%", Target: "< 90 %", First: "80 %"},
			{Name: "a | pipe", Status: Failed, Value: &other, Unit: "ms", Target: "< 10 ms"},
			{Name: "asked in vain", Status: Skipped, Detail: "no address"},
		}, Facts: []Fact{{"server", "Redis 7"}}, Plots: []*Plot{plot, {Title: "empty"}}, Remarks: []string{"Mind <this>."}},
		{Step: "two", Skipped: "no stack"},
		{Step: "three", Broken: "Redis is away"},
	}}
}

func TestTheReportStandsAlone(t *testing.T) {
	folder := t.TempDir()
	if err := twoSteps().Write(folder); err != nil {
		t.Fatal(err)
	}
	page := read(t, folder, "report.html")
	for _, want := range []string{"1 of 3 checks passed, 1 failed; two was skipped; three ended early", "78.5 %", "&lt; 90 %", "Does &lt;i&gt;something", "Mind &lt;this&gt;.", "restart &amp; more", "<polyline", "width=device-width"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{"<script", "src=", "@import", "<link", "<b>", "NaN", "ZgotmplZ", "no points"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	markdown := read(t, folder, "report.md")
	for _, want := range []string{`| failed | a \| pipe | 12 ms | &lt; 10 ms |`, "](plots/one-1.svg)"} {
		if !strings.Contains(markdown, want) {
			t.Errorf("the Markdown lacks %q:\n%s", want, markdown)
		}
	}
	for _, name := range []string{"plots/one-1.svg", "plots/one-2.svg"} {
		wellFormed(t, name, read(t, folder, name))
	}
}

func read(t *testing.T, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func wellFormed(t *testing.T, name, text string) {
	t.Helper()
	for decoder := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
	}
}

func TestAReportIsReadBack(t *testing.T) {
	folder := t.TempDir()
	if err := twoSteps().Write(folder); err != nil {
		t.Fatal(err)
	}
	back, err := Read(folder)
	if err != nil || back.Verdict() != twoSteps().Verdict() || len(back.Reports[0].Plots[0].Series) != 2 {
		t.Errorf("%v: %+v", err, back)
	}
	if err := os.WriteFile(filepath.Join(folder, "report.json"), []byte(`{"a":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(folder); err == nil {
		t.Error("a file that is no report was read as one")
	}
}

func TestWhatChangedBetweenTwoReports(t *testing.T) {
	check := func(name string, status Status, value float64, target string) Check {
		return Check{Name: name, Status: status, Value: &value, Unit: "ms", Target: target}
	}
	result := func(checks ...Check) Result { return Result{Reports: []Report{{Step: "s", Checks: checks}}} }
	a := result(check("latency", OK, 10, "< 50 ms"), check("rate", OK, 100, ">= 50"), check("now fails", OK, 1, "< 2"), check("left out", OK, 1, ""), check("still", OK, 7, ""))
	b := result(check("latency", OK, 15, "< 50 ms"), check("rate", OK, 150, ">= 50"), check("now fails", Failed, 3, "< 2"), check("first time", OK, 1, ""), check("still", OK, 7, ""))
	want := map[string]string{"latency": "+50.0 %, worse", "rate": "+50.0 %, better", "now fails": "failed, was ok", "left out": "gone", "first time": "new", "still": "same"}
	for _, c := range Compare(a, b) {
		if c.Says() != want[c.Name] || c.Worse() != (c.Name == "now fails") {
			t.Errorf("%s: %q, worse %v; want %q", c.Name, c.Says(), c.Worse(), want[c.Name])
		}
		delete(want, c.Name)
	}
	if len(want) > 0 {
		t.Errorf("left out: %v", want)
	}
}

func TestTicksAreRound(t *testing.T) {
	for _, of := range []struct {
		low, high float64
		want      string
	}{{0, 95, "0 50"}, {0, 1.06, "0 0.5 1"}, {0, 22_000, "0 10k 20k"}, {-1, 1, "-1 -0.5 0 0.5 1"}} {
		var got []string
		for _, v := range ticks(of.low, of.high, 4) {
			got = append(got, short(v))
		}
		if strings.Join(got, " ") != of.want {
			t.Errorf("%v to %v: %q", of.low, of.high, got)
		}
	}
}
