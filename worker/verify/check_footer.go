package verify

import (
	"context"
	"fmt"

	"datawriter/worker/event"
)

// checkFooter: part checks a footer's counts against the row groups; here it is
// held against the name, the entries and the rejects beside it.
var checkFooter = check{
	Name:    "footer",
	Promise: "what a file says of itself is its name and its content",
	file:    footerOfFile,
	set:     footersOfSet,
}

func footerOfFile(f *file, _ error) string {
	m := &f.meta
	switch {
	case !f.told:
		return ""
	case !f.isItself():
		return fmt.Sprintf("it says of itself that it is part %d of %s %s%s", m.Part, m.Kind, m.Window, shardOf(m.Shard))
	case f.whole && f.count > 0 && (f.first.Compare(m.FirstID) < 0 || f.last.Compare(m.LastID) > 0):
		return fmt.Sprintf("it says that its entries are those from %s to %s, but they are from %s to %s", m.FirstID, m.LastID, f.first, f.last)
	case m.Rows+m.Rejected == 0 && (m.FirstID != event.ID{} || m.LastID != event.ID{}):
		return fmt.Sprintf("it says that it holds nothing, and that this is from %s to %s", m.FirstID, m.LastID)
	}
	return ""
}

// isItself reports whether the file's footer could be read and says what its name says.
func (f *file) isItself() bool {
	m, n := &f.meta, &f.name
	return f.told && m.Kind == n.Kind && m.Window == n.Window && m.Part == n.Part && m.Shard == n.Shard
}

func shardOf(shard string) string {
	if shard == "" {
		return ""
	}
	return ", shard " + shard
}

// footersOfSet compares every part with the rejects beside it. Rejects may have
// been published by a run that was killed before their part, so what their
// footer says of the part's rows is not compared.
func footersOfSet(_ context.Context, s *set, say sayer) error {
	beside := make(map[int]*file)
	for _, f := range s.files {
		if f.name.Rejects {
			beside[f.name.Part] = f
		}
	}
	for _, f := range s.files {
		if f.name.Rejects || !f.isItself() {
			continue
		}
		var rejected int64
		if r := beside[f.name.Part]; r != nil {
			rejected = r.count
			if !r.whole {
				continue // how many there are is not known
			}
		}
		if f.meta.Rejected != rejected {
			v := s.violation(fmt.Sprintf("it says that %d entries were rejected, but %d stand beside it", f.meta.Rejected, rejected))
			v.File = f.path
			say(v)
		}
	}
	return nil
}
