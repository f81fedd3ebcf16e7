package verify

import (
	"context"
	"fmt"

	"datawriter/worker/event"
)

// checkCounter is what can be said of losses inside Redis without remembering
// anything from one verification to the next: footers carry the stream's count
// of entries ever added, as it was when the part was read, and the server that
// counted. Within the life of one server that count only grows, and no more can
// be archived than was added. Less is a stream that was deleted or evicted and
// began again.
var checkCounter = check{
	Name:    "counter",
	Promise: "a stream's count of added entries covers what was archived of it, and never goes back while its server lives",
	final: func(v *Verifier, s *set) {
		for _, f := range s.files {
			v.footers.add(f)
		}
	},
	stream: compareCounter,
	end:    endCounter,
}

// life is one kind's stream on one server.
type life struct {
	kind  event.Kind
	runID string // of the server
}

// counted is what the footers of a life say.
type counted struct {
	entries int64 // archived
	added   int64 // the largest entries-added
	unknown bool  // one footer does not say it
}

// footers sums up the footers of the range.
type footers map[life]*counted

func (sums footers) add(f *file) {
	if !f.whole || !f.isItself() {
		return
	}
	at := life{f.name.Kind, f.meta.RunID}
	if sums[at] == nil {
		sums[at] = &counted{}
	}
	c := sums[at]
	c.entries += f.count
	c.added = max(c.added, f.meta.EntriesAdded)
	c.unknown = c.unknown || f.meta.EntriesAdded < 0
}

func compareCounter(_ context.Context, k *kindStream, say sayer) error {
	switch c := k.v.footers[life{k.kind, k.server.RunID}]; {
	case c == nil || c.added <= 0: // another server, or nothing was ever added
	case !k.state.Exists:
		say(k.violation(nil, 1, fmt.Sprintf("a part was read from it when it had counted %d entries, and now it is gone: it was deleted or evicted", c.added)))
	case k.state.EntriesAdded < c.added:
		say(k.violation(nil, 1, fmt.Sprintf("it has counted %d entries, but a part was read from it when it had counted %d: it was deleted or evicted, and began again",
			k.state.EntriesAdded, c.added)))
	}
	return nil
}

func endCounter(_ context.Context, v *Verifier, say sayer) error {
	for at, c := range v.footers {
		if !c.unknown && c.entries > c.added {
			say(Violation{Kind: &at.kind, Detail: fmt.Sprintf(
				"%d entries were archived from the server %.8s, but at most %d had been added: the stream was deleted or evicted, and began again", c.entries, at.runID, c.added)})
		}
	}
	return nil
}
