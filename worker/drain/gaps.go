package drain

import (
	"context"
	"fmt"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

const (
	// gapsARun is how many empty windows one run makes parts for: a day of five
	// minutes. The rest waits for later runs, because thousands of files would keep
	// the next window waiting.
	gapsARun = 288
	// gapsWithin is how far before a window gaps are looked for.
	gapsWithin = 366 * 24 * time.Hour
	// lookBack is how far before a window every name is read. Further back only
	// hours are found missing that lack as a whole, and what stands beside them.
	lookBack = 24 * time.Hour
)

// Gaps are windows that lack a part between others of the archive, and of which no
// stream holds entries: nothing came, or nobody drained. A run publishes empty
// parts for the oldest of them.
type Gaps struct {
	Windows int       `json:"windows"`
	From    time.Time `json:"from"` // start of the first
	To      time.Time `json:"to"`   // end of the last
	ThisRun int       `json:"this_run"`
}

// String says what will become of them: "1,312 empty windows from 2026-11-23T10:10:00Z
// to 2026-11-28T02:10:00Z, 288 a run".
func (g Gaps) String() string {
	text := fmt.Sprintf("%s from %s to %s", thousands(g.Windows, "empty window"), g.From.Format(time.RFC3339), g.To.Format(time.RFC3339))
	if g.ThisRun < g.Windows {
		text += fmt.Sprintf(", %d a run", g.ThisRun)
	}
	return text
}

// thousands writes a count as "1,312 empty windows".
func thousands(n int, noun string) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	if n != 1 {
		noun += "s"
	}
	return text + " " + noun
}

// Gaps returns which windows lacked parts when the last Run or RunClosed began.
func (d *Drainer) Gaps() Gaps { return d.gaps }

// foundGaps are gaps, and those of them that this run fills.
type foundGaps struct {
	Gaps
	fill   []window.Window
	newest window.Window // the last of all of them
}

func (f *foundGaps) add(w window.Window) {
	if f.Windows == 0 {
		f.From = w.Start
	}
	f.Windows++
	f.To, f.newest = w.End(), w
	if len(f.fill) < gapsARun {
		f.fill = append(f.fill, w)
		f.ThisRun++
	}
}

// findGaps looks for windows before end that lack a part 0 of some kind, from the
// first one with a part on, unless entries of a wrong clock made that. waiting are
// planned anyway.
func (d *Drainer) findGaps(ctx context.Context, end window.Window, waiting map[window.Window]bool) (found foundGaps, err error) {
	seen, err := d.survey(ctx, end)
	if err != nil || len(seen.hours) == 0 {
		return found, err // a new archive begins with the window that was asked for
	}
	missing := make(map[event.Kind][]window.Window)
	for hour := seen.hours[0]; hour.Before(end.Start); hour = hour.Add(time.Hour) {
		if seen.isWhole(hour) {
			continue
		}
		next := hour.Add(time.Hour)
		for w := (window.Window{Start: hour, Length: d.cfg.Length}); w.Start.Before(next) && w.Before(end); w = w.Next() {
			if seen.lacks(w, missing) && !waiting[w] {
				found.add(w)
			}
		}
	}
	for kind, windows := range missing {
		if err := d.miss(kind, windows...); err != nil {
			return found, err
		}
	}
	return found, nil
}

// survey is which hours the archive has, and which windows of some of them.
type survey struct {
	hours    []time.Time                 // with a folder, ascending
	exists   map[time.Time]bool          // of those
	read     map[time.Time]bool          // whose names were read
	misdated map[window.Window]bool      // which entries of a wrong clock made
	drained  map[event.Kind]window.Spans // what may have been drained
	groups   []group
}

// group is kinds of which each window has all or lacks some, from the first window
// on that has one: the five, and each raw kind for itself, since an archive may
// have begun without it.
type group struct {
	kinds []event.Kind
	have  map[window.Window]kindSet // with a part 0, or an accepted hole
	begun bool
}

// kindSet is a set of kinds.
type kindSet uint64

func (s kindSet) has(kind event.Kind) bool { return s&(1<<kind) != 0 }

// survey reads the names of the last hours before end, and of the older ones that
// lack a neighbour. It lists one folder a day to find those. What is drained is
// read first: a window that another run drains meanwhile has its part by the time
// that it is marked.
func (d *Drainer) survey(ctx context.Context, end window.Window) (*survey, error) {
	s := d.newSurvey()
	slow := d.watch("still looking for windows without a part", "hours")
	defer slow.end()
	for _, kind := range d.kinds {
		known, err := d.drained(ctx, kind)
		if err != nil {
			return nil, err
		}
		s.drained[kind] = known.maybe
	}
	var err error
	if s.hours, err = sink.Hours(ctx, d.sink, d.cfg.Layout, end.Start.Add(-gapsWithin), end.Start); err != nil {
		return nil, err
	}
	for _, hour := range s.hours {
		s.exists[hour] = true
	}
	for _, hour := range s.hours {
		if hour.Before(end.Start.Add(-lookBack)) && s.exists[hour.Add(-time.Hour)] && s.exists[hour.Add(time.Hour)] {
			continue
		}
		if err := d.readHour(ctx, s, hour); err != nil {
			return nil, err
		}
		slow.count.Add(1)
	}
	return s, nil
}

func (d *Drainer) newSurvey() *survey {
	s := &survey{exists: make(map[time.Time]bool), read: make(map[time.Time]bool), misdated: make(map[window.Window]bool),
		drained: make(map[event.Kind]window.Spans)}
	s.groups = append(s.groups, group{kinds: event.Kinds(), have: make(map[window.Window]kindSet)})
	for _, kind := range d.cfg.Also {
		s.groups = append(s.groups, group{kinds: []event.Kind{kind}, have: make(map[window.Window]kindSet)})
	}
	return s
}

func (d *Drainer) readHour(ctx context.Context, s *survey, hour time.Time) error {
	for _, g := range s.groups {
		for _, kind := range g.kinds {
			accounted, err := d.accounted(ctx, kind, hour, hour.Add(time.Hour))
			if err != nil {
				return err
			}
			for w := range accounted {
				g.have[w] |= 1 << kind
				if _, asked := s.misdated[w]; !asked && w.Start.Before(d.misdatedBefore) {
					s.misdated[w] = d.isMisdated(ctx, sink.Name{Window: w, Kind: kind})
				}
			}
		}
	}
	s.read[hour] = true
	return nil
}

// isMisdated reports whether a part says that entries of a wrong clock made its
// window. One that cannot be read is somebody else's to find.
func (d *Drainer) isMisdated(ctx context.Context, n sink.Name) bool {
	file, err := d.sink.Open(ctx, d.cfg.Layout.Path(n))
	if err != nil {
		return false
	}
	defer file.Close()
	opened, err := part.Open(file, file.Size())
	return err == nil && opened.Meta().Misdated
}

// isWhole reports whether an hour stands between others and was not looked into.
func (s *survey) isWhole(hour time.Time) bool { return s.exists[hour] && !s.read[hour] }

// lacks reports whether a window lacks a part 0 that is to be made. What was
// drained before is added to what is missing instead. It is asked in order of time.
func (s *survey) lacks(w window.Window, missing map[event.Kind][]window.Window) (lacks bool) {
	for i := range s.groups {
		g := &s.groups[i]
		have := g.have[w]
		g.begun = g.begun || have != 0 && !s.misdated[w]
		for _, kind := range g.kinds {
			switch {
			case !g.begun || have.has(kind):
			case s.drained[kind].Overlaps(w.Span()):
				missing[kind] = append(missing[kind], w)
			default:
				lacks = true
			}
		}
	}
	return lacks
}
