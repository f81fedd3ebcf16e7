package audit

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// order of verdicts for people: what needs them first.
var order = []Verdict{Gap, Risk, Unseen, Met}

// Summary is the report in a sentence.
func (r Report) Summary() string {
	text := fmt.Sprintf("%s against profile %s: %d met, %d gaps, %d risks", r.Server, r.Profile, r.Count(Met), r.Count(Gap), r.Count(Risk))
	if n := r.Count(Unseen); n > 0 {
		text += fmt.Sprintf(", %d could not be seen", n)
	}
	return text
}

// WriteTable writes the report for people: gaps first, and below the table why
// each matters and what to do.
func (r Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "verdict\tseverity\tfrom\trequirement\tis\twanted")
	r.each(func(f Finding) {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Verdict, f.Severity, f.Source, f.Key, f.shown(), f.Wanted)
	})
	if err := table.Flush(); err != nil {
		return err
	}
	r.each(func(f Finding) {
		if f.Verdict != Gap && f.Verdict != Risk {
			return
		}
		fmt.Fprintf(w, "\n%s %s: %s\n", f.Verdict, f.Key, f.Why)
		for _, line := range f.Fix.lines() {
			fmt.Fprintln(w, "    "+line)
		}
	})
	for _, b := range r.Blind {
		fmt.Fprintf(w, "\nnot seen: %s\n", b)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", r.Summary())
	return err
}

// each calls see for every finding, what needs a person first.
func (r Report) each(see func(Finding)) {
	for _, v := range order {
		for _, f := range r.Findings {
			if f.Verdict == v {
				see(f)
			}
		}
	}
}

// shown is the value, an empty one visibly.
func (f Finding) shown() string {
	if f.Is == "" {
		return `""`
	}
	return f.Is
}

// lines are what to do, each in a line.
func (f *Fix) lines() (lines []string) {
	if f == nil {
		return nil
	}
	if f.Command != "" {
		lines = append(lines, "at once:    "+f.Command)
	}
	if f.Line != "" {
		lines = append(lines, "redis.conf: "+f.Line)
	}
	if f.Else != "" {
		lines = append(lines, "or:         "+f.Else)
	}
	return lines
}

// WriteMarkdown writes the report as a page.
func (r Report) WriteMarkdown(w io.Writer) error {
	fmt.Fprintf(w, "# Audit of %s\n\n%s.\n\n| verdict | severity | from | requirement | is | wanted | why | fix |\n|---|---|---|---|---|---|---|---|\n", r.Server, r.Summary())
	r.each(func(f Finding) {
		fix := ""
		if f.Fix != nil {
			fix = strings.Join(f.Fix.lines(), "<br>")
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", f.Verdict, f.Severity, f.Source, f.Key, escaped(f.Is), escaped(f.Wanted), escaped(f.Why), fix)
	})
	for _, b := range r.Blind {
		fmt.Fprintf(w, "\nNot seen: %s.\n", b)
	}
	return nil
}

func escaped(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
