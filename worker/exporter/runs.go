package exporter

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"datawriter/worker/runlog"
	"datawriter/worker/sink"
)

// runs follows the run log, and counts from the files themselves what a crash
// kept out of it. Every published file is counted once, by its path, whoever
// names it first.
type runs struct {
	log        *runlog.Log
	archive    sink.Sink // nil: only the run log is believed
	checkpoint string    // file; empty for none
	warn       *zap.Logger
	now        func() time.Time

	at      runlog.Position
	totals  *totals              // nil until the first look
	rebuilt bool                 // from the run log's beginning, for lack of a checkpoint
	counted map[string]time.Time // paths of counted files, with the start of their window
	walks   walks
	saved   saved
	length  atomic.Int64 // of the archive's windows, a time.Duration; 0 while unknown
}

// look brings the totals up to date.
func (r *runs) look(ctx context.Context) ([]prometheus.Metric, error) {
	if r.totals == nil {
		r.open()
	}
	broken, err := r.log.ReadNew(r.at, func(record runlog.Record) error {
		r.add(ctx, record)
		return ctx.Err()
	})
	r.totals.Broken += int64(broken)
	r.saved.changed = r.saved.changed || broken > 0
	if err != nil {
		return nil, err
	}
	if r.archive != nil {
		r.walk(ctx)
	}
	if r.totals.Last != nil {
		r.length.Store(int64(r.totals.Last.Window.Length))
	}
	r.trySave()
	return append(r.totals.metrics(), r.walks.metrics()...), nil
}

// trySave writes a checkpoint when the last one is old. That it cannot be
// written is said once: without it the next start reads everything again.
func (r *runs) trySave() {
	err := r.save(saveEvery)
	if err != nil && !r.saved.failed {
		r.warn.Warn("no checkpoint", zap.Error(err))
	}
	r.saved.failed = err != nil
}

// add counts one line of the run log.
func (r *runs) add(ctx context.Context, record runlog.Record) {
	r.saved.changed = true
	r.totals.addRecord(record)
	for _, k := range record.Kinds {
		if k.Kind.IsRaw() { // has no series
			continue
		}
		r.totals.addStream(k)
		fresh := r.uncounted(k.Parts)
		if len(fresh) == 0 {
			continue
		}
		if r.archive != nil { // else nobody else names files
			for _, path := range fresh {
				r.counted[path] = record.Window.Start
			}
		}
		// Only files know what a run that died between two of them leaves behind:
		// rejects that stand in no line, because their part never came, or later.
		if isPlain(k) || !r.addFiles(ctx, fresh) && len(fresh) == len(k.Parts) {
			r.totals.addFiles(k)
		}
	}
}

// isPlain reports whether a line names one part without rejects, as most do.
// Its word is taken.
func isPlain(k runlog.Kind) bool {
	if len(k.Parts) != 1 || k.Rejected > 0 {
		return false
	}
	for _, layout := range []sink.Layout{sink.Plain, sink.Hive} {
		if name, err := layout.Parse(k.Parts[0]); err == nil {
			return !name.Rejects
		}
	}
	return false
}

func (r *runs) uncounted(paths []string) (fresh []string) {
	for _, path := range paths {
		if _, ok := r.counted[path]; !ok {
			fresh = append(fresh, path)
		}
	}
	return fresh
}

// addFiles counts files from what they say of themselves; false if one of them
// cannot be read, and then none is counted.
func (r *runs) addFiles(ctx context.Context, paths []string) bool {
	if r.archive == nil {
		return false
	}
	files := make([]file, len(paths))
	for i, path := range paths {
		var err error
		if files[i], err = readFile(ctx, r.archive, path); err != nil {
			if !isNotExist(err) {
				r.warn.Warn("a published file cannot be read", zap.Error(err))
			}
			return false
		}
	}
	for _, f := range files {
		r.totals.addFile(f)
	}
	return true
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// seconds is a time as Prometheus counts it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }
