package drain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// A window that was drained and has no part is reported by the run that finds
// it, and by every later one, until its part is there again or a person has
// accepted the hole. The account of its kind remembers it, because windows that
// are older than a day are not looked for.

// missingParts collects what the goroutines of one run find missing.
type missingParts struct {
	mu    sync.Mutex
	found map[event.Kind]window.Spans
}

func (m *missingParts) add(kind event.Kind, w window.Window) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.found == nil {
		m.found = make(map[event.Kind]window.Spans)
	}
	m.found[kind] = m.found[kind].Union(w.Span())
}

func (m *missingParts) of(kind event.Kind) window.Spans {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.found[kind])
}

// miss notes that the part of a window is missing, in the account at once: its
// next balance must not take for lost what went with the part.
func (d *Drainer) miss(kind event.Kind, windows ...window.Window) error {
	if len(windows) == 0 {
		return nil
	}
	for _, w := range windows {
		d.missing.add(kind, w)
	}
	if d.cfg.Book == nil {
		return nil
	}
	return d.cfg.Book.Update(kind.String(), d.source.Name(kind), func(s *account.State) error {
		s.Miss(s.MissingParts().Union(d.missing.of(kind)...))
		return nil
	})
}

// isAccepted reports whether a window is an accepted hole.
func (d *Drainer) isAccepted(ctx context.Context, kind event.Kind, w window.Window) (bool, error) {
	holes, err := sink.Holes(ctx, d.sink, d.cfg.Layout, kind, w.Start, w.End())
	return holes[w], err
}

// reportMissing names every part that is missing, whichever run found that, and
// forgets those that are there again or whose hole was accepted.
func (d *Drainer) reportMissing(ctx context.Context) error {
	missing := make(map[event.Kind]window.Spans)
	for _, kind := range event.AllKinds() {
		spans, err := d.stillMissing(ctx, kind)
		if err != nil {
			return err
		}
		if len(spans) > 0 {
			missing[kind] = spans
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err := missingError{folder: d.folder(), missing: missing, length: d.cfg.Length}
	for _, kind := range slices.Sorted(maps.Keys(missing)) {
		d.log.Error("parts of drained windows are missing", zap.Stringer("kind", kind), zap.Strings("windows", err.windows(missing[kind])))
	}
	return err
}

// stillMissing looks at what was found missing of a kind.
func (d *Drainer) stillMissing(ctx context.Context, kind event.Kind) (still window.Spans, err error) {
	known := d.missing.of(kind)
	var before window.Spans
	if d.cfg.Book != nil {
		state, err := d.cfg.Book.Read(kind.String(), "")
		if err != nil {
			return nil, fmt.Errorf("read what is missing of %s: %w", kind, err)
		}
		before = state.MissingParts()
		known = known.Union(before...)
	}
	for _, x := range known {
		windows, err := d.without(ctx, kind, x)
		if err != nil {
			return nil, err
		}
		for _, w := range windows {
			still = still.Union(w.Span())
		}
	}
	if d.cfg.Book == nil || slices.Equal(still, before) {
		return still, nil
	}
	return still, d.cfg.Book.Update(kind.String(), d.source.Name(kind), func(s *account.State) error {
		s.Miss(still)
		return nil
	})
}

// without lists the windows of a span that have neither a part 0 of the kind nor
// an accepted hole.
func (d *Drainer) without(ctx context.Context, kind event.Kind, x window.Span) (lacking []window.Window, err error) {
	from, to := time.UnixMilli(int64(x.From)).UTC(), time.UnixMilli(int64(x.To)).UTC()
	have, err := d.accounted(ctx, kind, from, to)
	if err != nil {
		return nil, err
	}
	w, err := window.Containing(from, d.cfg.Length)
	for ; err == nil && w.Start.Before(to); w = w.Next() {
		if !have[w] {
			lacking = append(lacking, w)
		}
	}
	return lacking, err
}

// accounted returns the windows beginning in [from, to) that have a part 0 of the
// kind, or an accepted hole in its place.
func (d *Drainer) accounted(ctx context.Context, kind event.Kind, from, to time.Time) (map[window.Window]bool, error) {
	have, err := sink.Drained(ctx, d.sink, d.cfg.Layout, sink.Name{Kind: kind}, from, to)
	if err != nil {
		return nil, err
	}
	holes, err := sink.Holes(ctx, d.sink, d.cfg.Layout, kind, from, to)
	maps.Copy(have, holes)
	return have, err
}

// folder names the archive for people.
func (d *Drainer) folder() string {
	if local, ok := d.sink.(sink.Local); ok {
		return local.Root()
	}
	return "the archive"
}

// missingError names missing parts, and the ways out.
type missingError struct {
	folder  string
	missing map[event.Kind]window.Spans
	length  time.Duration
}

// maxNamed bounds how many stretches of windows an error names of one kind.
const maxNamed = 5

// Error is one sentence for each stretch of windows, whatever kinds lack it.
func (e missingError) Error() string {
	kinds := make(map[string][]string) // by their windows
	var order []string
	for _, kind := range slices.Sorted(maps.Keys(e.missing)) {
		of := strings.Join(e.windows(e.missing[kind]), ", ")
		if kinds[of] == nil {
			order = append(order, of)
		}
		kinds[of] = append(kinds[of], kind.String())
	}
	var lines []string
	for _, of := range order {
		lines = append(lines, strings.Join(kinds[of], ", ")+": "+of)
	}
	return fmt.Sprintf("%s in %s: %s. Put the files back from a copy or a backup; or, if they were written to another folder, run with that --data; "+
		"or accept that they are gone: datawriter accept-hole --window %s --reason …", ErrPartMissing, e.folder, strings.Join(lines, "; "), e.example())
}

// Is makes every missingError an ErrPartMissing.
func (e missingError) Is(target error) bool { return target == ErrPartMissing }

// onlyMissing reports whether missing parts are all that went wrong.
func onlyMissing(outcomes []outcome) bool {
	for _, o := range outcomes {
		if o.err != nil && (!errors.As(o.err, &missingError{}) || errors.Is(o.err, ErrStray)) {
			return false
		}
	}
	return true
}

// windows writes the stretches of windows that spans are.
func (e missingError) windows(spans window.Spans) (texts []string) {
	for i, x := range spans {
		if i == maxNamed {
			return append(texts, fmt.Sprintf("and %d more stretches", len(spans)-i))
		}
		n := time.Duration(x.To-x.From) * time.Millisecond / e.length
		text := fmt.Sprintf("%s (%d windows)", e.span(x), n)
		if n == 1 {
			text = strings.TrimSuffix(text, " (1 windows)")
		}
		texts = append(texts, text)
	}
	return texts
}

// span writes a stretch as --window takes it.
func (e missingError) span(x window.Span) string {
	start := time.UnixMilli(int64(x.From)).UTC()
	if length := time.Duration(x.To-x.From) * time.Millisecond; length == e.length {
		return window.Window{Start: start, Length: length}.String()
	}
	return window.Range{From: start, To: time.UnixMilli(int64(x.To)).UTC()}.String()
}

// example is what to give accept-hole for the first stretch.
func (e missingError) example() string {
	kind := slices.Min(slices.Collect(maps.Keys(e.missing)))
	text := e.span(e.missing[kind][0])
	if kind.IsRaw() { // which accept-hole does not look for by itself
		text += " --kind " + kind.String()
	}
	return text
}
