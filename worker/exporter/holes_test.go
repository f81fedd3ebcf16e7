package exporter

import (
	"os"
	"path/filepath"
	"testing"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/sink"
)

func TestMissingPartsAndAcceptedHolesAreCounted(t *testing.T) {
	r := newRig(t)
	book := account.OpenBook(filepath.Join(r.data, "_state"))
	h := &holes{book, r.archive()}
	look(t, h.look).want(t, "before there is an archive", series{`missing_parts{kind="likes"}`: 0, `accepted_holes{kind="likes"}`: 0})
	r.simulate(first, 20)
	r.drain(first, "", 1)
	if err := book.Update("likes", "s", func(s *account.State) error {
		s.Miss(s.MissingParts().Union(nth(1).Span(), nth(2).Span(), nth(4).Span()))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := sink.AcceptHole(t.Context(), r.archive(), sink.Plain, sink.Hole{Window: nth(7), Kind: event.Posts}); err != nil {
		t.Fatal(err)
	}
	look(t, h.look).want(t, "with both", series{
		`missing_parts{kind="likes"}`: 3, `accepted_holes{kind="likes"}`: 0, `missing_parts{kind="posts"}`: 0, `accepted_holes{kind="posts"}`: 1,
	})
	if err := os.WriteFile(filepath.Join(r.data, "_archive.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.look(t.Context()); err == nil {
		t.Error("an archive whose shape cannot be read is no error")
	}
}
