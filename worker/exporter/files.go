package exporter

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/sink"
)

const (
	// walkEvery is how often the newest hours are looked through, and
	// walkAllEvery all of lookBack.
	walkEvery    = time.Minute
	walkAllEvery = time.Hour
	// newest is how far back a file that appears is found within walkEvery.
	newest = 3 * time.Hour
	// lookBack is how far back files are looked for that no line of the run log
	// names. Older windows were looked at when they were young.
	lookBack = 7 * 24 * time.Hour
	// patience is how long after the end of a window its run may need to write
	// its line before its files count as forgotten. Counting a file too early
	// does no harm, because it is counted once all the same.
	patience = 10 * time.Minute
)

// file is what a published file says of itself.
type file struct {
	kind     event.Kind
	part     int
	rows     int64
	rejected map[event.Reason]int64
	size     int64
}

func readFile(ctx context.Context, archive sink.Sink, path string) (f file, err error) {
	opened, err := archive.Open(ctx, path)
	if err != nil {
		return file{}, fmt.Errorf("read %s: %w", path, err)
	}
	defer opened.Close()
	parquet, err := part.Open(opened, opened.Size())
	if err != nil {
		return file{}, fmt.Errorf("read %s: %w", path, err)
	}
	meta := parquet.Meta()
	f = file{kind: meta.Kind, part: meta.Part, size: opened.Size()}
	if !parquet.IsRejects() {
		f.rows = meta.Rows
		return f, nil
	}
	f.rejected = make(map[event.Reason]int64)
	err = part.ReadRows(parquet, event.RejectColumns(), func(reject *event.Reject) error {
		f.rejected[event.Reason(reject.Reason)]++
		return ctx.Err()
	})
	if err != nil {
		return file{}, fmt.Errorf("read %s: %w", path, err)
	}
	return f, nil
}

// walks is when the archive was looked through, and what came of it.
type walks struct {
	last, lastAll time.Time
	missing       map[string]bool // files that the last walk found uncounted
	up            bool
	took          time.Duration
}

// walk looks through the archive, when it is time, for published files that no
// line of the run log names: those of runs that were killed before they wrote
// it, or in the middle of it. A failure changes no counter.
func (r *runs) walk(ctx context.Context) {
	now := r.now()
	all := now.Sub(r.walks.lastAll) >= walkAllEvery
	if !all && now.Sub(r.walks.last) < walkEvery {
		return
	}
	from := now.Add(-newest)
	switch {
	case r.afresh():
		from = time.Time{}
	case all:
		from = now.Add(-lookBack)
	}
	began := time.Now()
	err := r.walkFrom(ctx, from, now)
	if err != nil && ctx.Err() == nil {
		r.warn.Warn("the archive cannot be looked through for files that the run log does not name", zap.Error(err))
	}
	r.walks.up, r.walks.took, r.walks.last = err == nil, time.Since(began), now
	if all && err == nil {
		r.walks.lastAll = now
		r.forget(now.Add(-lookBack - 24*time.Hour))
	}
}

func (r *runs) walkFrom(ctx context.Context, from, now time.Time) error {
	shape, err := sink.ReadArchive(ctx, r.archive)
	if isNotExist(err) {
		return nil // nothing is published yet
	}
	if err != nil {
		return err
	}
	r.length.Store(int64(shape.WindowLength))
	missing, afresh := make(map[string]bool), r.afresh()
	err = sink.Walk(ctx, r.archive, shape.Layout, from, time.Time{}, func(hour sink.Hour) error {
		for _, name := range hour.Names {
			path := shape.Layout.Path(name)
			if _, ok := r.counted[path]; ok || name.Kind.IsRaw() || now.Before(name.Window.End().Add(patience)) {
				continue
			}
			// A run of an old window may be about to write its line: look twice,
			// except when the whole past has just been read.
			if !r.walks.missing[path] && !afresh {
				missing[path] = true
				continue
			}
			if r.addFiles(ctx, []string{path}) {
				r.counted[path] = name.Window.Start
				r.totals.Recovered++
				r.saved.changed = true
			}
		}
		return ctx.Err()
	})
	r.walks.missing = missing
	return err
}

// afresh reports whether the whole past has just been read: what no line names
// now, none ever will.
func (r *runs) afresh() bool { return r.rebuilt && r.walks.lastAll.IsZero() }

// forget drops the paths of windows that no walk will see again.
func (r *runs) forget(before time.Time) {
	for path, start := range r.counted {
		if start.Before(before) {
			delete(r.counted, path)
		}
	}
}

// metrics tells whether the archive answers; none before the first walk.
func (w *walks) metrics() []prometheus.Metric {
	if w.last.IsZero() {
		return nil
	}
	const source = "archive"
	up := 0.0
	all := []prometheus.Metric{sourceDuration.value(w.took.Seconds(), source)}
	if w.up {
		up = 1
		all = append(all, sourceLastSuccess.value(seconds(w.last), source))
	}
	return append(all, sourceUp.value(up, source))
}
