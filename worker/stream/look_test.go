package stream_test

import (
	"context"
	"testing"

	"datawriter/worker/stream"
)

func TestALookCountsWhatWasAddedAndWhatIsThere(t *testing.T) {
	ctx := context.Background()
	server, c, s := open(t)
	look := func(endMS uint64) stream.Look {
		t.Helper()
		l, err := s.Look(ctx, endMS)
		ok(t, err)
		if l.RunID == "" || l.ReplID == "" {
			t.Error("a look does not say which server it was")
		}
		if l.Clock == 0 {
			t.Error("a look does not say what time it was")
		}
		l.RunID, l.ReplID, l.Clock = "", "", 0
		return l
	}
	equal(t, "no stream", look(99), stream.Look{End: 99})
	add(t, c, at(10, 20, 30)...)
	equal(t, "no group", look(10), stream.Look{Exists: true, Added: 3, Length: 3, End: 10})
	ok(t, s.EnsureGroup(ctx))
	ok(t, server.Client().XDel(ctx, s.Name(), "20-0").Err())
	equal(t, "with a group", look(11), stream.Look{Exists: true, Grouped: true, Added: 3, Length: 2, End: 11, Below: true})
	ok(t, server.Client().Set(ctx, s.Name(), "no stream", 0).Err())
	if _, err := s.Look(ctx, 0); err == nil {
		t.Error("a key of another type was looked at as a stream")
	}
}
