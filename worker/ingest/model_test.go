package ingest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"datawriter/worker/event"
)

func idOf(n int) identity { return identity{a: uint64(n) * 0x9e3779b97f4a7c15, b: uint64(n)} }

// TestNumbersThatAHostGivesAgainAreNoticed: a server of the second kind that is
// killed loses its last block and gives those numbers again.
func TestNumbersThatAHostGivesAgainAreNoticed(t *testing.T) {
	const stored = 20_000 // numbers, each with the event of that number
	var before numbering
	for n := 1; n <= stored; n++ {
		before.delivered(int64(n), idOf(n))
	}
	for _, c := range []struct {
		what    string
		event   func(seq int) int // which event the host has under a number
		from    int
		verdict verdict
		at      int
	}{
		{"all is as it was", func(seq int) int { return seq }, stored - seqMargin, asBefore, 0},
		{"a block was lost, and its events come in another order", func(seq int) int {
			if seq > stored-blockEvents {
				return seq + 7
			}
			return seq
		}, stored - seqMargin, wentBack, stored - blockEvents},
		{"the store was made new", func(seq int) int { return seq + 1_000_000 }, stored - seqMargin, unknown, stored - seqMargin},
		{"what was marked has been deleted", func(seq int) int {
			if seq <= stored {
				return 0
			}
			return seq
		}, stored - seqMargin, unknown, stored},
		{"only the newest is still there", func(seq int) int {
			if seq < stored {
				return 0
			}
			return seq
		}, stored - seqMargin, asBefore, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			n := newNumbering(before.marks())
			for seq := c.from; seq <= stored+5000; seq++ {
				which := c.event(seq)
				if which == 0 {
					continue // no event has that number
				}
				if v := n.delivered(int64(seq), idOf(which)); v != asBefore {
					if v != c.verdict || seq < c.at || seq > c.at+marksApart+1 {
						t.Errorf("at number %d the verdict is %v, want %v soon behind %d", seq, v, c.verdict, c.at)
					}
					return
				}
			}
			if c.verdict != asBefore {
				t.Error("nothing was noticed")
			}
		})
	}
}

func TestMarksSurviveTheirText(t *testing.T) {
	var n numbering
	for seq := int64(1); seq < 3*seqMargin; seq += 3 {
		n.delivered(seq, idOf(int(seq)))
	}
	list := n.marks().list()
	if len(list) != marksKept+1 || marksText(list) != n.marks() || list[len(list)-1] != n.newest {
		t.Errorf("%d marks: %q", len(list), n.marks())
	}
	if oldest := list[0].seq; oldest > n.newest.seq-seqMargin+marksApart {
		t.Errorf("the oldest mark is %d, only %d before the newest", oldest, n.newest.seq-oldest)
	}
	if len(marks("x y:z 5").list()) != 0 {
		t.Error("what is no mark is read as one")
	}
}

// TestWhatProvesThatAConnectionContinues has a row for each rule of DESIGN.
func TestWhatProvesThatAConnectionContinues(t *testing.T) {
	const us, seq = int64(1_700_000_000_000_000), int64(50_000)
	second := time.Second.Microseconds()
	numbered := position{TimeUS: us, Seq: seq, Host: "a", Wire: V2, Marks: "1:1"}
	legacy := position{TimeUS: us, Host: "a", Wire: V1}
	type came struct {
		us, seq int64
		known   bool
	}
	skips := seqCursor(seq + 500)
	skips.skips = true
	for _, c := range []struct {
		what  string
		low   position
		host  string
		wire  Wire
		asked cursor
		came  []came
		want  string // continues, doubt, or gap
	}{
		{"v2 took the number", numbered, "a", V2, seqCursor(seq - seqMargin), []came{{us - second, seq - 100, false}}, "continues"},
		{"v2 took the number, and all that was near it has been deleted", numbered, "a", V2, seqCursor(seq - seqMargin), []came{{us + second, seq + 10, false}}, "continues"},
		{"v2 said that the number is too old", numbered, "a", V2, skips, []came{{us + second, seq + 500, false}}, "gap"},
		{"v2 said so, and what it has bears imported times", numbered, "a", V2, skips, []came{{us - 1e12, seq + 500, false}, {us - 1e12, seq + 501, false}}, "doubt"},
		{"v2 said so, and times go on behind imported ones", numbered, "a", V2, skips, []came{{us - 1e12, seq + 500, false}, {us + 9, seq + 501, false}}, "gap"},
		{"the older wire begins at or before the number", numbered, "a", V1, seqCursor(seq - seqMargin), []came{{us, seq, true}}, "continues"},
		{"the older wire moved the number in silence", numbered, "a", V1, seqCursor(seq - seqMargin), []came{{us + second, seq + 2, false}}, "gap"},
		{"the legacy server has an event that is not newer", legacy, "a", V1, timeCursor(us - 2*second), []came{{us, 0, false}}, "continues"},
		{"the legacy server begins later", legacy, "a", V1, timeCursor(us - 2*second), []came{{us + second, 0, false}}, "doubt"},
		{"another host sends something known", legacy, "b", V1, timeCursor(us - 60*second), []came{{us - 50*second, 0, true}}, "continues"},
		{"another host sends something known only where it begins", legacy, "b", V1, timeCursor(us - 60*second), []came{{us - 59*second, 0, true}}, "doubt"},
		{"another host sends an old time that was imported", numbered, "b", V2, timeCursor(us - 60*second), []came{{us - 1e12, 9, false}}, "doubt"},
		{"another host sends something known with an imported time", numbered, "b", V2, timeCursor(us - 60*second), []came{{us - 1e12, 9, true}}, "doubt"},
		{"nothing has come", legacy, "b", V1, timeCursor(us - 60*second), nil, "doubt"},
		{"there is no position", position{}, "a", V1, cursor{}, nil, "continues"},
	} {
		t.Run(c.what, func(t *testing.T) {
			now := time.Now()
			k := newContinuity(c.low, c.host, c.wire, c.asked)
			for _, e := range c.came {
				k.delivered(place{e.us, e.seq}, e.known, e.known, now)
			}
			got := "continues"
			switch {
			case k.broken(now, time.Hour):
				got = "gap"
			case k.doubt:
				got = "doubt"
			}
			if got != c.want {
				t.Errorf("it is %q, want %q", got, c.want)
			}
			if got == "gap" {
				if g := k.gap(c.host, c.wire, now); g.AfterSeq != seq || g.UntilSeq <= seq || !g.Until.After(g.After) {
					t.Errorf("the gap is %+v", g)
				}
			}
			if len(c.came) > 0 && got == "doubt" && !k.broken(now.Add(2*time.Hour), time.Hour) {
				t.Error("the doubt never ends")
			}
			if g := k.gap(c.host, c.wire, now); got == "doubt" && len(c.came) > 0 && g.Until.Before(time.UnixMicro(c.asked.us)) {
				t.Errorf("the gap that it comes to ends at an imported time: %+v", g)
			}
		})
	}
}

func TestWhereAConnectionBegins(t *testing.T) {
	o, err := Options{Hosts: []string{"a"}}.completed()
	if err != nil {
		t.Fatal(err)
	}
	const us, seq = int64(1_700_000_000_000_000), int64(50_000)
	numbered := position{TimeUS: us, Seq: seq, Host: "a", Wire: V2, Marks: "1:1"}
	older := position{TimeUS: us, Seq: seq, Host: "a", Wire: V2}
	legacy := position{TimeUS: us, Host: "a", Wire: V1}
	minute := time.Minute.Microseconds()
	for _, c := range []struct {
		what  string
		from  position
		ask   asking
		since int64
		want  cursor
	}{
		{"the same v2 host: two blocks before", numbered, asking{host: "a", wire: V2}, us, seqCursor(seq - seqMargin)},
		{"its older wire has the same numbers", numbered, asking{host: "a", wire: V1}, us, seqCursor(seq - seqMargin)},
		{"the position of an older version: what it remembers", older, asking{host: "a", wire: V2}, us, seqCursor(seq - nearMargin)},
		{"it has said what it still has, and that is before the position", numbered, asking{host: "a", wire: V2, floor: seq}, us, seqCursor(seq)},
		{"it has said what it still has: a gap", numbered, asking{host: "a", wire: V2, floor: seq + 2}, us, cursor{text: "50002", seq: seq + 2, skips: true}},
		{"its numbers are others", numbered, asking{host: "a", wire: V2, byTime: true}, us, timeCursor(us - minute)},
		{"another host", numbered, asking{host: "b", wire: V2}, us, timeCursor(us - minute)},
		{"the same legacy host", legacy, asking{host: "a", wire: V1}, us, timeCursor(us - 2_000_000)},
		{"that host was upgraded in place", legacy, asking{host: "a", wire: V2}, us, timeCursor(us - minute)},
		{"that host was upgraded in place, and serves only the older wire", legacy, asking{host: "a", wire: V1, numbers: true}, us, timeCursor(us - minute)},
		{"another host that showed nothing known: as far back as is remembered", legacy, asking{host: "b", wire: V1, wide: true}, us - 10*minute, timeCursor(us - 9*minute)},
	} {
		if got := o.from(c.from, c.ask, c.since); got != c.want {
			t.Errorf("%s: it asks for %+v, want %+v", c.what, got, c.want)
		}
	}
}

// TestAReplayOfTheLegacyServerCountsUpToWhatIsLive: behind that it may leave
// events out, without a word.
func TestAReplayOfTheLegacyServerCountsUpToWhatIsLive(t *testing.T) {
	const us = int64(1_700_000_000_000_000)
	second := time.Second.Microseconds()
	began := time.Now()
	var c crossing
	if c.replay(us, began, 2*time.Second) != nil || c.place() != us {
		t.Error("before anything is live, a replay counts")
	}
	if c.live(us+10*second, began, us) != nil || c.place() != us {
		t.Error("what is live moves the position")
	}
	if c.replay(us+8*second, began, 2*time.Second) != nil || c.place() != us+8*second {
		t.Error("a second before what is live a replay counts")
	}
	if err := c.replay(us+9*second+1, began, 2*time.Second); !errors.Is(err, errCross) || c.place() != us+8*second {
		t.Errorf("within a second of what is live a replay counts: %v", err)
	}
	if err := c.live(us+30*second, began, us); err != nil {
		t.Error(err)
	}
	later := began.Add(2 * time.Second)
	if c.replay(us+9*second+1, later, 2*time.Second) != nil || c.place() != us+9*second+1 {
		t.Error("a replay that was asked for later does not count across it")
	}
	if err := c.replay(us+10*second, later, 2*time.Second); !errors.Is(err, errJoined) || c.place() != us+30*second {
		t.Errorf("it has not met what is live: %v, %d", err, c.place()-us)
	}

	var old crossing
	if err := old.live(us+61*second, began, us); !errors.Is(err, errFar) {
		t.Errorf("more than a minute behind, what is live is read: %v", err)
	}
	if err := old.replay(us+61*second, later, 2*time.Second); !errors.Is(err, errCross) {
		t.Errorf("a replay counts where it may have holes: %v", err)
	}
}

// TestPositionsOfAnOlderVersionAreTaken: no marks, and on the older wire of a
// server that numbers, its numbers as well.
func TestPositionsOfAnOlderVersionAreTaken(t *testing.T) {
	p, err := parsePosition(`{"time_us":5,"seq":7,"host":"ws://a","wire":"v1","doubt":3,"connection":4}`)
	if err != nil || p != (position{TimeUS: 5, Seq: 7, Host: "ws://a", Wire: V1, Doubt: 3, Connection: 4}) {
		t.Errorf("%+v, %v", p, err)
	}
	up := p.raised(position{TimeUS: 9, Seq: 8, Host: "ws://a", Wire: V2, Marks: "8:1"})
	if up.Seq != 8 || up.Wire != V2 || up.Marks != "8:1" {
		t.Errorf("the newer wire of the same host continues it as %+v", up)
	}
	if other := p.raised(position{TimeUS: 4, Seq: 900, Host: "ws://b", Wire: V2}); other != p {
		t.Errorf("another host's place before the position replaces it: %+v", other)
	}
}

// TestAnIdentityEventIsWhatItSays: a server that was killed sends it again under
// another number and at another time, and servers order its members differently.
func TestAnIdentityEventIsWhatItSays(t *testing.T) {
	var ids identifier
	var one, two event.Envelopes
	of := func(text string) identity {
		e, ok := one.Read([]byte(text))
		if !ok {
			t.Fatalf("not read: %s", text)
		}
		return ids.of(&e)
	}
	first := of(`{"did":"d","time_us":1,"cursor":5,"kind":"identity","identity":{"did":"d","handle":"h","seq":9,"time":"t"}}`)
	for what, text := range map[string]string{
		"another number and time": `{"did":"d","time_us":2,"cursor":6,"kind":"identity","identity":{"did":"d","handle":"h","seq":9,"time":"t"}}`,
		"another order":           `{"kind":"identity","identity":{"time":"t","seq":9,"handle":"h","did":"d"},"did":"d","time_us":1}`,
	} {
		if of(text) != first {
			t.Errorf("%s makes it another event", what)
		}
	}
	frame, ok := two.ReadFrame([]byte(`{"$type":"message","payload":{"$type":"n#identity","seq":77,"did":"d","time":"2026-07-04T14:38:08Z","identity":{"$type":"x","did":"d","handle":"h","seq":9,"time":"t"}}}`))
	if !ok || ids.of(&frame.Event) != first {
		t.Error("the newer wire makes it another event")
	}
	for what, text := range map[string]string{
		"another handle":               `{"did":"d","time_us":1,"kind":"identity","identity":{"did":"d","handle":"i","seq":9,"time":"t"}}`,
		"another number of the relay":  `{"did":"d","time_us":1,"kind":"identity","identity":{"did":"d","handle":"h","seq":8,"time":"t"}}`,
		"an account event of the same": `{"did":"d","time_us":1,"kind":"account","account":{"did":"d","handle":"h","seq":9,"time":"t"}}`,
		"members that swapped values":  `{"did":"d","time_us":1,"kind":"identity","identity":{"did":"h","handle":"d","seq":9,"time":"t"}}`,
	} {
		if of(text) == first {
			t.Errorf("%s is taken for the same event", what)
		}
	}
}

func TestTheLastEventsAreRememberedHoweverOldTheyAre(t *testing.T) {
	s := newSeen()
	for n := range 10 {
		b := blob{newest: int64(n), connection: 1}
		for i := range 100 {
			id := idOf(n*100 + i)
			s.add(id, 1)
			b.ids = append(b.ids, id)
		}
		s.keep(b)
	}
	if n, early := s.forget(1000, 450, 1_000_000); n != 5 || early != 0 || s.len() != 500 || s.since() != 5 {
		t.Errorf("%d blobs are forgotten, %d early, %d events left since %d", n, early, s.len(), s.since())
	}
	if n, early := s.forget(0, 450, 300); n != 2 || early != 200 {
		t.Errorf("%d blobs above the most are forgotten, %d events early", n, early)
	}
}

func TestTheNumberInWhatAServerSays(t *testing.T) {
	for message, want := range map[string]int64{
		"subscribe: cursor too old: cursor 5 below lookback floor 1234; re-backfill from your last seq": 1234,
		"cursor 5 below lookback floor 77": 77, "floor": 0, "floor x": 0, "": 0,
	} {
		if got := numberBehind(message, "floor "); got != want {
			t.Errorf("in %q it is %d, want %d", message, got, want)
		}
	}
	if got := numberBehind("requested timestamp cursor below retention floor; starting at seq 42", "seq "); got != 42 {
		t.Error(fmt.Sprint(got))
	}
}
