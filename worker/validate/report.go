package validate

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// folderTime names a report's folder.
const folderTime = "20060102T150405Z"

//go:embed report.html
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"svg": func(p *Plot) template.HTML { return template.HTML(p.SVG(false)) },
	"round": func(seconds float64) string {
		return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
	},
}).Parse(pageText))

// leave writes the report's files below Reports, and says where.
func (p Programme) leave(r Result) error {
	if p.Reports == "" {
		return nil
	}
	folder := filepath.Join(p.Reports, r.Start.Format(folderTime))
	if err := r.Write(folder); err != nil {
		return err
	}
	fmt.Fprintf(p.Out, "report: %s\n", filepath.Join(folder, "report.html"))
	return nil
}

// Write writes report.html, which needs no other file, report.md with its plots
// beside it, and report.json, which Read reads.
func (r Result) Write(folder string) error {
	if err := os.MkdirAll(filepath.Join(folder, "plots"), 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	var html strings.Builder
	if err := page.Execute(&html, r); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	files := map[string]string{"report.json": string(text) + "\n", "report.html": html.String(), "report.md": r.Markdown()}
	for _, step := range r.Reports {
		for i, plot := range step.Plots {
			files[step.plotFile(i)] = plot.SVG(true) + "\n"
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, filepath.FromSlash(name)), []byte(content), 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

// plotFile names the file of a plot.
func (r Report) plotFile(i int) string { return fmt.Sprintf("plots/%s-%d.svg", r.Step, i+1) }

// Read reads a report.json, or the folder that holds one, or what
// `validate STEP --output json` printed.
func Read(place string) (r Result, err error) {
	if info, err := os.Stat(place); err == nil && info.IsDir() {
		place = filepath.Join(place, "report.json")
	}
	text, err := os.ReadFile(place)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", place, err)
	}
	if r.Reports == nil {
		var one Report
		if err := json.Unmarshal(text, &one); err != nil || one.Step == "" {
			return r, errors.Join(fmt.Errorf("%s is no report of validate", place), err)
		}
		r = Result{Start: one.Start, Seconds: one.Seconds, Reports: []Report{one}}
	}
	return r, nil
}

// Count says how many checks ended how.
func (r Result) Count() (ok, failed, skipped int) {
	for _, step := range r.Reports {
		o, f, s := step.Count()
		ok, failed, skipped = ok+o, failed+f, skipped+s
	}
	return ok, failed, skipped
}

// Count says how many checks of the step ended how.
func (r Report) Count() (ok, failed, skipped int) {
	for _, c := range r.Checks {
		switch c.Status {
		case OK:
			ok++
		case Failed:
			failed++
		default:
			skipped++
		}
	}
	return ok, failed, skipped
}

// Verdict is the step's result in a word or a few.
func (r Report) Verdict() string {
	ok, failed, skipped := r.Count()
	switch {
	case r.Skipped != "":
		return "skipped"
	case failed > 0:
		return fmt.Sprintf("failed: %d of %d", failed, ok+failed+skipped)
	case r.Broken != "":
		return "ended early"
	}
	return fmt.Sprintf("passed: %d of %d", ok, ok+skipped)
}

// Good reports whether the step ran to its end and no check failed.
func (r Report) Good() bool {
	_, failed, _ := r.Count()
	return failed == 0 && r.Broken == "" && r.Skipped == ""
}

// Verdict is the programme's result in a sentence.
func (r Result) Verdict() string {
	ok, failed, skipped := r.Count()
	text := fmt.Sprintf("%d of %d checks passed", ok, ok+failed+skipped)
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	for _, step := range r.Reports {
		if step.Broken != "" {
			text += "; " + step.Step + " ended early"
		}
		if step.Skipped != "" {
			text += "; " + step.Step + " was skipped"
		}
	}
	return text
}

// Good reports whether every step that ran is good.
func (r Result) Good() bool {
	for _, step := range r.Reports {
		if step.Skipped == "" && !step.Good() {
			return false
		}
	}
	return true
}

// Markdown is the report as a Markdown page.
func (r Result) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Validation, %s\n\n%s. %s, %s.\n\n", r.Start.Format("2006-01-02 15:04 UTC"), r.Verdict(), r.Version, factLine(r.Machine))
	for _, step := range r.Reports {
		step.markdown(&b)
	}
	return b.String()
}

func (r Report) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "## %s: %s\n\n%s\n\n", r.Step, r.Verdict(), r.About)
	if reason := r.Skipped + r.Broken; reason != "" {
		fmt.Fprintf(b, "%s\n\n", cell(reason))
	}
	if len(r.Checks) > 0 {
		b.WriteString("| | check | measured | target | August 2025 |\n|---|---|---|---|---|\n")
	}
	for _, c := range r.Checks {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", c.Status, cell(c.Name), cell(c.Seen()), cell(c.Target), cell(c.First))
	}
	b.WriteString("\n")
	for _, remark := range r.Remarks {
		fmt.Fprintf(b, "- %s\n", remark)
	}
	for i, plot := range r.Plots {
		fmt.Fprintf(b, "![%s](%s)\n", cell(plot.Title), r.plotFile(i))
	}
	fmt.Fprintf(b, "\n%s. Took %.0f s.\n\n", factLine(r.Facts), r.Seconds)
}

func factLine(facts []Fact) string {
	var all []string
	for _, f := range facts {
		all = append(all, f.Name+" "+f.Value)
	}
	return strings.Join(all, " · ")
}

// cell makes text fit into a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(text)
}
