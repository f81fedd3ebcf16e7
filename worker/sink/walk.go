package sink

import (
	"cmp"
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"datawriter/worker/event"
)

// Hour is what an archive holds in the folders of one hour.
type Hour struct {
	Start   time.Time // zero when only Unknown is set, for what stands above the hours
	Names   []Name    // ordered by window, kind, shard, then parts before rejects, then number
	Unknown []string  // paths that are the name of no published file
}

// Walk looks through an archive, the oldest hour first, and calls yield for
// every hour with files of windows that begin in [from, to). A zero to is no
// end. What stands where it does not belong is yielded on the way, above the
// hours too; only folders of the archive's own that begin with "_" are passed
// over. It holds the names of one hour at a time. An error of yield ends it and
// is returned as it is.
func Walk(ctx context.Context, s Sink, layout Layout, from, to time.Time, yield func(Hour) error) error {
	w := walk{sink: s, layout: layout, from: from, to: to, yield: yield}
	return w.descend(ctx, "", 0)
}

type walk struct {
	sink     Sink
	layout   Layout
	from, to time.Time
	yield    func(Hour) error
}

// trees are where files are published: the parts, and their rejects below a
// folder of their own. Rejects are published before their part, so listing the
// parts first never shows a part without its rejects.
var trees = []string{"", rejectsFolder}

// descend walks over the folders of years, months, days and hours.
func (w *walk) descend(ctx context.Context, folder string, depth int) error {
	if depth == hourDepth {
		return w.hour(ctx, folder)
	}
	children := make(map[string]bool)
	var unknown []string
	for _, tree := range trees {
		names, err := w.sink.List(ctx, path.Join(tree, folder))
		if err != nil {
			return err
		}
		for _, name := range names {
			switch _, _, ok := w.layout.span(path.Join(folder, name)); {
			case ok:
				children[path.Join(folder, name)] = true
			case tree == "" && folder == "" && isOwn(name):
			default:
				unknown = append(unknown, path.Join(tree, folder, name))
			}
		}
	}
	if len(unknown) > 0 {
		if err := w.yield(Hour{Unknown: unknown}); err != nil {
			return err
		}
	}
	for _, child := range slices.Sorted(maps.Keys(children)) {
		if !w.overlaps(child) {
			continue
		}
		if err := w.descend(ctx, child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// isOwn reports whether a name in the archive's top folder is there by right.
// A disk of its own brings lost+found.
func isOwn(name string) bool { return strings.HasPrefix(name, "_") || name == "lost+found" }

// overlaps reports whether windows of [from, to) can stand in a folder.
func (w *walk) overlaps(folder string) bool {
	start, end, _ := w.layout.span(folder)
	return end.After(w.from) && (w.to.IsZero() || start.Before(w.to))
}

// hour yields the files of one hour.
func (w *walk) hour(ctx context.Context, folder string) error {
	start, _, _ := w.layout.span(folder)
	found := Hour{Start: start}
	for _, tree := range trees {
		kinds, err := w.sink.List(ctx, path.Join(tree, folder))
		if err != nil {
			return err
		}
		for _, kind := range kinds {
			if err := w.kind(ctx, path.Join(tree, folder, kind), &found); err != nil {
				return err
			}
		}
	}
	if len(found.Names) == 0 && len(found.Unknown) == 0 {
		return ctx.Err()
	}
	slices.SortFunc(found.Names, compareNames)
	return w.yield(found)
}

// kind adds what one kind's folder holds.
func (w *walk) kind(ctx context.Context, folder string, found *Hour) error {
	if !w.layout.isKind(path.Base(folder)) {
		found.Unknown = append(found.Unknown, folder)
		return nil
	}
	files, err := w.sink.List(ctx, folder)
	if err != nil {
		return err
	}
	for _, file := range files {
		name, err := w.layout.Parse(path.Join(folder, file))
		switch {
		case err != nil:
			found.Unknown = append(found.Unknown, path.Join(folder, file))
		case !name.Window.Start.Before(w.from) && (w.to.IsZero() || name.Window.Start.Before(w.to)):
			found.Names = append(found.Names, name)
		}
	}
	return nil
}

func compareNames(a, b Name) int {
	return cmp.Or(a.Window.Start.Compare(b.Window.Start), cmp.Compare(a.Window.Length, b.Window.Length),
		cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Shard, b.Shard), compareBool(a.Rejects, b.Rejects), cmp.Compare(a.Part, b.Part))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// isKind reports whether a folder's name is that of a kind.
func (l Layout) isKind(name string) bool {
	if l == Hive {
		after, ok := strings.CutPrefix(name, "kind=")
		if !ok {
			return false
		}
		name = after
	}
	_, err := event.ParseKind(name)
	return err == nil
}

// span returns the time [start, end) that a folder above the kinds stands for:
// a year, a month, a day or an hour. ok is false for any other folder.
func (l Layout) span(folder string) (start, end time.Time, ok bool) {
	levels := strings.Split(l.hourFormat(), "/")
	depth := strings.Count(folder, "/") + 1
	if depth > len(levels) {
		return time.Time{}, time.Time{}, false
	}
	format := strings.Join(levels[:depth], "/")
	start, err := time.Parse(format, folder)
	if err != nil || start.Format(format) != folder {
		return time.Time{}, time.Time{}, false
	}
	switch depth {
	case 1:
		end = start.AddDate(1, 0, 0)
	case 2:
		end = start.AddDate(0, 1, 0)
	case 3:
		end = start.AddDate(0, 0, 1)
	default:
		end = start.Add(time.Hour)
	}
	return start, end, true
}
