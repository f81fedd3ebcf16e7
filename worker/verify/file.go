package verify

import (
	"context"
	"errors"
	"fmt"

	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/sink"
)

// file is one published file while it is verified.
type file struct {
	set  *set
	name sink.Name
	path string
	size int64
	meta part.Meta // valid when opened is
	told bool      // of itself: its footer could be read

	whole     bool  // read to its end
	count     int64 // of rows or rejects, as counted
	first     event.ID
	last      event.ID // the smallest and the largest
	ascending bool     // every ID stands behind the one before

	problems []Violation // by check; a Count of 0 is none

	// Space that the checks of rows use again and again.
	columns []event.Column[event.Row]
	decoder event.Decoder
	again   event.Row
	rebuilt []byte
	scratch [2][]byte // name and value of an entry
}

func newFile(s *set, n sink.Name) *file {
	return &file{set: s, name: n, path: s.v.shape.Layout.Path(n), ascending: true, problems: make([]Violation, len(s.v.checks))}
}

// verify reads the file and shows it to the checks. The error is about looking.
func (f *file) verify(ctx context.Context) error {
	failed := f.read(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(failed, sink.ErrMisplaced) {
		return failed // not allowed to read it: nothing is known of it
	}
	f.whole = failed == nil
	for i, c := range f.set.v.checks {
		if c.file != nil {
			f.note(i, c.file(f, failed))
		}
	}
	f.report()
	return nil
}

// read reads every page of the file. Checks see the rows on the way.
func (f *file) read(ctx context.Context) error {
	opened, err := f.set.v.archive.Open(ctx, f.path)
	if err != nil {
		return err
	}
	defer opened.Close()
	f.size = opened.Size()
	parsed, err := part.Open(opened, f.size)
	if err != nil {
		return err
	}
	f.meta, f.told = parsed.Meta(), true
	if parsed.IsRejects() != f.name.Rejects {
		return errors.New("a part stands where rejects belong, or rejects where a part belongs")
	}
	if f.name.Rejects {
		return f.readRejects(ctx, parsed)
	}
	return f.readRows(ctx, parsed)
}

func (f *file) readRows(ctx context.Context, parsed *part.File) error {
	f.columns = event.RowColumns(f.meta.Kind)
	return part.ReadRows(parsed, f.columns, func(r *event.Row) error {
		f.see(r.ID())
		for i := range f.set.v.checks {
			if c := &f.set.v.checks[i]; c.row != nil {
				f.note(i, c.row(f, r))
			}
		}
		return f.pause(ctx)
	})
}

func (f *file) readRejects(ctx context.Context, parsed *part.File) error {
	return part.ReadRows(parsed, event.RejectColumns(), func(r *event.Reject) error {
		f.see(r.ID())
		for i := range f.set.v.checks {
			if c := &f.set.v.checks[i]; c.reject != nil {
				f.note(i, c.reject(f, r))
			}
		}
		return f.pause(ctx)
	})
}

// see counts an entry.
func (f *file) see(id event.ID) {
	switch {
	case f.count == 0:
		f.first, f.last = id, id
	case id.Compare(f.last) > 0:
		f.last = id
	default:
		f.ascending = false
		if id.Compare(f.first) < 0 {
			f.first = id
		}
	}
	f.count++
}

// pause lets a cancelled context end the reading, without asking it every row.
func (f *file) pause(ctx context.Context) error {
	if f.count%4096 != 0 {
		return nil
	}
	return ctx.Err()
}

// note counts what a check said of the file or of one of its records; the first
// time it is kept.
func (f *file) note(check int, problem string) {
	if problem == "" {
		return
	}
	p := &f.problems[check]
	if p.Count == 0 {
		*p = f.set.violation(problem)
		p.File = f.path
	}
	p.Count++
}

// report adds the file's counts and problems to what was found of its set.
func (f *file) report() {
	o := &f.set.found
	for i, p := range f.problems {
		if p.Count > 0 {
			o.violations = append(o.violations, p.of(f.set.v.checks[i].Name))
		}
	}
	o.files++
	o.bytes += f.size
	if f.name.Rejects {
		o.rejects += f.count
	} else {
		o.rows += f.count
	}
	if f.name.Part > 0 {
		o.late += f.count
	}
}

// about begins what is wrong with one record.
func about(id event.ID, format string, args ...any) string {
	return fmt.Sprintf("entry %s: %s", id, fmt.Sprintf(format, args...))
}
