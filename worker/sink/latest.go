package sink

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"
)

// Latest returns the start of the hour, before an instant, that holds the
// youngest published part of any kind; ok is false when there is none. It walks
// down the newest folders, one listing a level.
func Latest(ctx context.Context, s Sink, layout Layout, before time.Time) (hour time.Time, ok bool, err error) {
	return latestBelow(ctx, s, layout, "", before)
}

// hourDepth is how many folders stand above the kinds: year, month, day, hour.
const hourDepth = 4

func latestBelow(ctx context.Context, s Sink, layout Layout, folder string, before time.Time) (time.Time, bool, error) {
	names, err := s.List(ctx, folder)
	if err != nil {
		return time.Time{}, false, err
	}
	if folder != "" && strings.Count(folder, "/") == hourDepth-1 {
		hour, _, _ := layout.span(folder)
		found, err := hasPart(ctx, s, layout, folder, names)
		return hour, found, err
	}
	for _, name := range slices.Backward(names) {
		if start, _, known := layout.span(path.Join(folder, name)); !known || !start.Before(before) {
			continue // neither a stray file nor the future can hold it
		}
		hour, ok, err := latestBelow(ctx, s, layout, path.Join(folder, name), before)
		if ok || err != nil {
			return hour, ok, err
		}
	}
	return time.Time{}, false, nil
}

func hasPart(ctx context.Context, s Sink, layout Layout, folder string, kinds []string) (bool, error) {
	for _, kind := range kinds {
		if !layout.isKind(kind) {
			continue
		}
		files, err := s.List(ctx, path.Join(folder, kind))
		if err != nil {
			return false, err
		}
		for _, file := range files {
			if _, err := layout.Parse(path.Join(folder, kind, file)); err == nil {
				return true, nil
			}
		}
	}
	return false, nil
}

// Hours returns the hours that overlap [from, to) and have a folder, ascending. It
// lists one folder a day and none of the hours themselves, so an hour may turn out
// to hold no part.
func Hours(ctx context.Context, s Sink, layout Layout, from, to time.Time) (hours []time.Time, err error) {
	err = hoursBelow(ctx, s, layout, "", from, to, &hours)
	return hours, err
}

func hoursBelow(ctx context.Context, s Sink, layout Layout, folder string, from, to time.Time, hours *[]time.Time) error {
	names, err := s.List(ctx, folder)
	if err != nil {
		return err
	}
	for _, name := range names {
		child := path.Join(folder, name)
		start, end, known := layout.span(child)
		if !known || !end.After(from) || !start.Before(to) {
			continue
		}
		if strings.Count(child, "/") == hourDepth-1 {
			*hours = append(*hours, start)
			continue
		}
		if err := hoursBelow(ctx, s, layout, child, from, to, hours); err != nil {
			return err
		}
	}
	return nil
}
