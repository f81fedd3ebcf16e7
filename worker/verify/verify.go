package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// ErrViolated: the archive, or the streams beside it, break a promise. The
// report says which, and where.
var ErrViolated = errors.New("integrity violation")

// Config says what is verified, against what.
type Config struct {
	Range   window.Range   // the windows to look at; zero means all
	Layout  sink.Layout    // of an archive that has lost the file that says so
	Runs    *runlog.Log    // nil: the run log is not asked
	Book    *account.Book  // nil: losses that no run has told of are not asked for
	Source  *stream.Client // nil: the streams are not asked
	Workers int            // files read side by side; 0 means as many as processors

	// Patience is how long a drain at work may take to finish what was seen
	// unfinished, before that counts as left by a killed one; 0 means a second.
	Patience time.Duration
}

// Verifier verifies one archive, once.
type Verifier struct {
	archive sink.Sink
	cfg     Config
	checks  []check

	shape     sink.Archive // its WindowLength is 0 when shapeless is set
	shapeless error        // why the archive's own record of its shape cannot be read
	first     window.Window
	last      window.Window // the first and the last of the range with a published file
	raw       kinds         // raw ones with a published file in the range

	// What checks remember on their way from the first hour to the end.
	coverage coverage
	holes    holes
	shapes   shapes
	waited   bool

	mu         sync.Mutex  // guards what follows
	unfinished []sink.Name // sets that are looked at again
	footers    footers
	report     Report
}

// New returns a Verifier. It owns none of its dependencies.
func New(archive sink.Sink, cfg Config) *Verifier {
	if cfg.Workers <= 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.Patience <= 0 {
		cfg.Patience = time.Second
	}
	return &Verifier{archive: archive, cfg: cfg, checks: checks(), raw: make(kinds), footers: make(footers)}
}

// Run looks at everything and reports. The error is about looking, not about
// what was seen (see Report.Err); the report is then what was seen so far.
// sink.ErrMisplaced when there is no archive at all.
func (v *Verifier) Run(ctx context.Context) (Report, error) {
	start := time.Now()
	var err error
	for _, step := range []func(context.Context) error{v.readShape, v.readHoles, v.readFiles, v.lookAgain, v.readRunLog, v.conclude, v.reportHoles, v.readStreams} {
		if err = step(ctx); err != nil {
			break
		}
	}
	v.report.finish(v, time.Since(start))
	return v.report, err
}

// readShape reads what is true of the whole archive. Without it the files are
// verified all the same.
func (v *Verifier) readShape(ctx context.Context) error {
	shape, err := sink.ReadArchive(ctx, v.archive)
	if err == nil {
		_, err = sink.ParseLayout(string(shape.Layout))
	}
	if err == nil {
		v.shape = shape
		return nil
	}
	if errors.Is(err, sink.ErrMisplaced) || ctx.Err() != nil {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) && v.isEmpty(ctx) {
		return fmt.Errorf("%w: there is no archive in it: name one with --data, and its --layout if it has lost _archive.json", sink.ErrMisplaced)
	}
	v.shape, v.shapeless = sink.Archive{Layout: v.cfg.Layout}, err
	return nil
}

// isEmpty reports whether nothing was ever published.
func (v *Verifier) isEmpty(ctx context.Context) bool {
	some := errors.New("some")
	err := sink.Walk(ctx, v.archive, v.cfg.Layout, time.Time{}, time.Time{}, func(h sink.Hour) error {
		if len(h.Names) > 0 {
			return some
		}
		return nil
	})
	return err == nil
}

// readFiles walks over the hours and reads the files of several (window, kind)
// side by side. At most one hour of names and one set of entries a worker are held.
func (v *Verifier) readFiles(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(v.cfg.Workers)
	err := sink.Walk(ctx, v.archive, v.shape.Layout, v.cfg.Range.From, v.cfg.Range.To, func(h sink.Hour) error {
		v.seeHour(h)
		for _, s := range v.sets(h.Names) {
			group.Go(func() error { return s.verify(ctx) })
		}
		return ctx.Err()
	})
	return errors.Join(group.Wait(), err)
}

// seeHour shows an hour's names to the checks that follow the hours.
func (v *Verifier) seeHour(h sink.Hour) {
	for _, n := range h.Names {
		if v.first == (window.Window{}) {
			v.first = n.Window
		}
		if n.Window != v.last {
			v.report.Windows++
			v.last = n.Window
		}
		if n.Kind.IsRaw() {
			v.raw[n.Kind] = true
		}
	}
	for _, c := range v.checks {
		if c.hour != nil {
			c.hour(v, h, v.sayer(c.Name))
		}
	}
}

// readRunLog shows the records of the range to the checks. Retention may have
// taken the oldest windows away, so records of those are passed over.
func (v *Verifier) readRunLog(ctx context.Context) error {
	if v.cfg.Runs == nil {
		return nil
	}
	// A window is drained after it ended, so older days hold nothing of it.
	_, err := v.cfg.Runs.Read(v.first.Start, func(r runlog.Record) error {
		if r.Window.Before(v.first) || !v.cfg.Range.Contains(r.Window) {
			return ctx.Err()
		}
		for _, c := range v.checks {
			if c.record == nil {
				continue
			}
			if err := c.record(ctx, v, r, v.sayer(c.Name)); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return err
}

// readStreams compares each kind's stream with the files.
func (v *Verifier) readStreams(ctx context.Context) error {
	if v.cfg.Source == nil {
		return nil
	}
	server, err := v.cfg.Source.Server(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, kind := range v.kinds() {
		group.Go(func() error { return v.readStream(ctx, kind, server) })
	}
	return group.Wait()
}

// kinds lists what the archive holds: the five, and the raw ones that it has files of.
func (v *Verifier) kinds() []event.Kind {
	all := event.Kinds()
	for _, kind := range event.RawKinds() {
		if v.raw[kind] {
			all = append(all, kind)
		}
	}
	return all
}

// conclude asks the checks that can say something only when all files were seen.
func (v *Verifier) conclude(ctx context.Context) error {
	for _, c := range v.checks {
		if c.end == nil {
			continue
		}
		if err := c.end(ctx, v, v.sayer(c.Name)); err != nil {
			return err
		}
	}
	return nil
}

// length returns how long the archive's windows are, as far as can be known.
func (v *Verifier) length() time.Duration {
	if v.shape.WindowLength > 0 {
		return v.shape.WindowLength
	}
	return v.first.Length
}
