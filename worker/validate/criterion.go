package validate

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Status is how a check ended.
type Status string

// Statuses.
const (
	OK      Status = "ok"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Check is one question and its answer. Value, Unit, Target and First are those
// of a measured criterion.
type Check struct {
	Name    string   `json:"check"`
	Status  Status   `json:"status"`
	Value   *float64 `json:"value,omitempty"`
	Unit    string   `json:"unit,omitempty"`
	Target  string   `json:"target,omitempty"`
	First   string   `json:"first,omitempty"`  // what the first validation, of August 2025, measured
	Detail  string   `json:"detail,omitempty"` // what was seen; for a failure, what to do with it
	Seconds float64  `json:"seconds,omitempty"`
}

// Seen is the answer in words.
func (c Check) Seen() string {
	if aside := c.Aside(); aside != "" {
		return c.Measured() + " (" + aside + ")"
	}
	return c.Measured()
}

// Measured is the value, or the whole answer where there is none.
func (c Check) Measured() string {
	if c.Value == nil {
		return c.Detail
	}
	return Number(*c.Value, c.Unit)
}

// Aside is what else was seen beside the value.
func (c Check) Aside() string {
	if c.Value == nil {
		return ""
	}
	return c.Detail
}

// Criterion is a measured value and the bar that it must clear.
type Criterion struct {
	Name   string
	Value  float64
	Unit   string // "%", "ms", "events/s", …
	Bar    Bar
	First  string // what the first validation, of August 2025, measured; empty where it did not ask
	Detail string // what else was seen
}

// Bar is what a value must clear.
type Bar struct {
	sign  string
	limit float64
	holds func(value, limit float64) bool
}

func below(limit float64) Bar {
	return Bar{"<", limit, func(v, l float64) bool { return v < l }}
}
func atMost(limit float64) Bar {
	return Bar{"<=", limit, func(v, l float64) bool { return v <= l }}
}
func atLeast(limit float64) Bar {
	return Bar{">=", limit, func(v, l float64) bool { return v >= l }}
}
func above(limit float64) Bar {
	return Bar{">", limit, func(v, l float64) bool { return v > l }}
}
func exactly(limit float64) Bar {
	return Bar{"=", limit, func(v, l float64) bool { return v == l }}
}

// Ease of timing bars in the quick version of a step, which machines busy with
// tests run: it shows that the step can tell slow from fast, and measures little.
const (
	easeSlower = 20 // times the latency
	easeFewer  = 50 // times fewer in a second
)

// timed is the bar of a latency or a rate.
func (s *Session) timed(b Bar) Bar {
	switch {
	case !s.cfg.Quick:
	case strings.HasPrefix(b.sign, "<"):
		b.limit *= easeSlower
	default:
		b.limit /= easeFewer
	}
	return b
}

// measured is a value without a bar: worth knowing, never wrong.
func measured() Bar { return Bar{} }

func (c Criterion) check() Check {
	value := c.Value
	made := Check{Name: c.Name, Status: OK, Value: &value, Unit: c.Unit, First: c.First, Detail: c.Detail}
	if c.Bar.holds == nil {
		return made
	}
	made.Target = c.Bar.sign + " " + Number(c.Bar.limit, c.Unit)
	if math.IsNaN(value) || math.IsInf(value, 0) { // nothing was measured, and JSON has no word for it
		made.Value, made.Status, made.Detail = nil, Failed, strings.TrimSpace("nothing was measured; "+c.Detail)
	} else if !c.Bar.holds(value, c.Bar.limit) {
		made.Status = Failed
	}
	return made
}

// Number writes a value for people: three significant digits, thousands set apart.
func Number(value float64, unit string) string {
	digits := 0
	switch a := math.Abs(value); {
	case a == math.Trunc(a):
	case a < 10:
		digits = 2
	case a < 1000:
		digits = 1
	}
	text := strconv.FormatFloat(value, 'f', digits, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	if fraction != "" {
		fraction = "." + fraction
	}
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return strings.TrimSpace(sign + whole + fraction + " " + unit)
}

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if r.measures() {
		fmt.Fprintln(table, "status\tcheck\tmeasured\ttarget\tAugust 2025")
		for _, c := range r.Checks {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.Status, c.Name, c.Seen(), c.Target, c.First)
		}
	} else {
		fmt.Fprintln(table, "status\tcheck\tseconds\tseen")
		for _, c := range r.Checks {
			fmt.Fprintf(table, "%s\t%s\t%.1f\t%s\n", c.Status, c.Name, c.Seconds, c.Detail)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, remark := range r.Remarks {
		fmt.Fprintln(w, "- "+remark)
	}
	return nil
}

// measures reports whether a criterion was measured.
func (r Report) measures() bool {
	for _, c := range r.Checks {
		if c.Value != nil || c.Target != "" {
			return true
		}
	}
	return false
}
