package drain

import (
	"context"
	"fmt"
	"time"

	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// beginning is when Bluesky's network began, to the month. Entries may bear older
// IDs by a mistake of their producer; a window without any is a mistake of who
// wrote it.
var beginning = time.Date(2022, 11, 1, 0, 0, 0, 0, time.UTC)

// awaitClosed waits until Redis's clock has passed the window's end, at most the
// configured time. One that has not even begun is refused at once: it is no window
// that a person or a schedule means. The local clock decides nothing.
func (d *Drainer) awaitClosed(ctx context.Context, w window.Window) error {
	deadline := time.Now().Add(d.cfg.Wait)
	for {
		now, err := d.now(ctx)
		if err != nil {
			return err
		}
		left := w.End().Sub(now)
		switch {
		case left <= 0:
			return d.checkOld(ctx, w, now)
		case left > max(d.cfg.Wait, w.Length):
			return fmt.Errorf("%w: window %s ends in %s by the clock of redis, which says %s%s",
				ErrMistaken, w, spoken(left), now.Format(time.RFC3339), d.advice(w, now))
		case time.Now().Add(left).After(deadline):
			return fmt.Errorf("%w: window %s ends in %s by the clock of redis: run it then, or wait longer with --wait",
				ErrNotClosed, w, left.Round(time.Millisecond))
		}
		select {
		case <-time.After(min(left, time.Second)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// checkOld refuses a window from before the network began, unless there is
// something of it: in a stream, by a producer's mistake, or published.
func (d *Drainer) checkOld(ctx context.Context, w window.Window, now time.Time) error {
	if !w.End().Before(beginning) {
		return nil
	}
	for _, kind := range d.kinds {
		id, found, err := d.source.Stream(kind).First(ctx, w.StartMS())
		if err != nil || found && id.MS < w.EndMS() {
			return err
		}
		names, err := sink.Published(ctx, d.sink, d.cfg.Layout, sink.Name{Window: w, Kind: kind})
		if err != nil || len(names) > 0 {
			return err
		}
	}
	return fmt.Errorf("%w: window %s lies before Bluesky began (%s), no stream holds an entry of it, and nothing of it is published%s",
		ErrMistaken, w, beginning.Format("January 2006"), d.advice(w, now))
}

// advice names the window that was probably meant.
func (d *Drainer) advice(w window.Window, now time.Time) string {
	here := time.Now()
	if meant, ok := meant(w, now, here.Location()); ok {
		return fmt.Sprintf(": did you mean %s?", meant)
	}
	if !here.Before(w.End()) && w.End().After(now) {
		return fmt.Sprintf(": this machine's clock says %s; if it is right, let the machine of redis follow NTP", here.UTC().Format(time.RFC3339))
	}
	if current, err := window.Containing(now, w.Length); err == nil {
		return fmt.Sprintf(": the newest window that has closed is %s", current.Previous())
	}
	return ""
}

// plausible is how far back a window may lie that somebody writes by hand.
const plausible = 31 * 24 * time.Hour

// meant looks for the window that differs from w by one slip of the pen and has
// closed lately: another year, day and month the other way round, or a time of
// this machine's zone that was written as UTC.
func meant(w window.Window, now time.Time, zone *time.Location) (window.Window, bool) {
	s := w.Start
	year := func(y int) time.Time {
		return time.Date(y, s.Month(), s.Day(), s.Hour(), s.Minute(), s.Second(), 0, time.UTC)
	}
	swapped := time.Date(s.Year(), time.Month(s.Day()), int(s.Month()), s.Hour(), s.Minute(), s.Second(), 0, time.UTC)
	local := time.Date(s.Year(), s.Month(), s.Day(), s.Hour(), s.Minute(), s.Second(), 0, zone)
	for _, start := range []time.Time{local, swapped, year(now.Year()), year(now.Year() - 1)} {
		found, err := window.New(start, w.Length)
		age := now.Sub(found.End())
		if err == nil && found.Start != s && age >= 0 && age <= plausible {
			return found, true
		}
	}
	return window.Window{}, false
}

// spoken is a span of time as people say it.
func spoken(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 1 {
		return fmt.Sprintf("%d days", days)
	}
	return d.Round(time.Second).String()
}
