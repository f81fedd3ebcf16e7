package drain

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// farBack is how far before the window that was due entries wait at most: Redis holds
// hours. An older ID is that of a wrong clock, unless somebody asks for its window.
const farBack = 31 * 24 * time.Hour

// plan returns what a run drains beside the window that it was asked for, and puts
// all of it in order. end is that window, or where asked is false the one that is
// still open: then the newest closed one takes the place of the one asked for, if
// it is not drained yet.
func (d *Drainer) plan(ctx context.Context, end window.Window, asked bool) ([]window.Window, error) {
	d.misdatedBefore = end.Start.Add(-farBack)
	if !d.cfg.CatchUp {
		return arrange(only(end, asked), nil, nil), nil
	}
	found, err := d.waiting(ctx, end)
	if err != nil {
		return nil, err
	}
	gaps, err := d.findGaps(ctx, end, found)
	if err != nil {
		return nil, err
	}
	d.gaps = gaps.Gaps
	d.announce(len(found), gaps.Gaps)
	newest := only(end, asked)
	if last := end.Previous(); !asked && (found[last] || gaps.newest == last) {
		newest = only(last, true)
	}
	return arrange(newest, slices.SortedFunc(maps.Keys(found), compareWindows), gaps.fill), nil
}

// only returns one window, or none.
func only(w window.Window, is bool) []window.Window {
	if !is {
		return nil
	}
	return []window.Window{w}
}

func compareWindows(a, b window.Window) int { return a.Start.Compare(b.Start) }

// arrange orders the windows of a run. Those that hold entries come before those
// that only lack a part, the oldest first; but the newest closed one, which people
// wait for, is the second at the latest, however many wait before it.
func arrange(newest, waiting, gaps []window.Window) []window.Window {
	all := slices.Concat(waiting[:min(1, len(waiting))], newest, waiting[min(1, len(waiting)):], gaps)
	var once []window.Window
	for _, w := range all {
		if len(newest) == 0 || w != newest[0] || !slices.Contains(once, w) {
			once = append(once, w)
		}
	}
	return once
}

// waiting returns the windows before end of which a stream holds entries.
func (d *Drainer) waiting(ctx context.Context, end window.Window) (map[window.Window]bool, error) {
	found := make(map[window.Window]bool)
	slow := d.watch("still looking for entries that wait", "windows")
	defer slow.end()
	for _, kind := range d.kinds {
		if err := d.addWaiting(ctx, kind, end, found, slow); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (d *Drainer) addWaiting(ctx context.Context, kind event.Kind, end window.Window, found map[window.Window]bool, slow *slowStep) error {
	s := d.source.Stream(kind)
	kept, err := d.keptForOthers(ctx, kind)
	if err != nil {
		return err
	}
	for from := uint64(0); from < end.StartMS(); {
		id, ok, err := s.First(ctx, from)
		if err != nil {
			return err
		}
		if !ok || id.MS >= end.StartMS() {
			return nil
		}
		if to, ok := kept.EndOf(id.MS); ok {
			from = to
			continue
		}
		w, err := window.Containing(time.UnixMilli(int64(id.MS)), d.cfg.Length)
		if err != nil {
			return fmt.Errorf("%w: entry %s of %s: %w", stream.ErrMisconfigured, id, s.Name(), err)
		}
		found[w] = true
		slow.count.Store(int64(len(found)))
		from = w.EndMS()
	}
	return nil
}

// announce says what a run has before it, where that is more than usual.
func (d *Drainer) announce(waiting int, gaps Gaps) {
	if waiting > 1 {
		d.log.Info("older windows wait; the newest is drained after the first of them", zap.Int("windows", waiting))
	}
	if gaps.Windows > 0 {
		d.log.Info(gaps.String(), zap.Int("windows", gaps.Windows), zap.Time("from", gaps.From), zap.Time("to", gaps.To), zap.Int("this_run", gaps.ThisRun))
	}
}
