package verify

import (
	"context"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

var checkPending = check{
	Name:    "pending",
	Promise: "nothing of a drained window is in the group's pending list",
	needs:   redis,
	stream: func(ctx context.Context, k *kindStream, say sayer) error {
		return k.eachWindow(ctx, k.firstPending, func(w window.Window) error {
			l, err := k.confirm(ctx, func() (*leftover, error) { return k.lookPending(ctx, w) })
			if err != nil || l == nil {
				return err
			}
			say(k.violation(&w, l.known.count, about(l.known.first, "it was given to the group and is not acked: run the window again")))
			return nil
		})
	},
}

// firstPending returns the first pending ID at or behind a millisecond.
func (k *kindStream) firstPending(ctx context.Context, fromMS uint64) (event.ID, bool, error) {
	ids, err := k.stream.Pending(ctx, event.ID{MS: fromMS}, event.ID{MS: k.v.last.EndMS()}, 1)
	if err != nil || len(ids) == 0 {
		return event.ID{}, false, err
	}
	return ids[0], true, nil
}

// lookPending counts what is pending of a window; nil when nothing is, or when
// the window is not drained.
func (k *kindStream) lookPending(ctx context.Context, w window.Window) (*leftover, error) {
	names, err := k.published(ctx, w)
	if err != nil || !isDrained(names) {
		return nil, err
	}
	l := &leftover{kindStream: k, window: w}
	for from, to := (event.ID{MS: w.StartMS()}), (event.ID{MS: w.EndMS()}); ; {
		ids, err := k.stream.Pending(ctx, from, to, stream.MaxPage)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			l.known.add(id)
		}
		if len(ids) < stream.MaxPage {
			break
		}
		from = after(ids[len(ids)-1])
	}
	if l.known.count == 0 {
		return nil, nil
	}
	return l, nil
}
