package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/ledger"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// kindStream is one kind's stream while it is compared with the files.
type kindStream struct {
	v      *Verifier
	kind   event.Kind
	stream *stream.Stream
	sizer  *stream.Sizer // of the pages
	server stream.Server
	state  stream.State
}

// leftover is what a stream still holds of one drained window.
type leftover struct {
	*kindStream
	window  window.Window
	known   tally // entries that are in a part
	unknown tally // entries that are in none
}

// tally counts entries and remembers the first.
type tally struct {
	count int64
	first event.ID
}

func (t *tally) add(id event.ID) {
	if t.count == 0 {
		t.first = id
	}
	t.count++
}

func (v *Verifier) readStream(ctx context.Context, kind event.Kind, server stream.Server) (err error) {
	of := v.cfg.Source.Stream(kind)
	k := &kindStream{v: v, kind: kind, stream: of, sizer: stream.NewSizer(of), server: server}
	if k.state, err = k.stream.State(ctx); err != nil {
		return err
	}
	for _, c := range v.checks {
		if c.stream == nil {
			continue
		}
		if err := c.stream(ctx, k, v.sayer(c.Name)); err != nil {
			return err
		}
	}
	return k.readLeftovers(ctx)
}

// readLeftovers walks over the drained windows of which the stream holds entries.
func (k *kindStream) readLeftovers(ctx context.Context) error {
	return k.eachWindow(ctx, k.stream.First, func(w window.Window) error {
		l, err := k.confirm(ctx, func() (*leftover, error) { return k.look(ctx, w) })
		if err != nil || l == nil {
			return err
		}
		for _, c := range k.v.checks {
			if c.left != nil {
				c.left(l, k.v.sayer(c.Name))
			}
		}
		return nil
	})
}

// eachWindow calls yield for the windows of the range up to the last published
// one in which next finds an ID at or behind a millisecond.
func (k *kindStream) eachWindow(ctx context.Context, next func(ctx context.Context, fromMS uint64) (event.ID, bool, error), yield func(window.Window) error) error {
	if k.v.first == (window.Window{}) {
		return nil
	}
	end := k.v.last.EndMS()
	for from := k.v.first.StartMS(); from < end; {
		id, ok, err := next(ctx, from)
		if err != nil || !ok || id.MS >= end {
			return err
		}
		w, err := window.Containing(time.UnixMilli(int64(id.MS)), k.v.length())
		if err != nil {
			return fmt.Errorf("entry %s of %s: %w", id, k.stream.Name(), err)
		}
		if err := yield(w); err != nil {
			return err
		}
		from = w.EndMS()
	}
	return nil
}

// confirm looks a second time at what seems wrong: a drain may have been on its
// way at the first look. nil means that nothing is.
func (k *kindStream) confirm(ctx context.Context, look func() (*leftover, error)) (*leftover, error) {
	l, err := look()
	if err != nil || l == nil {
		return nil, err
	}
	held, err := k.stream.Held(ctx)
	if err != nil || held {
		return nil, err
	}
	return look()
}

// look reads what the stream holds of a window, then what the files hold. nil
// when the window is not drained, when nothing is left, or when a damaged file
// keeps it from being known.
func (k *kindStream) look(ctx context.Context, w window.Window) (*leftover, error) {
	l := &leftover{kindStream: k, window: w}
	var entries *ledger.Set
	page := &stream.Page{}
	for from, to := (event.ID{MS: w.StartMS()}), (event.ID{MS: w.EndMS()}); ; {
		size, err := k.sizer.Next(ctx, from, to)
		if err != nil {
			return nil, err
		}
		if size.Entries == 0 {
			break
		}
		if err := k.stream.Range(ctx, page, from, to, size.Entries); err != nil {
			return nil, err
		}
		if len(page.Entries) == 0 {
			break
		}
		k.sizer.Learn(page)
		// The files come second, so that an entry settled between the two is found in them.
		if entries == nil {
			var err error
			if entries, err = k.ledger(ctx, w); entries == nil {
				return nil, err
			}
		}
		for i := range page.Entries {
			e := &page.Entries[i]
			if entries.Has(e.ID, e.Hash()) {
				l.known.add(e.ID)
			} else {
				l.unknown.add(e.ID)
			}
		}
		from = after(page.Entries[len(page.Entries)-1].ID)
	}
	if k.othersRead() {
		l.known = tally{} // kept for them, on purpose
	}
	if l.known.count+l.unknown.count == 0 {
		return nil, nil
	}
	return l, nil
}

// after returns the smallest ID behind id.
func after(id event.ID) event.ID {
	if id.Seq == 1<<64-1 {
		return event.ID{MS: id.MS + 1}
	}
	return event.ID{MS: id.MS, Seq: id.Seq + 1}
}

// ledger returns the entries that the files hold of a window, as listed now; nil
// when it is not drained or a file is damaged.
func (k *kindStream) ledger(ctx context.Context, w window.Window) (*ledger.Set, error) {
	names, err := k.published(ctx, w)
	if err != nil || !isDrained(names) {
		return nil, err
	}
	entries, err := k.v.load(ctx, names)
	if errors.Is(err, errDamaged) {
		return nil, nil
	}
	return entries, err
}

func (k *kindStream) published(ctx context.Context, w window.Window) ([]sink.Name, error) {
	return sink.Published(ctx, k.v.archive, k.v.shape.Layout, sink.Name{Window: w, Kind: k.kind})
}

// othersRead reports whether the stream has a group beside the archive's: then
// settled entries stay until that group has acked them too.
func (k *kindStream) othersRead() bool {
	return k.state.Groups > 1 || k.state.Groups == 1 && !k.state.Grouped
}

// violation returns one of a window of this stream.
func (k *kindStream) violation(w *window.Window, count int64, detail string) Violation {
	return Violation{Window: w, Kind: &k.kind, Stream: k.stream.Name(), Count: count, Detail: detail}
}
