package verify

import (
	"context"
	"errors"

	"datawriter/worker/event"
	"datawriter/worker/sink"
)

// checkUnique: an entry outside its window is reported by another check, so
// entries that are unique within each window are unique in the archive.
var checkUnique = check{
	Name:    "unique",
	Promise: "no entry, by ID and hash, stands in the parts and rejects of a window twice",
	set:     uniqueInSet,
}

func uniqueInSet(ctx context.Context, s *set, say sayer) error {
	// IDs that only ascend do not repeat, and a drain writes them so: nearly
	// every window is done without remembering an entry.
	if len(s.files) == 1 && s.files[0].ascending {
		return nil
	}
	var names []sink.Name
	for _, f := range s.files {
		if f.whole {
			names = append(names, f.name)
		}
	}
	entries, err := s.v.load(ctx, names)
	if errors.Is(err, errDamaged) {
		return nil
	}
	if err != nil {
		return err
	}
	var found Violation
	entries.Duplicates(func(id event.ID, _ uint64) {
		if found.Count == 0 {
			found = s.violation(about(id, "it stands in %s more than once", s.v.shape.Layout.Folder(s.name)))
		}
		found.Count++
	})
	if found.Count > 0 {
		say(found)
	}
	return nil
}
