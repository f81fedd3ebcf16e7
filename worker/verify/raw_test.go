package verify_test

import (
	"fmt"
	"strings"
	"testing"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/window"
)

// rawEvent returns an event of a raw kind; n makes it differ from others.
func rawEvent(kind event.Kind, n int) string {
	return fmt.Sprintf(`{"did":"did:plc:a", "time_us":1783175888218287,"kind":"%s","%[1]s":{"seq":%d}}`, kind, n)
}

// fillRaw adds events of both raw kinds, and one that is none, to a window.
func (p *place) fillRaw(w window.Window) {
	p.Helper()
	for _, kind := range event.RawKinds() {
		for n := range 5 {
			p.add(kind, w, uint64(n), rawEvent(kind, n))
		}
		p.add(kind, w, 1000, broken)
	}
}

var (
	identity1 = sink.Name{Window: w1, Kind: event.Identity}
	identity2 = sink.Name{Window: w2, Kind: event.Identity}
)

// rawArchive drains three windows, each with both raw kinds.
func rawArchive(t *testing.T) *place {
	t.Helper()
	p := newPlace(t, streamtest.Start(t))
	for _, w := range []window.Window{w1, w2, w3} {
		p.fill(w)
		p.fillRaw(w)
		p.drain(w, event.RawKinds()...)
	}
	return p
}

func TestRawKindsAreVerifiedLikeTheOthers(t *testing.T) {
	p := rawArchive(t)
	for _, a := range []asks{nothingElse, theRunLog, theStreams} {
		if r := p.want(a); r.Windows != 3 || r.Files != 3*(7+1+2) || r.Rows != 3*(70+2*5) || r.Rejects != 3*(1+2) {
			t.Errorf("it saw %+v", r)
		}
	}
	for _, c := range []struct {
		name   string
		damage func(p *place)
		want   []string
	}{
		{"a part between others is gone", func(p *place) { p.remove(identity2, rejectsOf(identity2)) }, []string{"missing"}},
		{"an event is another's", func(p *place) {
			p.rewriteRows(identity1, func(c *content[event.Row]) { c.rows[0].EventJSON = event.Text(rawEvent(event.Identity, 99)) })
		}, []string{"hash"}},
		{"an event is of the other kind", func(p *place) {
			p.rewriteRows(identity1, func(c *content[event.Row]) { c.rows[0].EventJSON = event.Text(rawEvent(event.Account, 0)) })
		}, []string{"hash", "rows"}},
		{"a did is not the event's", func(p *place) {
			p.rewriteRows(identity1, func(c *content[event.Row]) { c.rows[0].DID = event.Text("did:plc:b") })
		}, []string{"rows"}},
		{"an event is empty", func(p *place) {
			p.rewriteRows(identity1, func(c *content[event.Row]) { c.rows[0].EventJSON = event.Text{} })
		}, []string{"hash", "rows"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			damaged := p.copy(t)
			c.damage(damaged)
			damaged.want(nothingElse, c.want...)
		})
	}
}

func rejectsOf(n sink.Name) sink.Name { n.Rejects = true; return n }

// TestARawKindIsMissingOnlyBetweenItsOwnParts: it is drained from when it is asked
// for, until it no longer is.
func TestARawKindIsMissingOnlyBetweenItsOwnParts(t *testing.T) {
	p := newPlace(t, streamtest.Start(t))
	p.fill(w1)
	p.fillRaw(w2) // of which only a run that is asked for them may take something
	p.drain(w1)
	p.drain(w2, event.Identity)
	p.drain(w3)
	for _, a := range []asks{nothingElse, theRunLog, theStreams} {
		p.want(a)
	}
	p.drain(after, event.Identity) // catches up with the third
	r := p.want(theStreams)
	if r.Windows != 4 {
		t.Errorf("%d windows", r.Windows)
	}
	p.remove(sink.Name{Window: w3, Kind: event.Identity})
	r = p.want(nothingElse, "missing")
	if len(r.Violations) != 1 || !strings.Contains(r.Violations[0].String(), "--also identity") || *r.Violations[0].Window != w3 {
		t.Errorf("the violations are\n%s", lines(r))
	}
}

func TestWhatIsLeftOfARawKindIsSeen(t *testing.T) {
	p := newPlace(t, streamtest.Start(t))
	p.drain(w1, event.Account)
	p.do("DEL", p.client.Name(event.Account)) // and with it the fence
	p.add(event.Account, w1, 7, rawEvent(event.Account, 7))
	p.want(theStreams, "drained")
	p.drain(w1, event.Account)
	p.want(theStreams)
}
