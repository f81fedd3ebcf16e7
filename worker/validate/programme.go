package validate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Programme is some steps, one after the other.
type Programme struct {
	Config      Config
	Steps       []Step
	SkipUnready bool      // a step that cannot begin is noted, and the next one begins
	Version     string    // of the program
	Reports     string    // folder below which the report is left; empty leaves none
	Out         io.Writer // for people: what each step does, and its table; nil for nobody
}

// Result is what a programme saw.
type Result struct {
	Version string    `json:"version"`
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"`
	Machine []Fact    `json:"machine"`
	Reports []Report  `json:"steps"`
}

// Run runs the steps. A failed check does not keep the next step from being run;
// the end of ctx does, and so does a step that cannot begin, unless SkipUnready.
func (p Programme) Run(ctx context.Context) (Result, error) {
	if p.Out == nil {
		p.Out = io.Discard
	}
	result := Result{Version: p.Version, Start: time.Now().UTC(), Machine: machine()}
	var all error
	for _, step := range p.Steps {
		p.announce(step)
		report, err := Execute(ctx, step, p.Config)
		unready := errors.Is(err, ErrUnready) && !errors.Is(err, ErrFailed)
		if unready && p.SkipUnready {
			report.Skipped, report.Broken, err = err.Error(), "", nil
		}
		result.Reports = append(result.Reports, report)
		all = errors.Join(all, err, p.print(report))
		if ctx.Err() != nil || unready && !p.SkipUnready {
			break
		}
	}
	result.Seconds = time.Since(result.Start).Seconds()
	return result, errors.Join(all, p.leave(result))
}

// announce says what a step does and how long it takes, before it begins.
func (p Programme) announce(step Step) {
	takes := step.Takes
	if p.Config.Quick {
		takes = step.Quick
	}
	fmt.Fprintf(p.Out, "== %s: %s\n", step.Name, step.Usage)
	if step.About != "" {
		fmt.Fprintln(p.Out, step.About)
	}
	if takes > 0 {
		fmt.Fprintf(p.Out, "It takes about %s, until %s.\n", takes, time.Now().Add(takes).Format(time.TimeOnly))
	}
}

func (p Programme) print(r Report) error {
	switch {
	case r.Skipped != "":
		fmt.Fprintf(p.Out, "skipped: %s\n\n", r.Skipped)
		return nil
	case r.Broken != "":
		fmt.Fprintf(p.Out, "ended early: %s\n", r.Broken)
	}
	defer fmt.Fprintln(p.Out)
	return r.WriteTable(p.Out)
}

// Join is one result of the steps of several, as if they had run here, one after
// the other.
func Join(version string, all []Result) Result {
	joined := Result{Version: version, Start: all[0].Start, Machine: all[0].Machine}
	for _, r := range all {
		if joined.Machine == nil {
			joined.Machine = r.Machine
		}
		joined.Seconds += r.Seconds
		joined.Reports = append(joined.Reports, r.Reports...)
	}
	if joined.Machine == nil {
		joined.Machine = machine()
	}
	return joined
}
