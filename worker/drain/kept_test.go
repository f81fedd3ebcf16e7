package drain_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// shared is a stream of likes that another group reads too.
func newShared(t *testing.T, options ...string) *rig {
	r := newRig(t, options...)
	r.keepAccount()
	r.do("XGROUP", "CREATE", r.client.Name(event.Likes), "other", "0", "MKSTREAM")
	return r
}

// readOthers lets the other group read and ack so many entries.
func (r *rig) readOthers(count int64) {
	r.Helper()
	ctx, name := context.Background(), r.client.Name(event.Likes)
	got, err := r.server.Client().XReadGroup(ctx, &redis.XReadGroupArgs{Group: "other", Consumer: "c", Streams: []string{name, ">"}, Count: count, Block: -1}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		r.Fatal(err)
	}
	for _, s := range got {
		for _, m := range s.Messages {
			r.do("XACK", name, "other", m.ID)
		}
	}
}

// kept returns the account's record of what is kept for others.
func (r *rig) keptCount() int64 {
	r.Helper()
	state, err := r.cfg.Book.Read(event.Likes.String(), "")
	if err != nil {
		r.Fatal(err)
	}
	if state.Kept == nil {
		return 0
	}
	return state.Kept.Count
}

// closed expects that the account balances: what is there and kept is in files.
func (r *rig) closed(open int64) {
	r.Helper()
	state, err := r.cfg.Book.Read(event.Likes.String(), "")
	if err != nil {
		r.Fatal(err)
	}
	if state.Open != open || state.Added-state.Base-state.Filed != open || len(state.Pending) > 0 {
		r.Errorf("the account is %+v, want it closed with %d open", state, open)
	}
}

// TestAForgottenGroupCostsTheSameAtEachRun: settled windows are not read again.
func TestAForgottenGroupCostsTheSameAtEachRun(t *testing.T) {
	for _, noack := range []bool{false, true} {
		t.Run(fmt.Sprintf("noack=%t", noack), func(t *testing.T) {
			r := newShared(t)
			r.cfg.NoAck = noack
			for n := range 8 {
				w := later(win, n)
				r.many(w, 1100) // more than is deleted in one script
				records, err := r.drainer().Run(context.Background(), w)
				if err != nil || len(records) != 1 || records[0].Window != w {
					t.Fatalf("run %d walked %d windows, %v; want its own alone", n, len(records), err)
				}
				if got := r.keptCount(); got != int64(n+1)*1100 {
					t.Errorf("%d entries are kept, want %d", got, (n+1)*1100)
				}
				r.closed(0)
			}
			ids, pending := r.left()
			if len(ids) != 8*1100 || pending != 0 {
				t.Errorf("%d entries are left for the other group and %d pending of ours", len(ids), pending)
			}
		})
	}
}

func TestKeptWindowsAreReadAgainWhenThatHelps(t *testing.T) {
	const n = 20
	for name, c := range map[string]struct {
		meanwhile func(r *rig)
		windows   []string
		left      int
	}{
		"the other group stands still":         {func(*rig) {}, []string{"10:25"}, 5 * n},
		"it has read half of the first window": {func(r *rig) { r.readOthers(n / 2) }, []string{"10:25"}, 5 * n},
		"it has read the first window":         {func(r *rig) { r.readOthers(n) }, []string{"10:05", "10:25"}, 4 * n},
		"it has read two windows and a half":   {func(r *rig) { r.readOthers(2*n + n/2) }, []string{"10:05", "10:25", "10:10"}, 3 * n},
		"it has read all":                      {func(r *rig) { r.readOthers(100 * n) }, []string{"10:05", "10:25", "10:10", "10:15", "10:20"}, n},
		"it has claimed all, and acked nothing": {func(r *rig) {
			r.do("XREADGROUP", "GROUP", "other", "c", "COUNT", 1000, "STREAMS", r.client.Name(event.Likes), ">")
		}, []string{"10:25"}, 5 * n},
		"it is destroyed": {func(r *rig) { r.do("XGROUP", "DESTROY", r.client.Name(event.Likes), "other") }, []string{"10:05", "10:25", "10:10", "10:15", "10:20"}, 0},
		"a third group comes, and has read nothing": {func(r *rig) {
			r.readOthers(100 * n)
			r.do("XGROUP", "CREATE", r.client.Name(event.Likes), "third", "0")
		}, []string{"10:25"}, 5 * n},
		"our own group is destroyed": {func(r *rig) { r.do("XGROUP", "DESTROY", r.client.Name(event.Likes), "datawriter") }, []string{"10:05", "10:25", "10:10", "10:15", "10:20"}, 5 * n},
		"the server is another": {func(r *rig) {
			r.server.Restart()
			client, err := stream.Open(stream.Config{URL: r.server.URL()})
			if err != nil {
				r.Fatal(err)
			}
			r.Cleanup(func() { _ = client.Close() })
			r.client = client // the connections of the other are broken
		}, []string{"10:05", "10:25", "10:10", "10:15", "10:20"}, 5 * n},
	} {
		t.Run(name, func(t *testing.T) {
			r := newShared(t, "--appendonly", "yes", "--appendfsync", "always")
			for k := range 4 {
				r.many(later(win, k), n)
				r.drain(later(win, k))
			}
			files := r.files()
			c.meanwhile(r)
			r.many(later(win, 4), n)
			r.want("windows", starts(r.drain(later(win, 4))), c.windows...)
			ids, pending := r.left()
			if len(ids) != c.left || pending != 0 {
				t.Errorf("%d entries are left and %d pending, want %d", len(ids), pending, c.left)
			}
			for path, content := range r.files() {
				if old, ok := files[path]; ok && old != content {
					t.Errorf("%s changed", path)
				}
			}
			r.drain(later(win, 5)) // whatever happened, the account closes by the next run
			r.closed(0)
		})
	}
}

// TestLossesAreSeenWhileAnotherGroupStandsStill: the account closes around what is kept.
func TestLossesAreSeenWhileAnotherGroupStandsStill(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(r *rig)
		lost      int64
	}{
		"nothing is deleted": {func(*rig) {}, 0},
		"entries of a window to come": {func(r *rig) {
			r.do("XDEL", r.client.Name(event.Likes), fmt.Sprintf("%d-0", later(win, 3).StartMS()), fmt.Sprintf("%d-0", later(win, 3).StartMS()+1))
		}, 2},
		"entries that are kept, and in files": {func(r *rig) {
			r.do("XDEL", r.client.Name(event.Likes), fmt.Sprintf("%d-0", win.StartMS()), fmt.Sprintf("%d-0", win.StartMS()+1))
		}, 0},
		"of both": {func(r *rig) {
			r.do("XDEL", r.client.Name(event.Likes), fmt.Sprintf("%d-0", win.StartMS()), fmt.Sprintf("%d-0", later(win, 3).StartMS()))
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newShared(t)
			for k := range 3 {
				r.many(later(win, k), 20)
				r.drain(later(win, k))
			}
			r.many(later(win, 3), 20)
			r.drain(later(win, 2)) // has seen them
			c.meanwhile(r)
			records, err := r.drainer().Run(context.Background(), later(win, 3))
			var lost int64
			for _, record := range records {
				for _, l := range record.Kinds[event.Likes].Losses {
					lost += l.Count
				}
			}
			if lost != c.lost || errors.Is(err, drain.ErrLost) != (c.lost > 0) {
				t.Errorf("%d are lost, %v; want %d", lost, err, c.lost)
			}
		})
	}
}

func TestOtherGroupsAreNamed(t *testing.T) {
	r := newShared(t)
	r.do("XGROUP", "CREATE", r.client.Name(event.Likes), "reads", "0")
	r.many(win, 3)
	r.do("XREADGROUP", "GROUP", "reads", "c", "NOACK", "COUNT", 9, "STREAMS", r.client.Name(event.Likes), ">")
	d := r.drainer()
	if _, err := d.Run(context.Background(), win); err != nil {
		t.Fatal(err)
	}
	found := d.Streams()
	if len(found) != 1 || found[0].Kind != event.Likes || len(found[0].Others) != 2 {
		t.Fatalf("found %+v", found)
	}
	for _, o := range found[0].Others {
		if forgotten := o.BehindSeconds > 3600; forgotten != (o.Group == "other") {
			t.Errorf("found %+v", o)
		}
	}
	_, _, messages := r.heard(win.Next())
	var said int
	for _, m := range messages {
		if m == "another group keeps entries in the stream that it does not read: destroy it if it is forgotten" {
			said++
		}
	}
	if said != 1 {
		t.Errorf("the log names %d forgotten groups, want one: %q", said, messages)
	}
}
