package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/failure"
	"datawriter/worker/window"
)

// holesFolder holds the accepted holes, in the same folders as the parts.
const holesFolder = "_holes"

// holeExtension ends the name of an accepted hole.
const holeExtension = ".json"

// Hole says that the part of a window is gone for good, and that a person has
// accepted that. A part that comes back counts for more than its hole.
type Hole struct {
	Window window.Window `json:"window"`
	Kind   event.Kind    `json:"kind"`
	By     string        `json:"accepted_by"`
	At     time.Time     `json:"accepted_at"`
	Reason string        `json:"reason"`
}

// holePath returns where a hole is written down.
func (l Layout) holePath(w window.Window, kind event.Kind) string {
	return path.Join(holesFolder, l.Folder(Name{Window: w, Kind: kind}), w.Stem()+holeExtension)
}

// AcceptHole writes a hole down, for ever. It can be repeated: accepted is false
// when the hole was written down before, and stays as it was.
func AcceptHole(ctx context.Context, s Sink, layout Layout, h Hole) (accepted bool, err error) {
	text, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return false, fmt.Errorf("accept a hole: %w", err)
	}
	err = publishText(ctx, s, "hole", layout.holePath(h.Window, h.Kind), text)
	if errors.Is(err, ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// Holes reports which windows beginning in [from, to) are accepted holes of a
// kind, whether or not their part has come back. An archive without holes costs
// one listing.
func Holes(ctx context.Context, s Sink, layout Layout, kind event.Kind, from, to time.Time) (map[window.Window]bool, error) {
	holes := make(map[window.Window]bool)
	if any, err := s.List(ctx, holesFolder); err != nil || len(any) == 0 {
		return holes, err
	}
	for hour := from.UTC().Truncate(time.Hour); hour.Before(to); hour = hour.Add(time.Hour) {
		at := Name{Kind: kind}
		at.Window.Start = hour
		files, err := s.List(ctx, path.Join(holesFolder, layout.Folder(at)))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			stem, ok := strings.CutSuffix(file, holeExtension)
			w, err := window.ParseStem(stem)
			if ok && err == nil && !w.Start.Before(from) && w.Start.Before(to) {
				holes[w] = true
			}
		}
	}
	return holes, nil
}

// WalkHoles calls yield for every accepted hole of windows that begin in [from,
// to), whether or not their part has come back, the oldest hour first. A zero to
// is no end. An error of yield ends it and is returned as it is.
func WalkHoles(ctx context.Context, s Sink, layout Layout, from, to time.Time, yield func(Hole) error) error {
	w := walk{sink: s, layout: layout, from: from, to: to}
	return w.holes(ctx, "", 0, yield)
}

func (w *walk) holes(ctx context.Context, folder string, depth int, yield func(Hole) error) error {
	names, err := w.sink.List(ctx, path.Join(holesFolder, folder))
	if err != nil {
		return err
	}
	for _, name := range names {
		child := path.Join(folder, name)
		switch _, _, known := w.layout.span(child); {
		case depth == hourDepth:
			err = w.holesOfKind(ctx, child, yield)
		case known && w.overlaps(child):
			err = w.holes(ctx, child, depth+1, yield)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// holesOfKind yields what stands in the folder of one kind of one hour. A file
// that is no hole is passed over.
func (w *walk) holesOfKind(ctx context.Context, folder string, yield func(Hole) error) error {
	files, err := w.sink.List(ctx, path.Join(holesFolder, folder))
	if err != nil {
		return err
	}
	for _, file := range files {
		name := path.Join(holesFolder, folder, file)
		h, err := readHole(ctx, w.sink, name)
		if err != nil {
			return err
		}
		in := !h.Window.Start.Before(w.from) && (w.to.IsZero() || h.Window.Start.Before(w.to))
		if !in || w.layout.holePath(h.Window, h.Kind) != name {
			continue
		}
		if err := yield(h); err != nil {
			return err
		}
	}
	return nil
}

// ReadHole returns what was written down of a hole; fs.ErrNotExist when it is none.
func ReadHole(ctx context.Context, s Sink, layout Layout, w window.Window, kind event.Kind) (Hole, error) {
	return readHole(ctx, s, layout.holePath(w, kind))
}

func readHole(ctx context.Context, s Sink, name string) (h Hole, err error) {
	text, err := readText(ctx, s, name)
	if err != nil {
		return Hole{}, err
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return Hole{}, fmt.Errorf("read %s: %w", name, err)
	}
	return h, nil
}

// readText reads a small published file whole.
func readText(ctx context.Context, s Sink, name string) ([]byte, error) {
	file, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, 0, file.Size()))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, failure.Explained(err))
	}
	return text, nil
}

// publishText publishes a small file, durably and without replacing one. role
// names it in faults.
func publishText(ctx context.Context, s Sink, role, name string, text []byte) (err error) {
	staged, err := s.Stage(ctx, role)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, staged.Discard()) }()
	if _, err := staged.Write(append(text, '\n')); err != nil {
		return err
	}
	if err := staged.Sync(); err != nil {
		return err
	}
	return staged.Publish(name)
}
