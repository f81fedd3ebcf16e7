package validate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// comparison is the journal of a producer held against the files of an archive.
type comparison struct {
	Kinds   map[event.Kind]kindComparison `json:"kinds"`
	Windows map[string]int64              `json:"windows"` // entries in the files, by window
	Example string                        `json:"example,omitempty"`
}

// kindComparison counts entries of one kind.
type kindComparison struct {
	Produced int64 `json:"produced"` // acknowledged by Redis
	Rows     int64 `json:"rows"`     // in the files, rejects included
	Missing  int64 `json:"missing"`  // acknowledged, and in no file
	Double   int64 `json:"double"`   // in the files more than once
	Altered  int64 `json:"altered"`  // with another content than was sent
	Foreign  int64 `json:"foreign"`  // in the files, and not acknowledged to the producer
	Astray   int64 `json:"astray"`   // in a file of a window that is not theirs
}

// total sums the kinds up.
func (c comparison) total() (t kindComparison) {
	for _, k := range c.Kinds {
		t.Produced += k.Produced
		t.Rows += k.Rows
		t.Missing += k.Missing
		t.Double += k.Double
		t.Altered += k.Altered
		t.Foreign += k.Foreign
		t.Astray += k.Astray
	}
	return t
}

// compareArchive reads every file and holds it against the journal. It trusts
// nothing of what the drain says of itself: neither its run log nor its footers.
func compareArchive(ctx context.Context, j *journal, archive sink.Sink) (comparison, error) {
	c := comparison{Kinds: make(map[event.Kind]kindComparison), Windows: make(map[string]int64)}
	for _, kind := range event.Kinds() {
		produced, err := j.read(kind)
		if err != nil {
			return c, err
		}
		var k kindComparison
		filed, err := c.readKind(ctx, archive, kind, &k)
		if err != nil {
			return c, err
		}
		c.Kinds[kind] = c.merge(produced, filed, k)
	}
	return c, nil
}

// readKind returns every entry that the files hold of a kind.
func (c *comparison) readKind(ctx context.Context, archive sink.Sink, kind event.Kind, k *kindComparison) (filed []identity, err error) {
	err = sink.Walk(ctx, archive, sink.Plain, time.Time{}, time.Time{}, func(h sink.Hour) error {
		for _, name := range h.Names {
			if name.Kind != kind {
				continue
			}
			err := readIdentities(ctx, archive, name, func(i identity) {
				filed = append(filed, i)
				c.Windows[name.Window.String()]++
				if !name.Window.ContainsMS(i.id.MS) {
					k.Astray++
				}
			})
			if err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return filed, err
}

func readIdentities(ctx context.Context, archive sink.Sink, name sink.Name, yield func(identity)) error {
	file, err := archive.Open(ctx, sink.Plain.Path(name))
	if err != nil {
		return err
	}
	defer file.Close()
	parsed, err := part.Open(file, file.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", sink.Plain.Path(name), err)
	}
	return parsed.Identities(func(id event.ID, hash uint64) error {
		yield(identity{id, hash})
		return nil
	})
}

// merge walks over both sides in the order of their IDs.
func (c *comparison) merge(produced, filed []identity, k kindComparison) kindComparison {
	slices.SortFunc(produced, identity.compare)
	slices.SortFunc(filed, identity.compare)
	k.Produced, k.Rows = int64(len(produced)), int64(len(filed))
	for p, f := 0, 0; p < len(produced) || f < len(filed); {
		switch {
		case f < len(filed) && f > 0 && filed[f].id == filed[f-1].id:
			k.Double++
			c.example("twice", filed[f])
			f++
		case f == len(filed) || p < len(produced) && produced[p].compare(filed[f]) < 0:
			k.Missing++
			c.example("in no file", produced[p])
			p++
		case p == len(produced) || filed[f].compare(produced[p]) < 0:
			k.Foreign++
			c.example("never acknowledged", filed[f])
			f++
		default:
			if produced[p].hash != filed[f].hash {
				k.Altered++
				c.example("altered", filed[f])
			}
			p++
			f++
		}
	}
	return k
}

func (c *comparison) example(what string, i identity) {
	if c.Example == "" {
		c.Example = what + ": " + i.id.String()
	}
}

// judge turns the comparison into criteria. uncertain is how many entries the
// producer sent again because a reply was lost: those may stand there twice, under
// two IDs, and nobody can know.
func (c comparison) judge(s *Session, uncertain int64) {
	t := c.total()
	share := 0.0
	if t.Produced > 0 {
		share = 100 * float64(t.Produced-t.Missing-t.Altered) / float64(t.Produced)
	}
	s.criterion(Criterion{Name: "integrity: entries acknowledged to the producer that stand unaltered in the files", Value: share, Unit: "%",
		Bar: exactly(100), First: "100 %", Detail: fmt.Sprintf("%s produced, %s in the files", Number(float64(t.Produced), ""), Number(float64(t.Rows), ""))})
	for _, one := range []struct {
		name  string
		value int64
	}{
		{"entries lost", t.Missing}, {"entries written twice", t.Double}, {"entries altered", t.Altered}, {"entries in another window's file", t.Astray},
	} {
		example := ""
		if one.value > 0 {
			example = c.Example
		}
		s.criterion(Criterion{Name: one.name, Value: float64(one.value), Bar: exactly(0), First: "0", Detail: example})
	}
	s.criterion(Criterion{Name: "entries that no producer sent", Value: float64(t.Foreign), Bar: atMost(float64(uncertain)),
		Detail: fmt.Sprintf("%d were sent again because a reply was lost", uncertain)})
	for _, kind := range event.Kinds() {
		k := c.Kinds[kind]
		s.criterion(Criterion{Name: kind.String() + ": rows less entries produced", Value: float64(k.Rows - k.Foreign - k.Produced), Bar: exactly(0),
			Detail: fmt.Sprintf("%s rows", Number(float64(k.Rows), ""))})
	}
}

// between lists the windows from first to last.
func between(first, last window.Window) (all []window.Window) {
	for w := first; !last.Before(w); w = w.Next() {
		all = append(all, w)
	}
	return all
}
