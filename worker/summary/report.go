package summary

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// Day is what is known of the windows that begin on one UTC day.
type Day struct {
	Date         string                  `json:"date"`                    // 2026-11-22
	Windows      int                     `json:"windows"`                 // drained: with a part of every kind
	Expected     int                     `json:"expected"`                // windows that have ended, of the whole day
	Missing      int                     `json:"missing"`                 // windows that have ended without a part of every kind, from the first drained one on
	MissingFirst []window.Window         `json:"missing_first,omitempty"` // the first few of those
	Holes        int                     `json:"holes"`                   // windows of which a part is gone for good, as a person accepted; not among the missing
	Kinds        map[event.Kind]KindDay  `json:"kinds"`
	Total        KindDay                 `json:"total"`
	Reasons      map[event.Reason]int64  `json:"rejected_by,omitempty"`
	Statuses     map[runlog.Status]int64 `json:"runs"`               // windows that runs tried, by outcome
	Failures     map[string]int64        `json:"failures,omitempty"` // of those that failed, by class
	Slowest      *Slow                   `json:"slowest,omitempty"`
	Peak         *float64                `json:"buffer_peak,omitempty"` // share of maxmemory, 0 to 1; null if Prometheus was not asked or has none
}

// KindDay counts what one kind's files of a day hold.
type KindDay struct {
	Rows     int64 `json:"rows"`
	Rejected int64 `json:"rejected"`
	Late     int64 `json:"late"`  // of the rows and rejects, those in a part beyond 00
	Files    int64 `json:"files"` // parts and files of rejects
	Bytes    int64 `json:"bytes"`
	Lost     int64 `json:"lost"` // entries that Redis took and lost, as far as runs saw it; one of unknown number counts as 1
}

// Slow is the window that took longest to drain.
type Slow struct {
	Window  window.Window `json:"window"`
	Seconds float64       `json:"seconds"`
}

// Report is a day beside the day before.
type Report struct {
	Day    Day `json:"day"`
	Before Day `json:"before"`
}

// maxMissing bounds how many missing windows are named.
const maxMissing = 12

// Peak asks how full the buffer was at most in [from, to), 0 to 1; ok is false
// if nobody knows.
type Peak func(ctx context.Context, from, to time.Time) (share float64, ok bool, err error)

// Reporter makes reports of one archive.
type Reporter struct {
	archive sink.Sink
	runs    *runlog.Log
	peak    Peak // may be nil
	now     func() time.Time
}

// New returns a Reporter. It owns none of its dependencies; peak may be nil.
func New(archive sink.Sink, runs *runlog.Log, peak Peak) *Reporter {
	return &Reporter{archive: archive, runs: runs, peak: peak, now: time.Now}
}

// Day reports on the UTC day that begins at an instant. A day that is not over is
// reported so far. sink.ErrMisplaced when there is no archive.
func (r *Reporter) Day(ctx context.Context, day time.Time) (Report, error) {
	shape, err := sink.ReadArchive(ctx, r.archive)
	if errors.Is(err, fs.ErrNotExist) {
		return Report{}, fmt.Errorf("%w: there is no archive in it; name one with --data", sink.ErrMisplaced)
	}
	if err != nil {
		return Report{}, err
	}
	before := day.AddDate(0, 0, -1)
	report := Report{Day: newDay(day), Before: newDay(before)}
	if err := r.readRuns(before, &report); err != nil {
		return report, err
	}
	for start, of := range map[time.Time]*Day{day: &report.Day, before: &report.Before} {
		if err := r.readFiles(ctx, shape, start, of); err != nil {
			return report, err
		}
		if err := r.readPeak(ctx, start, of); err != nil {
			return report, err
		}
	}
	return report, nil
}

func newDay(start time.Time) Day {
	d := Day{
		Date: start.Format(time.DateOnly), Kinds: make(map[event.Kind]KindDay), Reasons: make(map[event.Reason]int64),
		Statuses: make(map[runlog.Status]int64), Failures: make(map[string]int64),
	}
	for _, kind := range event.Kinds() {
		d.Kinds[kind] = KindDay{}
	}
	return d
}

// readRuns reads what runs said of the windows of both days. A window is drained
// on its day or later, so everything since is read.
func (r *Reporter) readRuns(since time.Time, report *Report) error {
	if r.runs == nil {
		return nil
	}
	_, err := r.runs.Read(since, func(record runlog.Record) error {
		switch record.Window.Start.Format(time.DateOnly) {
		case report.Day.Date:
			report.Day.addRun(record)
		case report.Before.Date:
			report.Before.addRun(record)
		}
		return nil
	})
	return err
}

func (d *Day) addRun(r runlog.Record) {
	d.Statuses[r.Status]++
	if r.Status == runlog.Failed {
		d.Failures[r.Class]++
	}
	if r.Status == runlog.Drained && (d.Slowest == nil || r.Seconds > d.Slowest.Seconds) {
		d.Slowest = &Slow{Window: r.Window, Seconds: r.Seconds}
	}
	for _, k := range r.Kinds {
		if k.Kind.IsRaw() {
			continue
		}
		for _, loss := range k.Losses {
			d.add(k.Kind, KindDay{Lost: max(loss.Count, 1)})
		}
		for reason, n := range k.RejectedBy {
			d.Reasons[reason] += n
		}
	}
}

// add counts something of a kind, and in the total.
func (d *Day) add(kind event.Kind, n KindDay) {
	of := d.Kinds[kind]
	for _, sum := range []*KindDay{&of, &d.Total} {
		sum.Rows += n.Rows
		sum.Rejected += n.Rejected
		sum.Late += n.Late
		sum.Files += n.Files
		sum.Bytes += n.Bytes
		sum.Lost += n.Lost
	}
	d.Kinds[kind] = of
}

// readFiles counts the files of a day's windows.
func (r *Reporter) readFiles(ctx context.Context, shape sink.Archive, start time.Time, d *Day) error {
	parts := make(map[window.Window]int) // how many kinds have their part 00
	end := start.AddDate(0, 0, 1)
	err := sink.Walk(ctx, r.archive, shape.Layout, start, end, func(hour sink.Hour) error {
		for _, name := range hour.Names {
			if name.Kind.IsRaw() { // a report is about the five kinds
				continue
			}
			n, err := r.readFile(ctx, shape.Layout.Path(name))
			if err != nil {
				return err
			}
			if name.Part > 0 {
				n.Late = n.Rows + n.Rejected
			}
			d.add(name.Kind, n)
			if name.Part == 0 && !name.Rejects {
				parts[name.Window]++
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if err := r.readHoles(ctx, shape, start, parts, d); err != nil {
		return err
	}
	_, begun, err := sink.Latest(ctx, r.archive, shape.Layout, start)
	d.coverage(parts, start, minTime(end, r.now()), shape.WindowLength, begun)
	return err
}

// readHoles counts the accepted holes whose part has not come back. A window
// with one is whole when its other kinds are drained.
func (r *Reporter) readHoles(ctx context.Context, shape sink.Archive, start time.Time, parts map[window.Window]int, d *Day) error {
	holed := make(map[window.Window]bool)
	err := sink.WalkHoles(ctx, r.archive, shape.Layout, start, start.AddDate(0, 0, 1), func(h sink.Hole) error {
		names, err := sink.Published(ctx, r.archive, shape.Layout, sink.Name{Window: h.Window, Kind: h.Kind})
		if back := slices.ContainsFunc(names, func(n sink.Name) bool { return n.Part == 0 && !n.Rejects }); back || err != nil || h.Kind.IsRaw() {
			return err
		}
		parts[h.Window]++
		holed[h.Window] = true
		return nil
	})
	d.Holes = len(holed)
	return err
}

func (r *Reporter) readFile(ctx context.Context, path string) (KindDay, error) {
	opened, err := r.archive.Open(ctx, path)
	if err != nil {
		return KindDay{}, fmt.Errorf("read %s: %w", path, err)
	}
	defer opened.Close()
	file, err := part.Open(opened, opened.Size())
	if err != nil {
		return KindDay{}, fmt.Errorf("read %s: %w", path, err)
	}
	n := KindDay{Files: 1, Bytes: opened.Size()}
	if file.IsRejects() {
		n.Rejected = file.NumRows()
	} else {
		n.Rows = file.NumRows()
	}
	return n, nil
}

// coverage compares the windows that are drained with those that have ended.
// begun says that the archive is older than the day; where it begins within the
// day, what stands before its first window is not missing.
func (d *Day) coverage(parts map[window.Window]int, start, end time.Time, length time.Duration, begun bool) {
	for w := (window.Window{Start: start, Length: length}); !w.End().After(end); w = w.Next() {
		whole := parts[w] == len(event.Kinds())
		begun = begun || parts[w] > 0
		d.Expected++
		switch {
		case whole:
			d.Windows++
		case begun:
			if d.Missing++; d.Missing <= maxMissing {
				d.MissingFirst = append(d.MissingFirst, w)
			}
		}
	}
}

func (r *Reporter) readPeak(ctx context.Context, start time.Time, d *Day) error {
	if r.peak == nil {
		return nil
	}
	share, ok, err := r.peak(ctx, start, minTime(start.AddDate(0, 0, 1), r.now()))
	if ok && err == nil {
		d.Peak = &share
	}
	return err
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
