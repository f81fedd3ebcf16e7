package summary

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
)

// WriteText writes the report for people.
func (r Report) WriteText(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s: %s\n\n", r.Day.Date, r.headline()); err != nil {
		return err
	}
	if err := r.writeTable(w); err != nil {
		return err
	}
	for _, line := range r.lines() {
		if _, err := fmt.Fprintf(w, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

func (r Report) writeTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "kind\tevents\tday before\trejects\tfiles\tbytes\t")
	row := func(name string, now, before KindDay) {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t\n", name, grouped(now.Rows), change(now.Rows, before.Rows), grouped(now.Rejected), grouped(now.Files), bytes(now.Bytes))
	}
	for _, kind := range event.Kinds() {
		row(kind.String(), r.Day.Kinds[kind], r.Before.Kinds[kind])
	}
	row("all", r.Day.Total, r.Before.Total)
	fmt.Fprintln(table)
	return table.Flush()
}

// healthy reports whether nothing on the day needs a look.
func (r Report) healthy() bool {
	d := r.Day
	return d.Missing == 0 && d.Holes == 0 && d.Total.Lost == 0 && d.Statuses[runlog.Failed] == 0
}

// headline is the day in one sentence.
func (r Report) headline() string {
	d := r.Day
	text := fmt.Sprintf("%s events in %d of %d windows", grouped(d.Total.Rows), d.Windows, d.Expected)
	if d.Total.Lost > 0 {
		text += fmt.Sprintf(", %s entries lost", grouped(d.Total.Lost))
	}
	if d.Missing > 0 {
		text += fmt.Sprintf(", %d missing", d.Missing)
	}
	if d.Holes > 0 {
		text += fmt.Sprintf(", %d with an accepted hole", d.Holes)
	}
	return text
}

// lines are what a table of kinds does not say.
func (r Report) lines() []string {
	d, lines := r.Day, []string{}
	if s := d.Slowest; s != nil {
		lines = append(lines, fmt.Sprintf("slowest window: %s in %.1f s%s", s.Window, s.Seconds, r.slowestBefore()))
	}
	lines = append(lines, fmt.Sprintf("rejects: %s%s (day before %s)", grouped(d.Total.Rejected), d.reasons(), grouped(r.Before.Total.Rejected)),
		fmt.Sprintf("lost: %s (day before %s)", grouped(d.Total.Lost), grouped(r.Before.Total.Lost)),
		fmt.Sprintf("late: %s (day before %s)", grouped(d.Total.Late), grouped(r.Before.Total.Late)),
		fmt.Sprintf("failed runs: %d%s (day before %d)", d.Statuses[runlog.Failed], d.classes(), r.Before.Statuses[runlog.Failed]))
	if d.Peak != nil {
		lines = append(lines, fmt.Sprintf("buffer peak: %.0f %% of Redis's memory limit%s", 100**d.Peak, r.peakBefore()))
	}
	if d.Missing > 0 {
		lines = append(lines, "missing windows: "+d.missing())
	}
	return lines
}

func (d Day) missing() string {
	var names []string
	for _, w := range d.MissingFirst {
		names = append(names, w.String())
	}
	if more := d.Missing - len(d.MissingFirst); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

func (r Report) slowestBefore() string {
	if r.Before.Slowest == nil {
		return ""
	}
	return fmt.Sprintf(" (day before %.1f s)", r.Before.Slowest.Seconds)
}

func (r Report) peakBefore() string {
	if r.Before.Peak == nil {
		return ""
	}
	return fmt.Sprintf(" (day before %.0f %%)", 100**r.Before.Peak)
}

func (d Day) reasons() string {
	var words []string
	for _, reason := range event.Reasons() {
		if n := d.Reasons[reason]; n > 0 {
			words = append(words, fmt.Sprintf("%s %s", reason, grouped(n)))
		}
	}
	return behind(words)
}

func (d Day) classes() string {
	var words []string
	for _, class := range []string{"integrity", "configuration", "unavailable"} {
		if n := d.Failures[class]; n > 0 {
			words = append(words, fmt.Sprintf("%s %d", class, n))
		}
	}
	return behind(words)
}

func behind(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}

// change returns a number of the day before with the change since.
func change(now, before int64) string {
	if before == 0 {
		return grouped(before)
	}
	return fmt.Sprintf("%s (%+.1f %%)", grouped(before), 100*float64(now-before)/float64(before))
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// bytes writes a size with three digits: 1.23 GB.
func bytes(n int64) string {
	value, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if value < 1000 {
			break
		}
		value, unit = value/1000, next
	}
	return fmt.Sprintf("%.3g %s", value, unit)
}

// Slack is the report as an incoming webhook of Slack takes it.
type Slack struct {
	Text        string            `json:"text"`
	Attachments []SlackAttachment `json:"attachments"`
}

// SlackAttachment is a coloured block of a Slack message.
type SlackAttachment struct {
	Color    string   `json:"color"`
	Fallback string   `json:"fallback"`
	Text     string   `json:"text"`
	Footer   string   `json:"footer"`
	MrkdwnIn []string `json:"mrkdwn_in"`
}

// Colours of Slack's attachments: information, or a day that needs a look.
const (
	blue   = "#36c5f0"
	yellow = "#ecb22e"
)

// Slack returns the report as a message.
func (r Report) Slack() (Slack, error) {
	var table strings.Builder
	if err := r.writeTable(&table); err != nil {
		return Slack{}, err
	}
	colour := blue
	if !r.healthy() {
		colour = yellow
	}
	title := fmt.Sprintf("Daily summary of %s: %s", r.Day.Date, r.headline())
	return Slack{
		Text: title,
		Attachments: []SlackAttachment{{
			Color: colour, Fallback: title, Footer: "datawriter", MrkdwnIn: []string{"text"},
			Text: "```\n" + strings.TrimRight(table.String(), "\n ") + "\n```\n" + strings.Join(r.lines(), "\n"),
		}},
	}, nil
}
