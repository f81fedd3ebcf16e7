package drain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// RescueReport is what a rescue did, or would do.
type RescueReport struct {
	Kind         event.Kind `json:"kind"`
	Stream       string     `json:"stream"`
	Status       string     `json:"status"`        // nothing, planned or rescued
	AheadSeconds float64    `json:"ahead_seconds"` // of the stream's last ID, before
	LastID       event.ID   `json:"last_id"`       // before
	Entries      int64      `json:"entries"`       // in the stream and beside it, before
	Settled      int64      `json:"settled"`       // were in parts of windows to come, and are deleted
	Kept         int64      `json:"kept"`          // have honest IDs and keep them
	Added        int64      `json:"added_again"`   // had IDs from the future
	OtherGroups  []string   `json:"other_groups"`  // are given again what was added again
}

// String says it for people.
func (r RescueReport) String() string {
	if r.Status == RescueNothing {
		return fmt.Sprintf("Nothing of %s is ahead of the clock: there is nothing to rescue.", r.Stream)
	}
	text := fmt.Sprintf("The last ID of %s is %s, %.0f seconds from now.\n", r.Stream, r.LastID, r.AheadSeconds)
	if r.Status == RescuePlanned {
		text += fmt.Sprintf("%d entries would keep their IDs, %d would be added again under IDs of now.", r.Kept, r.Added)
	} else {
		text += fmt.Sprintf("%d entries keep their IDs, %d were added again under IDs of now.", r.Kept, r.Added)
	}
	if r.Settled > 0 {
		text += fmt.Sprintf("\n%d were in parts of windows to come already, and are deleted.", r.Settled)
	}
	if len(r.OtherGroups) > 0 {
		text += fmt.Sprintf("\nOther groups are given again what is added again: %s.", strings.Join(r.OtherGroups, ", "))
	}
	return text
}

// Statuses of a rescue.
const (
	RescueNothing = "nothing" // nothing is ahead of the clock
	RescuePlanned = "planned" // it would be rescued
	Rescued       = "rescued"
)

// rescue is a rescue at work.
type rescue struct {
	*Drainer
	stream *stream.Stream
	report *RescueReport
}

// Rescue repairs a stream whose last ID lies in the future, or goes on with a rescue
// that was killed: see stream.KeepPage. Every entry comes into the archive once,
// whatever is killed when. With dry it only says what it would do. stream.ErrHeld
// while a run is at work on the stream.
func (d *Drainer) Rescue(ctx context.Context, kind event.Kind, dry bool) (report RescueReport, err error) {
	defer func() { err = orStopped(ctx, err) }()
	r := &rescue{d, d.source.Stream(kind), &report}
	report = RescueReport{Kind: kind, Stream: r.stream.Name(), Status: RescueNothing, OtherGroups: []string{}}
	asides, needed, err := r.look(ctx)
	if err != nil || !needed {
		return report, err
	}
	if dry {
		report.Status = RescuePlanned
		return report, r.count(ctx)
	}
	release, err := d.holdLease(ctx, r.stream)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, release()) }()
	if asides.Future > 0 { // of a rescue that was killed
		if err := r.addAgain(ctx); err != nil {
			return report, err
		}
	}
	if err := r.setAside(ctx, asides.Kept > 0); err != nil {
		return report, err
	}
	report.Status = Rescued
	return report, nil
}

// look finds out whether there is something to rescue.
func (r *rescue) look(ctx context.Context) (asides stream.Asides, needed bool, err error) {
	now, err := r.now(ctx)
	if err != nil {
		return asides, false, err
	}
	state, err := r.stream.State(ctx)
	if err != nil {
		return asides, false, err
	}
	if asides, err = r.stream.Asides(ctx); err != nil {
		return asides, false, err
	}
	r.report.AheadSeconds, _ = state.Ahead(now)
	r.report.LastID, r.report.Entries = state.LastGenerated, state.Length+asides.Future+asides.Kept
	r.report.OtherGroups = append(r.report.OtherGroups, state.Others...)
	return asides, state.IsAhead(now) || asides.Begun, nil
}

// setAside moves what has IDs from the future aside, and adds it again. begun says
// that a rescue which was killed has kept entries, so that it has to come to its
// end whatever the clock says now.
func (r *rescue) setAside(ctx context.Context, begun bool) error {
	now, err := r.now(ctx)
	if err != nil {
		return err
	}
	state, err := r.stream.State(ctx)
	if err != nil || !begun && !state.IsAhead(now) {
		return err
	}
	if err := r.settleAhead(ctx, now); err != nil {
		return err
	}
	for {
		if err := r.keep(ctx); err != nil {
			return err
		}
		swapped, err := r.stream.Swap(ctx)
		if err != nil {
			return err
		}
		if !swapped.Done {
			continue // the clock has reached another entry meanwhile
		}
		r.cfg.Faults.At(fault.Swapped)
		r.log.Info("the stream has honest IDs from here on", zap.String("stream", r.stream.Name()), zap.Stringer("last_id", swapped.Last), zap.Int64("aside", swapped.Aside))
		return r.addAgain(ctx)
	}
}

// keep moves the entries with honest IDs out of the way.
func (r *rescue) keep(ctx context.Context) error {
	for {
		moved, done, err := r.stream.KeepPage(ctx)
		if err != nil {
			return err
		}
		r.report.Kept += moved
		if moved > 0 {
			r.cfg.Faults.At(fault.Kept)
		}
		if done {
			return nil
		}
	}
}

// addAgain adds what stands aside to the stream.
func (r *rescue) addAgain(ctx context.Context) error {
	slow := r.watch("still adding entries again", "entries")
	defer slow.end()
	for {
		moved, left, err := r.stream.ReaddPage(ctx)
		if err != nil {
			return err
		}
		r.report.Added += moved
		slow.count.Store(r.report.Added)
		r.cfg.Faults.At(fault.Readded)
		if left == 0 {
			return nil
		}
		if moved == 0 {
			return fmt.Errorf("%w: %d entries of %s wait beside it and cannot be added again", ErrIntegrity, left, r.stream.Name())
		}
	}
}

// settleAhead settles what stands in parts of windows that are still to come: a
// clock that leapt has closed them, and the run was killed before it settled. Added
// again, under another ID, it would come into the archive twice.
func (r *rescue) settleAhead(ctx context.Context, now time.Time) error {
	if r.sink == nil {
		return nil
	}
	hours, err := sink.Hours(ctx, r.sink, r.cfg.Layout, now, time.Unix(1<<40, 0))
	if err != nil {
		return err
	}
	for _, hour := range hours {
		drained, err := sink.Drained(ctx, r.sink, r.cfg.Layout, sink.Name{Kind: r.report.Kind}, hour, hour.Add(time.Hour))
		if err != nil {
			return err
		}
		for w := range drained {
			if !w.End().After(now) {
				continue
			}
			if err := r.settleWindow(ctx, w); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rescue) settleWindow(ctx context.Context, w window.Window) error {
	var total runlog.Kind
	a := newAttempt(r.Drainer, w, r.report.Kind, &total)
	var err error
	if a.server, err = r.source.Server(ctx); err != nil {
		return err
	}
	if err := a.list(ctx); err != nil {
		return err
	}
	from, to := event.ID{MS: w.StartMS()}, event.ID{MS: w.EndMS()}
	err = a.content.memory.prefetch(ctx, a.content.ranged(from, to), func(p *stream.Page) error {
		for i := range p.Entries {
			known, err := a.known(ctx, &p.Entries[i])
			if err != nil {
				return err
			}
			if known {
				a.settling.Append(p.Entries[i].ID)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if a.settling.Len() == 0 {
		return nil
	}
	if err := a.harden(ctx); err != nil {
		return err
	}
	defer func() { r.report.Settled += total.Settled }()
	return a.deletePages(ctx)
}

// count says how many entries would be kept, and how many added again.
func (r *rescue) count(ctx context.Context) error {
	now, err := r.now(ctx)
	if err != nil {
		return err
	}
	c := &content{stream: r.stream, memory: &r.memory[r.report.Kind]}
	err = c.memory.prefetch(ctx, c.ranged(event.ID{}, event.ID{MS: uint64(now.UnixMilli()) + 1}), func(p *stream.Page) error {
		r.report.Kept += int64(len(p.Entries))
		return nil
	})
	if err != nil {
		return err
	}
	asides, err := r.stream.Asides(ctx)
	if err != nil {
		return err
	}
	r.report.Added = r.report.Entries - r.report.Kept - asides.Kept
	return nil
}
