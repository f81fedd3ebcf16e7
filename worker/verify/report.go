package verify

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// Report is what a verification saw.
type Report struct {
	Range      window.Range `json:"range"`
	Windows    int64        `json:"windows"` // with at least one file
	Files      int64        `json:"files"`   // parts and reject files
	Rows       int64        `json:"rows"`
	Rejects    int64        `json:"rejects"`
	Late       int64        `json:"late"`             // of the rows and rejects, those in a part beyond 00
	Bytes      int64        `json:"bytes"`            // of the files
	Losses     []Loss       `json:"losses,omitempty"` // that runs told of
	Holes      []sink.Hole  `json:"holes,omitempty"`  // windows whose part is gone for good, as a person accepted; no violations
	Seconds    float64      `json:"seconds"`
	Checks     []Result     `json:"checks"`
	Violations []Violation  `json:"violations"` // ordered by window, kind, check, file
}

// Result is what one check saw.
type Result struct {
	Check      string `json:"check"`
	Promise    string `json:"promise"`
	Asked      bool   `json:"asked"`      // false where it needs a Redis or a run log that was not given
	Violations int64  `json:"violations"` // how many lines of Report.Violations are its
}

// Violation is one broken promise in one place.
type Violation struct {
	Check  string         `json:"check"`
	Window *window.Window `json:"window,omitempty"`
	Kind   *event.Kind    `json:"kind,omitempty"`
	File   string         `json:"file,omitempty"`   // path below the archive
	Stream string         `json:"stream,omitempty"` // of Redis
	Count  int64          `json:"count"`            // how many entries, files or windows of this place are alike
	Detail string         `json:"detail"`           // of the first of them
}

// String returns the violation as one line.
func (v Violation) String() string {
	words := []string{v.Check + ":"}
	if v.File == "" && v.Window != nil {
		words = append(words, v.Window.String())
	}
	if v.File == "" && v.Stream == "" && v.Kind != nil {
		words = append(words, v.Kind.String())
	}
	words = append(words, v.File+v.Stream)
	text := strings.TrimRight(strings.Join(words, " "), " :") + ": " + v.Detail
	if v.Count > 1 {
		text += fmt.Sprintf(" (and %d more)", v.Count-1)
	}
	return text
}

// Err returns ErrViolated if there are violations.
func (r Report) Err() error {
	if len(r.Violations) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d in %s", ErrViolated, len(r.Violations), plural(r.Windows, "window"))
}

// sayer takes a violation; the check's name and a count of 1 are filled in.
type sayer func(Violation)

// sayer returns what adds violations of one check to the report.
func (v *Verifier) sayer(check string) sayer {
	return func(violation Violation) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.report.Violations = append(v.report.Violations, violation.of(check))
	}
}

func (v Violation) of(check string) Violation {
	v.Check, v.Count = check, max(v.Count, 1)
	return v
}

// finish orders the violations and counts them by check.
func (r *Report) finish(v *Verifier, took time.Duration) {
	r.Range, r.Seconds = v.cfg.Range, took.Seconds()
	slices.SortStableFunc(r.Violations, compareViolations)
	slices.SortFunc(r.Holes, func(a, b sink.Hole) int {
		return cmp.Or(a.Window.Start.Compare(b.Window.Start), cmp.Compare(a.Kind, b.Kind))
	})
	if r.Violations == nil {
		r.Violations = []Violation{}
	}
	for _, c := range v.checks {
		result := Result{Check: c.Name, Promise: c.Promise, Asked: c.needs.given(v.cfg)}
		for _, violation := range r.Violations {
			if violation.Check == c.Name {
				result.Violations++
			}
		}
		r.Checks = append(r.Checks, result)
	}
}

func compareViolations(a, b Violation) int {
	return cmp.Or(startOf(a).Compare(startOf(b)), cmp.Compare(kindOf(a), kindOf(b)), cmp.Compare(a.Check, b.Check),
		cmp.Compare(a.File, b.File), cmp.Compare(a.Stream, b.Stream))
}

func startOf(v Violation) time.Time {
	if v.Window == nil {
		return time.Time{}
	}
	return v.Window.Start
}

func kindOf(v Violation) int {
	if v.Kind == nil {
		return -1
	}
	return int(*v.Kind)
}

// WriteTable writes the report for people: the totals, a line a check, then a
// line a violation.
func (r Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "windows\tfiles\trows\trejects\tlate\tbytes\tseconds\trows/s")
	fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t%.0f\n\n",
		r.Windows, r.Files, r.Rows, r.Rejects, r.Late, r.Bytes, r.Seconds, float64(r.Rows)/max(r.Seconds, 1e-9))
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(table, "check\tviolations\tpromise")
	for _, c := range r.Checks {
		count := fmt.Sprint(c.Violations)
		if !c.Asked {
			count = "not asked"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.Check, count, c.Promise)
	}
	if len(r.Violations) > 0 {
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, l := range r.Losses {
		if _, err := fmt.Fprintf(w, "lost by redis: %s %s: %d entries at least (%s)\n", l.Window, l.Kind, l.Count, l.Class); err != nil {
			return err
		}
	}
	for _, h := range r.Holes {
		if _, err := fmt.Fprintf(w, "hole: %s %s: accepted by %s on %s: %s\n", h.Window, h.Kind, h.By, h.At.Format(time.DateOnly), h.Reason); err != nil {
			return err
		}
	}
	for _, violation := range r.Violations {
		if _, err := fmt.Fprintln(w, violation); err != nil {
			return err
		}
	}
	return nil
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
