package stream_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
)

// open starts a server and returns a client and the likes of it.
func open(t *testing.T, options ...string) (*streamtest.Server, *stream.Client, *stream.Stream) {
	t.Helper()
	server := streamtest.Start(t, options...)
	client, err := stream.Open(stream.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return server, client, client.Stream(event.Likes)
}

func add(t *testing.T, c *stream.Client, ids ...event.ID) {
	t.Helper()
	var additions []stream.Addition
	for _, id := range ids {
		additions = append(additions, stream.Addition{Kind: event.Likes, ID: id, Fields: [][]byte{[]byte("event"), []byte("of " + id.String())}})
	}
	if _, err := c.Add(context.Background(), additions); err != nil {
		t.Fatal(err)
	}
}

func at(ms ...uint64) (ids []event.ID) {
	for _, m := range ms {
		ids = append(ids, event.ID{MS: m})
	}
	return ids
}

func ids(p *stream.Page) (out []event.ID) {
	for _, e := range p.Entries {
		out = append(out, e.ID)
	}
	return out
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestReadsArriveInOrderWithTheirFields(t *testing.T) {
	ctx := context.Background()
	_, c, s := open(t)
	ok(t, s.EnsureGroup(ctx))
	ok(t, s.EnsureGroup(ctx)) // can be repeated
	add(t, c, at(10, 20, 30, 40)...)

	var page stream.Page
	ok(t, s.ReadNew(ctx, &page, 2, false))
	equal(t, "first page", ids(&page), at(10, 20))
	equal(t, "fields", string(page.Entries[1].Fields[1]), "of 20-0")
	ok(t, s.ReadNew(ctx, &page, 9, true))
	equal(t, "second page", ids(&page), at(30, 40))
	ok(t, s.ReadNew(ctx, &page, 9, false))
	equal(t, "when nothing is left", len(page.Entries), 0)
	ok(t, s.Range(ctx, &page, event.ID{MS: 20}, event.ID{MS: 40}, 10))
	equal(t, "half-open range", ids(&page), at(20, 30))

	g, err := s.Group(ctx)
	ok(t, err)
	equal(t, "cursor", g.LastDelivered, event.ID{MS: 40})
	equal(t, "entries read", g.EntriesRead, 4)
	equal(t, "pending, without the two of NOACK", g.Pending, 2)
}

func TestTailIsWhatIsLeftBetweenTheCursorAndTheEnd(t *testing.T) {
	ctx := context.Background()
	_, c, s := open(t)
	add(t, c, at(10, 20, 30, 40, 50)...)
	for end, want := range map[uint64][]event.ID{10: nil, 11: nil, 21: at(20), 30: at(20), 50: at(40, 30), 99: at(50, 40)} {
		var page stream.Page
		ok(t, s.Tail(ctx, &page, event.ID{MS: 10}, event.ID{MS: end}, 2))
		equal(t, fmt.Sprintf("last two of (10, %d)", end), ids(&page), want)
	}
}

func TestRealignMakesTheLagTrueAgain(t *testing.T) {
	ctx := context.Background()
	_, c, s := open(t)
	ok(t, s.EnsureGroup(ctx))
	add(t, c, at(10, 20, 30, 40)...)
	info, err := c.Server(ctx)
	ok(t, err)
	ok(t, s.Realign(ctx, info.ID(), 25))
	g, err := s.Group(ctx)
	ok(t, err)
	equal(t, "while something is left below the end", g.EntriesRead, 0)
	_, err = s.Settle(ctx, info.ID(), at(10, 20)) // read by range, so the group never had them
	ok(t, err)
	ok(t, s.Realign(ctx, info.ID(), 25))
	g, err = s.Group(ctx)
	ok(t, err)
	equal(t, "entries read, of four of which two are left", g.EntriesRead, 2)
	equal(t, "the cursor", g.LastDelivered, event.ID{})
}

func TestFenceRaisesAndNeverLowers(t *testing.T) {
	ctx := context.Background()
	_, c, s := open(t)
	ok(t, s.EnsureGroup(ctx))
	ok(t, s.Fence(ctx, 1000))
	ok(t, s.Fence(ctx, 1000))
	g, err := s.Group(ctx)
	ok(t, err)
	equal(t, "fence", g.LastGenerated, event.ID{MS: 999, Seq: 1<<64 - 1})
	ok(t, s.Fence(ctx, 500))
	g, err = s.Group(ctx)
	ok(t, err)
	equal(t, "a lower fence changes nothing", g.LastGenerated, event.ID{MS: 999, Seq: 1<<64 - 1})
	_, err = c.Add(ctx, []stream.Addition{{Kind: event.Likes, ID: event.ID{MS: 999, Seq: 7}, Fields: [][]byte{[]byte("event"), nil}}})
	if err == nil {
		t.Error("an entry below the fence was accepted")
	}
	add(t, c, at(1000)...)
}

func TestLeaseIsHeldWhileRenewedAndExpiresWithItsHolder(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, _, s := open(t)
	const ttl = 300 * time.Millisecond
	first, err := s.TakeLease(ctx, ttl)
	ok(t, err)
	keeping, stop := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() { first.Keep(keeping); close(kept) }()
	if _, err := s.TakeLease(ctx, ttl); !errors.Is(err, stream.ErrHeld) {
		t.Fatalf("a living holder: got %v, want ErrHeld", err)
	}
	stop() // as if it had been killed
	<-kept
	second, err := s.TakeLease(ctx, ttl)
	ok(t, err)
	ok(t, first.Release(ctx)) // not its own any more
	left, err := second.Left(ctx)
	ok(t, err)
	if left <= 0 {
		t.Error("a lease was released by somebody else")
	}
	ok(t, second.Release(ctx))
}

func TestSettleDeletesOnlyWhatEveryGroupHasAcked(t *testing.T) {
	ctx := context.Background()
	server, c, s := open(t)
	ok(t, s.EnsureGroup(ctx))
	add(t, c, at(1, 2, 3, 4)...)
	r := server.Client()
	ok(t, r.XGroupCreate(ctx, s.Name(), "other", "0").Err())
	ok(t, r.Do(ctx, "XREADGROUP", "GROUP", "other", "x", "COUNT", 3, "STREAMS", s.Name(), ">").Err())
	ok(t, r.XAck(ctx, s.Name(), "other", "1-0", "3-0").Err())
	var page stream.Page
	ok(t, s.ReadNew(ctx, &page, 9, false))
	info, err := c.Server(ctx)
	ok(t, err)
	done, err := s.Settle(ctx, info.ID(), at(1, 2, 3, 4))
	ok(t, err)
	equal(t, "acked and deleted", done, stream.Settlement{Acked: 4, Deleted: 2})
	ok(t, s.Range(ctx, &page, event.ID{}, event.ID{MS: 9}, 10))
	equal(t, "kept: pending in the other group, and not yet given to it", ids(&page), at(2, 4))
}

func TestSettlingIsRefusedAfterARestart(t *testing.T) {
	ctx := context.Background()
	_, c, s := open(t)
	ok(t, s.EnsureGroup(ctx))
	add(t, c, at(1)...)
	for name, err := range map[string]error{
		"settle": second(s.Settle(ctx, "0123", at(1))),
		"sweep":  second(s.SweepPending(ctx, "0123", 0, 9)),
		"check":  c.CheckSame(ctx, "0123"),
	} {
		if !errors.Is(err, stream.ErrRestarted) {
			t.Errorf("%s: got %v, want ErrRestarted", name, err)
		}
	}
	if _, _, err := s.Trim(ctx, "0123", 0, 9, 1, event.ID{MS: 9}); !errors.Is(err, stream.ErrRestarted) {
		t.Errorf("trim: got %v, want ErrRestarted", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestTrimDeletesOnlyTheExactSet(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name    string
		known   int // entries in [20,40) that may go
		start   uint64
		another bool // group
		want    bool
	}{
		{"all of the window is known", 2, 10, false, true},
		{"an entry of the window is unknown", 1, 10, false, false},
		{"more is known than there is", 3, 10, false, false},
		{"an older entry is still there", 2, 20, false, false},
		{"another group reads the stream", 2, 10, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, client, s := open(t)
			ok(t, s.EnsureGroup(ctx))
			add(t, client, at(10, 20, 40, 50)...)
			var claimed stream.Page
			ok(t, s.ReadNew(ctx, &claimed, 2, false))
			acked, err := s.Ack(ctx, at(10, 20))
			ok(t, err)
			equal(t, "acked", acked, 2)
			if c.another {
				ok(t, server.Client().XGroupCreate(ctx, s.Name(), "other", "$").Err())
			}
			info, err := client.Server(ctx)
			ok(t, err)
			n, done, err := s.Trim(ctx, info.ID(), c.start, 40, c.known, event.ID{MS: 40})
			ok(t, err)
			equal(t, "trimmed", done, c.want)
			var page stream.Page
			ok(t, s.Range(ctx, &page, event.ID{}, event.ID{MS: 99}, 10))
			left := at(10, 20, 40, 50)
			if c.want {
				left = at(40, 50)
			}
			equal(t, "left", ids(&page), left)
			equal(t, "deleted", n, 4-len(left))
		})
	}
}

func TestSweepAcksOnlyWhatIsGone(t *testing.T) {
	ctx := context.Background()
	server, c, s := open(t)
	ok(t, s.EnsureGroup(ctx))
	add(t, c, at(1, 2, 30)...)
	var page stream.Page
	ok(t, s.ReadNew(ctx, &page, 9, false))
	ok(t, server.Client().XDel(ctx, s.Name(), "2-0", "30-0").Err())
	info, err := c.Server(ctx)
	ok(t, err)
	n, err := s.SweepPending(ctx, info.ID(), 0, 30)
	ok(t, err)
	equal(t, "gone below 30", n, 1)
	g, err := s.Group(ctx)
	ok(t, err)
	equal(t, "still pending: the one that is there, and the later window's", g.Pending, 2)
}

func TestScriptsWorkWhenRedisIsOutOfMemory(t *testing.T) {
	ctx := context.Background()
	server, c, s := open(t, "--maxmemory-policy", "noeviction")
	ok(t, s.EnsureGroup(ctx))
	add(t, c, at(1, 2)...)
	ok(t, server.Client().ConfigSet(ctx, "maxmemory", "1").Err())
	_, err := c.Add(ctx, []stream.Addition{{Kind: event.Likes, Fields: [][]byte{[]byte("event"), nil}}})
	if !errors.Is(err, stream.ErrRefused) {
		t.Fatalf("adding: got %v, want ErrRefused; the fault did not happen", err)
	}
	ok(t, c.Stream(event.Posts).EnsureGroup(ctx))
	lease, err := s.TakeLease(ctx, time.Second)
	ok(t, err)
	ok(t, s.Fence(ctx, 5))
	var page stream.Page
	ok(t, s.ReadNew(ctx, &page, 9, false))
	info, err := c.Server(ctx)
	ok(t, err)
	done, err := s.Settle(ctx, info.ID(), at(1, 2))
	ok(t, err)
	equal(t, "settled", done, stream.Settlement{Acked: 2, Deleted: 2})
	ok(t, lease.Release(ctx))
}

func TestErrorsNameTheirClass(t *testing.T) {
	ctx := context.Background()
	server, c, s := open(t, "--requirepass", "secret-word")
	if _, err := c.Server(ctx); !errors.Is(err, stream.ErrMisconfigured) {
		t.Errorf("no password: got %v, want ErrMisconfigured", err)
	}
	server.Kill()
	if err := s.EnsureGroup(ctx); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("no server: got %v, want ErrUnavailable", err)
	}
	for _, url := range []string{"", "http://x", "redis://:secret-word@host:notaport/0"} {
		_, err := stream.Open(stream.Config{URL: url})
		if !errors.Is(err, stream.ErrMisconfigured) {
			t.Errorf("URL %q: got %v, want ErrMisconfigured", url, err)
		}
	}
	_, c, s = open(t)
	ok(t, c.Redis().Set(ctx, s.Name(), "no stream", 0).Err())
	if err := s.EnsureGroup(ctx); !errors.Is(err, stream.ErrMisconfigured) {
		t.Errorf("a key of another type: got %v, want ErrMisconfigured", err)
	}
}

func TestAnOldServerIsRefused(t *testing.T) {
	if _, err := stream.ParseServer("run_id:ab\r\nredis_version:6.2.14\r\n"); !errors.Is(err, stream.ErrMisconfigured) {
		t.Errorf("got %v, want ErrMisconfigured", err)
	}
	s, err := stream.ParseServer("run_id:ab\r\nredis_version:7.2.4\r\nvalkey_version:9.1.0\r\n")
	ok(t, err)
	equal(t, "version", s.Version, "valkey 9.1.0")
}
