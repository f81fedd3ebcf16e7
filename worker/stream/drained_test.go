package stream_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"datawriter/worker/stream"
	"datawriter/worker/window"
)

func TestWhatIsDrainedStandsWithTheGroup(t *testing.T) {
	ctx := t.Context()
	server, c, s := open(t)
	none, err := s.Drained(ctx)
	ok(t, err)
	equal(t, "without a stream", none, nil)
	ok(t, s.EnsureGroup(ctx))
	add(t, c, at(10, 20)...)
	var page stream.Page
	ok(t, s.ReadNew(ctx, &page, 1, false))
	info, err := c.Server(ctx)
	ok(t, err)
	var want window.Spans
	mark := func(spans ...window.Span) {
		t.Helper()
		want = want.Union(spans...)
		all, err := s.Mark(ctx, info.ID(), spans...)
		ok(t, err)
		equal(t, fmt.Sprintf("the reply to %v", spans), all, want)
		read, err := s.Drained(ctx)
		ok(t, err)
		equal(t, fmt.Sprintf("after %v", spans), read, want)
	}
	mark(window.Span{From: 300_000, To: 600_000})
	mark(window.Span{From: 300_000, To: 600_000})                                                          // again
	mark(window.Span{From: 900_000, To: 1_200_000})                                                        // a gap
	mark(window.Span{From: 600_000, To: 900_000})                                                          // which is filled
	mark(window.Span{From: 0, To: 5}, window.Span{From: 1_800_000_000_000_000, To: 1_800_000_000_000_001}) // several, and large
	mark()
	g, err := s.Group(ctx)
	ok(t, err)
	equal(t, "what another consumer of the group has pending", g.Pending, 1)
	ok(t, server.Client().XGroupDestroy(ctx, s.Name(), stream.DefaultGroup).Err())
	gone, err := s.Drained(ctx)
	ok(t, err)
	equal(t, "with the group", gone, nil)
}

func TestMarkingMergesLikeASetOfSpans(t *testing.T) {
	ctx := t.Context()
	_, c, s := open(t)
	ok(t, s.EnsureGroup(ctx))
	info, err := c.Server(ctx)
	ok(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	var want window.Spans
	for range 300 {
		from := random.Uint64N(1000)
		x := window.Span{From: from, To: from + random.Uint64N(9)}
		want = want.Union(x)
		got, err := s.Mark(ctx, info.ID(), x)
		ok(t, err)
		equal(t, "after "+fmt.Sprint(x), got, want)
	}
}

func TestMarkingIsBoundedAndSurvives(t *testing.T) {
	ctx := t.Context()
	server, c, s := open(t, "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")
	ok(t, s.EnsureGroup(ctx))
	info, err := c.Server(ctx)
	ok(t, err)
	ok(t, server.Client().ConfigSet(ctx, "maxmemory", "1").Err()) // out of memory from here on
	var all []window.Span
	for i := range uint64(window.MaxSpans + 3) {
		all = append(all, window.Span{From: 10 * i, To: 10*i + 5})
	}
	want := window.Spans{}.Union(all...)
	got, err := s.Mark(ctx, info.ID(), all...)
	ok(t, err)
	equal(t, "the bounded set", got, want)
	server.Restart() // with its append-only file
	read, err := s.Drained(ctx)
	ok(t, err)
	equal(t, "after a restart", read, want)
	if _, err := s.Mark(ctx, info.ID(), window.Span{To: 5}); !errors.Is(err, stream.ErrRestarted) {
		t.Errorf("marking at another server than the one that was read: %v, want ErrRestarted", err)
	}
}
