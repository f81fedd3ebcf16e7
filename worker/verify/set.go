package verify

import (
	"context"
	"errors"

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
		if err := c.set(ctx, s, s.v.sayer(c.Name)); err != nil {
			return err
		}
	}
	return nil
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
