package drain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

// record makes one record of how a window's kinds ended, and one error. A kind
// that failed has not stopped the others.
func (d *Drainer) record(ctx context.Context, w window.Window, outcomes []outcome) (runlog.Record, error) {
	var err error
	for i := range outcomes {
		o := &outcomes[i]
		err = errors.Join(err, o.err)
		// Here and not where the kind ended, so that what one record tells the next,
		// which may have begun, does not tell again.
		if Classify(o.err) != HeldByOther {
			o.report.Losses = d.losses(o.report.Kind)
		}
	}
	if err = orStopped(ctx, err); err != nil {
		err = fmt.Errorf("drain window %s: %w", w, err)
	}
	record := newRecord(w, outcomes, err)
	d.logWindow(record, err)
	return record, err
}

// drainKind makes attempts until one succeeds, none is left, or the error is of
// a class that no retry helps. Each attempt starts from the top.
func (d *Drainer) drainKind(ctx context.Context, w window.Window, kind event.Kind) outcome {
	start, attempts := time.Now(), 0
	total := runlog.Kind{Kind: kind, Stream: d.source.Name(kind), Parts: []string{}, Added: -1}
	attempt := func() (struct{}, error) {
		attempts++
		err := marked(newAttempt(d, w, kind, &total).run(ctx))
		if Classify(err) != Unavailable && err != nil {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	_, err := backoff.Retry(ctx, attempt,
		backoff.WithBackOff(backoff.NewExponentialBackOff()),
		backoff.WithMaxTries(uint(max(d.cfg.Attempts, 1))),
		backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			d.log.Warn("attempt failed, trying again", zap.Stringer("window", w), zap.Stringer("kind", kind),
				zap.Int("attempt", attempts), zap.Duration("wait", wait), zap.Error(err))
		}))
	total.Attempts, total.Seconds = attempts, time.Since(start).Seconds()
	if err != nil {
		err = fmt.Errorf("%s: %w", kind, err)
		total.Error = err.Error()
	}
	return outcome{total, start, err}
}

func newRecord(w window.Window, outcomes []outcome, err error) runlog.Record {
	record := runlog.Record{Window: w, Status: runlog.Nothing, Start: outcomes[0].start.UTC(), End: time.Now().UTC()}
	for _, o := range outcomes {
		k := o.report
		record.Kinds = append(record.Kinds, k)
		if o.start.Before(record.Start) {
			record.Start = o.start.UTC()
		}
		record.Seconds = max(record.Seconds, k.Seconds)
		record.Attempts = max(record.Attempts, k.Attempts)
		if len(k.Parts) > 0 || k.Settled > 0 {
			record.Status = runlog.Drained
		}
	}
	if err != nil {
		record.Error, record.Class = err.Error(), string(Classify(err))
		record.Status = Status(Classify(err))
	}
	return record
}

// Status returns the status of a window whose drain ended with an error of that
// class.
func Status(class Class) runlog.Status {
	switch class {
	case Stop:
		return runlog.Stopped
	case HeldByOther:
		return runlog.Held
	}
	return runlog.Failed
}

// logWindow writes the one line that every window gets.
func (d *Drainer) logWindow(r runlog.Record, err error) {
	var sum runlog.Kind
	for _, k := range r.Kinds {
		sum.Entries += k.Entries
		sum.Rows += k.Rows
		sum.Rejected += k.Rejected
		sum.Late += k.Late
		sum.Bytes += k.Bytes
		sum.Vanished += k.Vanished
		sum.Unkept += k.Unkept
		sum.Misdated += k.Misdated
	}
	fields := []zap.Field{zap.Stringer("window", r.Window), zap.String("status", string(r.Status)),
		zap.Int64("entries", sum.Entries), zap.Int64("rows", sum.Rows), zap.Int64("rejected", sum.Rejected),
		zap.Int64("late", sum.Late), zap.Int64("bytes", sum.Bytes), zap.Float64("seconds", r.Seconds), zap.Int("attempts", r.Attempts)}
	if sum.Unkept > 0 {
		d.log.Warn("entries had fields beside event and seq, which have no column and are in no file", zap.Stringer("window", r.Window), zap.Int64("fields", sum.Unkept))
	}
	if sum.Vanished > 0 {
		d.log.Warn("claimed entries vanished from redis before they were settled", zap.Stringer("window", r.Window), zap.Int64("entries", sum.Vanished))
	}
	if sum.Misdated > 0 {
		d.log.Warn("entries have IDs of another time: the clock of their producer, or what it takes for one, is wrong",
			zap.Stringer("window", r.Window), zap.Int64("entries", sum.Misdated))
	}
	if err != nil {
		d.log.Error("window not drained", append(fields, zap.Error(err))...)
		return
	}
	d.log.Info("window drained", fields...)
}
