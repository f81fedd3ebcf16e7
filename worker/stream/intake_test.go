package stream_test

import (
	"errors"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

const alive = 200 * time.Millisecond

func TestABatchOfAFeedIsOneStep(t *testing.T) {
	_, c, likes := open(t)
	i := c.Intake(likes.Name(), 0)
	state, err := i.Take(t.Context(), "a:1", alive)
	ok(t, err)
	equal(t, "position at first", state.Position, "")
	ok(t, c.Feed(t.Context(), "a:1", []*stream.Intake{i}, []stream.IntakeBatch{{Events: [][]byte{[]byte("x"), []byte("y")}, Position: "p1", Seen: []byte("s1")}}))
	ok(t, c.Feed(t.Context(), "a:1", []*stream.Intake{i}, []stream.IntakeBatch{{Events: [][]byte{[]byte("z")}, Position: "p2", Seen: []byte("s2"), Forget: 1}}))
	ok(t, c.Feed(t.Context(), "a:1", []*stream.Intake{i}, []stream.IntakeBatch{{Position: "p3"}}))
	again := c.Intake(likes.Name(), 0)
	state, err = again.Take(t.Context(), "a:2", alive)
	ok(t, err)
	equal(t, "position", state.Position, "p3")
	equal(t, "seen", len(state.Seen), 1)
	equal(t, "seen", string(state.Seen[0]), "s2")
	equal(t, "length", c.Redis().XLen(t.Context(), likes.Name()).Val(), int64(3))
	equal(t, "the event", c.Redis().XRange(t.Context(), likes.Name(), "-", "+").Val()[2].Values["event"], any("z"))

	err = c.Feed(t.Context(), "a:1", []*stream.Intake{i}, []stream.IntakeBatch{{Events: [][]byte{[]byte("late")}, Position: "p4"}})
	if !errors.Is(err, stream.ErrStale) {
		t.Errorf("a batch of the session before: %v", err)
	}
	equal(t, "length", c.Redis().XLen(t.Context(), likes.Name()).Val(), int64(3))
}

func TestAFeedIsRefusedToOthersWhileItsOwnerLives(t *testing.T) {
	_, c, likes := open(t)
	i, other := c.Intake(likes.Name(), 0), c.Intake(likes.Name(), 0)
	_, err := i.Take(t.Context(), "a:1", time.Hour)
	ok(t, err)
	if _, err := other.Take(t.Context(), "b:1", time.Hour); !errors.Is(err, stream.ErrFed) {
		t.Errorf("another process takes over from a living one: %v", err)
	}
	if _, err = other.Take(t.Context(), "b:1", 0); err != nil {
		t.Errorf("and not from a dead one: %v", err)
	}
	if err := c.Feed(t.Context(), "a:1", []*stream.Intake{i}, []stream.IntakeBatch{{Position: "p"}}); !errors.Is(err, stream.ErrStale) {
		t.Errorf("the dead one feeds: %v", err)
	}
	ok(t, other.Leave(t.Context(), "b:1"))
	_, err = i.Take(t.Context(), "a:2", time.Hour)
	ok(t, err)
}

// TestARedisThatWentBackIsNoticed: a crash takes the last second of the
// append-only file away, entries and position alike.
func TestARedisThatWentBackIsNoticed(t *testing.T) {
	_, c, likes := open(t)
	i := c.Intake(likes.Name(), 0)
	_, err := i.Take(t.Context(), "a:1", alive)
	ok(t, err)
	ok(t, c.Feed(t.Context(), "a:1", []*stream.Intake{i}, []stream.IntakeBatch{{Events: [][]byte{[]byte("x")}, Position: "p1"}}))
	keys := []string{likes.Name(), likes.Name() + ":ingest"}
	var dumps []string
	for _, key := range keys {
		dumps = append(dumps, c.Redis().Dump(t.Context(), key).Val())
	}
	ok(t, c.Feed(t.Context(), "a:1", []*stream.Intake{i}, []stream.IntakeBatch{{Events: [][]byte{[]byte("y")}, Position: "p2"}}))
	for n, key := range keys {
		ok(t, c.Redis().RestoreReplace(t.Context(), key, 0, dumps[n]).Err())
	}
	err = c.Feed(t.Context(), "a:1", []*stream.Intake{i}, []stream.IntakeBatch{{Events: [][]byte{[]byte("z")}, Position: "p3"}})
	if !errors.Is(err, stream.ErrStale) {
		t.Errorf("the owner is the same, the number of the batch is not: %v", err)
	}
}

func TestAFullRedisTakesNoPartOfABatch(t *testing.T) {
	_, c, likes := open(t, "--maxmemory-policy", "noeviction")
	i := c.Intake(likes.Name(), 0)
	_, err := i.Take(t.Context(), "a:1", alive)
	ok(t, err)
	batch := []stream.IntakeBatch{{Events: [][]byte{[]byte("x")}, Position: "p1"}}
	ok(t, c.Redis().ConfigSet(t.Context(), "maxmemory", "1").Err())
	if err := c.Feed(t.Context(), "a:1", []*stream.Intake{i}, batch); !errors.Is(err, stream.ErrRefused) {
		t.Errorf("a full redis: %v", err)
	}
	ok(t, c.Redis().ConfigSet(t.Context(), "maxmemory", "0").Err())
	ok(t, c.Feed(t.Context(), "a:1", []*stream.Intake{i}, batch))
	equal(t, "length", c.Redis().XLen(t.Context(), likes.Name()).Val(), int64(1))
}

// cutIntake returns the feed of a stream that is cut to about 100 entries, and 1000
// events for it.
func cutIntake(t *testing.T) (c *stream.Client, i *stream.Intake, events [][]byte) {
	t.Helper()
	_, c, _ = open(t)
	i = c.Intake(c.Name(event.Identity), 100)
	_, err := i.Take(t.Context(), "a:1", alive)
	ok(t, err)
	for range 1000 {
		events = append(events, []byte("x"))
	}
	return c, i, events
}

func TestAStreamThatNobodyDrainsIsCut(t *testing.T) {
	c, i, events := cutIntake(t)
	ok(t, c.Feed(t.Context(), "a:1", []*stream.Intake{i}, []stream.IntakeBatch{{Events: events}}))
	if n := c.Redis().XLen(t.Context(), i.Name()).Val(); n < 100 || n > 250 {
		t.Errorf("%d entries are left of 1000", n)
	}
}

// TestAStreamThatSomebodyDrainsIsNotCut: what its group has not read would be lost.
func TestAStreamThatSomebodyDrainsIsNotCut(t *testing.T) {
	c, i, events := cutIntake(t)
	feed := func(want int64) {
		t.Helper()
		ok(t, c.Feed(t.Context(), "a:1", []*stream.Intake{i}, []stream.IntakeBatch{{Events: events}}))
		if n := c.Redis().XLen(t.Context(), i.Name()).Val(); n < want || n > want+150 {
			t.Errorf("%d entries, want %d or some more", n, want)
		}
	}
	feed(100)
	before := c.Redis().XLen(t.Context(), i.Name()).Val()
	ok(t, c.Stream(event.Identity).EnsureGroup(t.Context()))
	feed(before + 1000)
	feed(before + 2000)
	ok(t, c.Redis().XGroupDestroy(t.Context(), i.Name(), stream.DefaultGroup).Err())
	feed(100)
	c.Redis().Del(t.Context(), i.Name())
	ok(t, c.Redis().Set(t.Context(), i.Name(), "no stream", 0).Err())
	err := c.Feed(t.Context(), "a:1", []*stream.Intake{i}, []stream.IntakeBatch{{Events: events}})
	if !errors.Is(err, stream.ErrMisconfigured) {
		t.Errorf("groups that cannot be looked at: %v", err)
	}
}
