package drain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/part"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// abandonedAge is how long nobody must have written a temporary file before it
// counts as left behind by a killed run.
const abandonedAge = time.Hour

// Config says how windows are drained.
type Config struct {
	Length      time.Duration // of the archive's windows
	Layout      sink.Layout
	Compression part.Compression
	NoAck       bool          // read without a pending list
	CatchUp     bool          // drain older undrained windows too
	Wait        time.Duration // for a window to close
	Lease       time.Duration // lifetime of the advisory lease
	Attempts    int           // of each (window, kind), the first included
	Also        []event.Kind  // raw kinds to drain beside the five
	Version     string        // of this program, for footers
	Faults      *fault.Injector
	Adopt       bool          // take the groups over from another archive
	Book        *account.Book // of the streams' accounts; nil keeps none
	Memory      int64         // bytes to keep to, but for single entries that are larger; 0 means DefaultMemory
}

// Drainer drains windows. Its methods are not meant to be called side by side;
// processes are, and the protocol keeps them apart.
type Drainer struct {
	source *stream.Client
	sink   sink.Sink
	runs   *runlog.Log
	cfg    Config
	log    *zap.Logger
	kinds  []event.Kind // those that are drained, in the order of reports
	memory []memory     // by kind; kinds are drained side by side, windows one after the other
	unsure sync.Once    // that Redis does not say how much memory streams take is logged once

	// What a run finds before its first window.
	streams        []StreamReport
	gaps           Gaps
	misdatedBefore time.Time // a window that starts before it has entries of a wrong clock
	missing        missingParts
	owner          stream.Owner // this archive, as the groups know it
}

// New returns a Drainer. It owns none of its dependencies.
func New(source *stream.Client, to sink.Sink, runs *runlog.Log, cfg Config, log *zap.Logger) *Drainer {
	if cfg.Memory == 0 {
		cfg.Memory = DefaultMemory
	}
	return &Drainer{
		source: source, sink: to, runs: runs, cfg: cfg, log: log,
		kinds: append(event.Kinds(), cfg.Also...), memory: newMemory(source, cfg.Memory),
	}
}

// Run drains a window, and the older ones that are not drained yet: the oldest
// before it, the others behind it (see arrange). It returns a record of each that it
// tried, in that order, also with an error.
func (d *Drainer) Run(ctx context.Context, w window.Window) (records []runlog.Record, err error) {
	defer func() { err = orStopped(ctx, err) }()
	if err := d.prepare(ctx); err != nil {
		return nil, err
	}
	if err := d.awaitClosed(ctx, w); err != nil {
		return nil, err
	}
	if err := d.checkOwner(ctx); err != nil {
		return nil, err
	}
	return d.drainPlan(ctx, w, true)
}

// RunClosed drains every closed window that is not drained yet, in the order of Run.
func (d *Drainer) RunClosed(ctx context.Context) (records []runlog.Record, err error) {
	defer func() { err = orStopped(ctx, err) }()
	if err := d.prepare(ctx); err != nil {
		return nil, err
	}
	if err := d.checkOwner(ctx); err != nil {
		return nil, err
	}
	now, err := d.now(ctx)
	if err != nil {
		return nil, err
	}
	current, err := window.Containing(now, d.cfg.Length)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", stream.ErrMisconfigured, err)
	}
	return d.drainPlan(ctx, current, false)
}

// drainPlan looks at the streams, plans and drains.
func (d *Drainer) drainPlan(ctx context.Context, end window.Window, asked bool) ([]runlog.Record, error) {
	if err := d.lookAtEnds(ctx); err != nil {
		return nil, err
	}
	windows, err := d.plan(ctx, end, asked)
	if err != nil {
		return nil, err
	}
	records, err := d.drainAll(ctx, windows)
	if !halts(err) {
		err = errors.Join(err, d.lookBeside(ctx))
	}
	return records, errors.Join(err, d.streamErrors())
}

// prepare compares the archive's shape before anything touches Redis, sweeps up
// what killed runs left, and refuses a Redis that cannot be drained: one sentence,
// before every kind would say it.
func (d *Drainer) prepare(ctx context.Context) error {
	want := sink.Archive{WindowLength: d.cfg.Length, Layout: d.cfg.Layout, SchemaVersion: part.SchemaVersion}
	if err := sink.Claim(ctx, d.sink, want); err != nil {
		return err
	}
	if folder, ok := d.sink.(sink.Local); ok {
		if n, err := folder.RemoveAbandoned(abandonedAge); err != nil || n > 0 {
			d.log.Info("removed temporary files of killed runs", zap.Int("files", n), zap.Error(err))
		}
	}
	server, err := d.source.Server(ctx)
	if err != nil {
		return err
	}
	return d.writable(server)
}

// writable refuses a replica. One that this archive has drained as a master is
// worth another try: it lost its place in a failover, and the address may lead to
// the new master soon.
func (d *Drainer) writable(server stream.Server) error {
	before := ""
	for _, kind := range d.kinds {
		if d.cfg.Book == nil || server.Master == "" {
			break
		}
		if state, err := d.cfg.Book.Read(kind.String(), d.source.Name(kind)); err == nil && state.RunID == server.RunID {
			before = state.RunID
		}
	}
	return server.Writable(before)
}

// now returns the time that closes windows.
func (d *Drainer) now(ctx context.Context) (time.Time, error) {
	if fault.LocalClock.Is() {
		return time.Now(), nil
	}
	return d.source.Now(ctx)
}

// drainAll drains windows in order, and reports what of older ones is missing,
// unless a retry may first bring more.
func (d *Drainer) drainAll(ctx context.Context, windows []window.Window) ([]runlog.Record, error) {
	records, err := d.drainEach(ctx, windows)
	if class := Classify(err); class == None || class == Integrity {
		err = errors.Join(err, d.reportMissing(ctx))
	}
	return records, err
}

// drainEach drains windows in order. Parts that it finds missing are left to
// reportMissing.
func (d *Drainer) drainEach(ctx context.Context, windows []window.Window) (records []runlog.Record, err error) {
	lanes := d.start(ctx, windows)
	for _, w := range windows {
		outcomes, begun := lanes.next()
		if !begun && ctx.Err() != nil {
			return records, errors.Join(err, ErrStopped)
		}
		if !begun {
			return records, err // which says why
		}
		record, failed, told := d.conclude(ctx, w, outcomes)
		records = append(records, record)
		if err = errors.Join(err, told); !onlyMissing(outcomes) {
			err = errors.Join(err, failed)
		}
		if halts(failed) {
			lanes.stop(failed)
		}
	}
	return records, err
}

// conclude writes what happened to a window into the run log, and tells of
// losses. It returns the error of the drain and that of telling.
func (d *Drainer) conclude(ctx context.Context, w window.Window, outcomes []outcome) (record runlog.Record, failed, told error) {
	record, failed = d.record(ctx, w, outcomes)
	if told = d.append(record); told == nil {
		told = d.reportLosses(record)
	}
	return record, failed, marked(told)
}

// append writes the record to the run log.
func (d *Drainer) append(record runlog.Record) error {
	if err := d.runs.Append(record); err != nil {
		return err
	}
	d.cfg.Faults.At(fault.Logged)
	return nil
}
