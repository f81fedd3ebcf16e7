package sink

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"datawriter/worker/event"
)

// Newest returns the end of the youngest window of which a kind has a published
// part; ok is false when it has none. It walks down the newest folders that
// hold one, so an archive that never kept the kind is looked through once.
func Newest(ctx context.Context, s Sink, layout Layout, kind event.Kind) (end time.Time, ok bool, err error) {
	name, ok, err := newestBelow(ctx, s, layout, kind, "")
	if !ok || err != nil {
		return time.Time{}, false, err
	}
	return name.Window.End(), true, nil
}

func newestBelow(ctx context.Context, s Sink, layout Layout, kind event.Kind, folder string) (newest Name, ok bool, err error) {
	if folder != "" && strings.Count(folder, "/") == hourDepth-1 {
		return newestIn(ctx, s, layout, kind, folder)
	}
	names, err := s.List(ctx, folder)
	if err != nil {
		return Name{}, false, err
	}
	for _, name := range slices.Backward(names) {
		child := path.Join(folder, name)
		if _, _, known := layout.span(child); !known {
			continue
		}
		if newest, ok, err := newestBelow(ctx, s, layout, kind, child); ok || err != nil {
			return newest, ok, err
		}
	}
	return Name{}, false, nil
}

// newestIn looks at the parts of a kind in the folder of one hour.
func newestIn(ctx context.Context, s Sink, layout Layout, kind event.Kind, hour string) (newest Name, ok bool, err error) {
	start, _, _ := layout.span(hour)
	at := Name{Kind: kind}
	at.Window.Start = start
	files, err := s.List(ctx, layout.Folder(at))
	if err != nil {
		return Name{}, false, err
	}
	for _, file := range files {
		name, err := layout.Parse(path.Join(layout.Folder(at), file))
		if err == nil && (!ok || name.Window.End().After(newest.Window.End())) {
			newest, ok = name, true
		}
	}
	return newest, ok, nil
}
