package validate

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Change is one check in two results.
type Change struct {
	Step, Name string
	A, B       *Check // nil where the result has not got it
}

// Compare pairs the checks of two results, in the order of the second; those that
// only the first has come last.
func Compare(a, b Result) (changes []Change) {
	type key struct{ step, name string }
	old := make(map[key]*Check)
	var order []key
	for _, step := range a.Reports {
		for i, c := range step.Checks {
			k := key{step.Step, c.Name}
			old[k] = &step.Checks[i]
			order = append(order, k)
		}
	}
	for _, step := range b.Reports {
		for i, c := range step.Checks {
			k := key{step.Step, c.Name}
			changes = append(changes, Change{step.Step, c.Name, old[k], &step.Checks[i]})
			delete(old, k)
		}
	}
	for _, k := range order {
		if c, left := old[k]; left {
			changes = append(changes, Change{k.step, k.name, c, nil})
		}
	}
	return changes
}

// Worse reports whether the check passed in the first result and fails in the second.
func (c Change) Worse() bool {
	return c.A != nil && c.B != nil && c.A.Status == OK && c.B.Status == Failed
}

// Says is the change in words: by how much, and whether that is for the better.
func (c Change) Says() string {
	switch {
	case c.A == nil:
		return "new"
	case c.B == nil:
		return "gone"
	case c.A.Status != c.B.Status:
		return fmt.Sprintf("%s, was %s", c.B.Status, c.A.Status)
	case c.A.Value == nil || c.B.Value == nil || *c.A.Value == *c.B.Value:
		return "same"
	case *c.A.Value == 0:
		return "was 0"
	}
	percent := 100 * (*c.B.Value - *c.A.Value) / *c.A.Value
	text := fmt.Sprintf("%+.1f %%", percent)
	lower, higher := strings.HasPrefix(c.B.Target, "<"), strings.HasPrefix(c.B.Target, ">")
	switch {
	case !lower && !higher, -1 < percent && percent < 1:
		return text
	case lower == (percent < 0):
		return text + ", better"
	}
	return text + ", worse"
}

// WriteChanges writes a table for people.
func WriteChanges(w io.Writer, changes []Change) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "step\tcheck\tA\tB\tchange\ttarget")
	for _, c := range changes {
		target := ""
		if c.B != nil {
			target = c.B.Target
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Step, c.Name, brief(c.A), brief(c.B), c.Says(), target)
	}
	return table.Flush()
}

// brief is a check's value, or its status where it measured none.
func brief(c *Check) string {
	switch {
	case c == nil:
		return "-"
	case c.Value == nil:
		return string(c.Status)
	}
	return Number(*c.Value, c.Unit)
}
