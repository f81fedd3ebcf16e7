package stream_test

import (
	"context"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

func TestLookingChangesNothing(t *testing.T) {
	ctx := context.Background()
	server, c, s := open(t)
	everything := event.ID{MS: 1 << 50}
	look := func(what string, want stream.State, pending ...event.ID) {
		t.Helper()
		state, err := s.State(ctx)
		ok(t, err)
		equal(t, what, state, want)
		got, err := s.Pending(ctx, event.ID{}, everything, 100)
		ok(t, err)
		equal(t, what+": pending", got, pending)
	}
	look("no stream", stream.State{})
	equal(t, "keys after the look", server.Client().DBSize(ctx).Val(), 0)

	add(t, c, at(10, 20, 30)...)
	look("no group", stream.State{Exists: true, Length: 3, EntriesAdded: 3, LastGenerated: event.ID{MS: 30}})

	ok(t, server.Client().XGroupCreate(ctx, s.Name(), "other", "0").Err())
	look("another group", stream.State{Exists: true, Length: 3, EntriesAdded: 3, LastGenerated: event.ID{MS: 30}, Groups: 1, Others: []string{"other"}})

	ok(t, s.EnsureGroup(ctx))
	var page stream.Page
	ok(t, s.ReadNew(ctx, &page, 3, false))
	ok(t, server.Client().XDel(ctx, s.Name(), "20-0").Err())
	look("claimed", stream.State{Exists: true, Length: 2, EntriesAdded: 3, LastGenerated: event.ID{MS: 30}, Groups: 2, Grouped: true, Others: []string{"other"}}, at(10, 20, 30)...)

	some, err := s.Pending(ctx, event.ID{MS: 10, Seq: 1}, event.ID{MS: 30}, 100)
	ok(t, err)
	equal(t, "pending in a range that leaves its end out", some, at(20))
	some, err = s.Pending(ctx, event.ID{}, everything, 2)
	ok(t, err)
	equal(t, "at most two", some, at(10, 20))
}

func TestHeldWhileTheLeaseLives(t *testing.T) {
	ctx := context.Background()
	_, _, s := open(t)
	held := func(want bool) {
		t.Helper()
		got, err := s.Held(ctx)
		ok(t, err)
		equal(t, "held", got, want)
	}
	held(false)
	lease, err := s.TakeLease(ctx, time.Minute)
	ok(t, err)
	held(true)
	ok(t, lease.Release(ctx))
	held(false)
}
