package verify

import (
	"context"
	"errors"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/ledger"
	"datawriter/worker/part"
	"datawriter/worker/sink"
)

// set is the files of one (window, kind, shard): the parts, then the files of
// rejects, each by number.
type set struct {
	v     *Verifier
	name  sink.Name // of its part 0
	files []*file
	again bool // this is the second look
	found outcome
}

// sets groups an hour's names, which are ordered.
func (v *Verifier) sets(names []sink.Name) (sets []*set) {
	for _, n := range names {
		whole := n
		whole.Part, whole.Rejects = 0, false
		if len(sets) == 0 || sets[len(sets)-1].name != whole {
			sets = append(sets, &set{v: v, name: whole})
		}
		s := sets[len(sets)-1]
		s.files = append(s.files, newFile(s, n))
	}
	return sets
}

// outcome is what was found of a set. It enters the report when it is final.
type outcome struct {
	files, rows, rejects, late, bytes int64
	violations                        []Violation
}

// verify reads every file of the set, then shows the set to the checks.
func (s *set) verify(ctx context.Context) error {
	for _, f := range s.files {
		if err := f.verify(ctx); err != nil {
			return err
		}
	}
	for _, c := range s.v.checks {
		if c.set == nil {
			continue
		}
		if err := c.set(ctx, s, s.sayer(c.Name)); err != nil {
			return err
		}
	}
	s.v.accept(s)
	return nil
}

// accept adds what was found of a set to the report, or puts it aside if a drain
// may be about to change it.
func (v *Verifier) accept(s *set) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s.isUnfinished() && !s.again {
		v.unfinished = append(v.unfinished, s.name)
		return
	}
	r, o := &v.report, &s.found
	r.Files += o.files
	r.Rows += o.rows
	r.Rejects += o.rejects
	r.Late += o.late
	r.Bytes += o.bytes
	r.Violations = append(r.Violations, o.violations...)
	for _, c := range v.checks {
		if c.final != nil {
			c.final(v, s)
		}
	}
}

// isUnfinished reports whether rejects stand without their part. A drain at work
// is so for a moment, and a killed one until the next run.
func (s *set) isUnfinished() bool {
	parts := make(map[int]bool)
	for _, f := range s.files { // parts come first
		if !f.name.Rejects {
			parts[f.name.Part] = true
		} else if !parts[f.name.Part] {
			return true
		}
	}
	return false
}

// lookAgain verifies the sets that were put aside as they stand now.
func (v *Verifier) lookAgain(ctx context.Context) error {
	for _, n := range v.unfinished {
		if err := v.wait(ctx); err != nil {
			return err
		}
		names, err := sink.Published(ctx, v.archive, v.shape.Layout, n)
		if err != nil {
			return err
		}
		for _, s := range v.sets(names) {
			s.again = true
			if err := s.verify(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// mostPatience is how many times Config.Patience a run that holds a stream is
// waited for.
const mostPatience = 30

// wait gives a drain at work the time to finish what was seen unfinished, once
// in a verification.
func (v *Verifier) wait(ctx context.Context) error {
	if v.waited {
		return ctx.Err()
	}
	v.waited = true
	for range mostPatience {
		select {
		case <-time.After(v.cfg.Patience):
		case <-ctx.Done():
			return ctx.Err()
		}
		if held, err := v.held(ctx); err != nil || len(held) == 0 {
			return err
		}
	}
	return nil
}

// sayer returns what adds violations of one check to what was found of the set.
func (s *set) sayer(check string) sayer {
	return func(v Violation) { s.found.violations = append(s.found.violations, v.of(check)) }
}

// violation returns one of this set.
func (s *set) violation(detail string) Violation {
	return Violation{Window: &s.name.Window, Kind: &s.name.Kind, Detail: detail}
}

// errDamaged: a file cannot be read to its end, which is the business of one check only.
var errDamaged = errors.New("damaged")

// load returns every entry of some files. errDamaged if one cannot be read.
func (v *Verifier) load(ctx context.Context, names []sink.Name) (*ledger.Set, error) {
	entries := &ledger.Set{}
	for _, n := range names {
		if err := v.loadFile(ctx, n, entries); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

func (v *Verifier) loadFile(ctx context.Context, n sink.Name, entries *ledger.Set) error {
	opened, err := v.archive.Open(ctx, v.shape.Layout.Path(n))
	if err != nil {
		return err
	}
	defer opened.Close()
	parsed, err := part.Open(opened, opened.Size())
	if err != nil {
		return errDamaged
	}
	err = parsed.Identities(func(id event.ID, hash uint64) error {
		entries.Add(id, hash)
		return nil
	})
	if err != nil {
		return errDamaged
	}
	return ctx.Err()
}
