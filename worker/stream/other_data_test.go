package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/window"
)

// followAndReturn lets a server follow another one until it has its data, and
// then stand alone again: the same process, with the other's entries.
func followAndReturn(t *testing.T, server, other *streamtest.Server) {
	t.Helper()
	ctx, redis := t.Context(), server.Client()
	ok(t, redis.ReplicaOf(ctx, "127.0.0.1", fmt.Sprint(other.Port)).Err())
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if info, _ := redis.Info(ctx, "replication").Result(); strings.Contains(info, "master_link_status:up") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server does not follow")
		}
	}
	ok(t, redis.ReplicaOf(ctx, "NO", "ONE").Err())
}

func TestNothingIsSettledInOtherDataOfTheSameProcess(t *testing.T) {
	ctx := t.Context()
	server, c, s := open(t)
	other, otherClient, _ := open(t, "--repl-diskless-sync-delay", "0")
	for _, of := range []*stream.Client{c, otherClient} {
		ok(t, of.Stream(event.Likes).EnsureGroup(ctx))
		add(t, of, at(1, 2)...)
	}
	before, err := c.Server(ctx)
	ok(t, err)
	look, err := s.Look(ctx, 10)
	ok(t, err)
	followAndReturn(t, server, other)
	after, err := c.Server(ctx)
	ok(t, err)
	if before.RunID != after.RunID {
		t.Fatal("the process is another one, so nothing is shown")
	}
	was := before.ID()
	_, marked := s.Mark(ctx, was, window.Span{To: 5})
	_, _, trimmed := s.Trim(ctx, was, 0, 9, 2, event.ID{MS: 9})
	for name, err := range map[string]error{
		"settle":  second(s.Settle(ctx, was, at(1))),
		"sweep":   second(s.SweepPending(ctx, was, 0, 9)),
		"realign": s.Realign(ctx, was, 9),
		"mark":    marked,
		"trim":    trimmed,
		"check":   c.CheckSame(ctx, was),
	} {
		if !errors.Is(err, stream.ErrRestarted) {
			t.Errorf("%s: got %v, want ErrRestarted", name, err)
		}
	}
	var page stream.Page
	ok(t, s.Range(ctx, &page, event.ID{}, event.ID{MS: 10}, 10))
	equal(t, "entries of the other data", ids(&page), at(1, 2))
	now, err := s.Look(ctx, 10)
	ok(t, err)
	if now.RunID != look.RunID || now.ReplID == look.ReplID || now.ReplID != after.ReplID {
		t.Errorf("a look shows %q %q, then %q %q", look.RunID, look.ReplID, now.RunID, now.ReplID)
	}
	_, err = s.Settle(ctx, after.ID(), at(1))
	ok(t, err)
}
