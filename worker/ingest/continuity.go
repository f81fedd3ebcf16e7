package ingest

import (
	"math"
	"time"
)

const (
	// graceEvents after which a connection that has shown nothing known has a gap
	// before it.
	graceEvents = 5000
	// provenBy is how many known events prove it whatever their times: times that
	// an operator imported say nothing.
	provenBy = 2000
	// overlap is how far behind where it began another host must deliver something
	// known. Hosts do not agree on the order of events within a few seconds.
	overlap = 5 * time.Second
)

// continuity decides whether a connection continues where the last one ended.
//
// A number that a host accepts continues there. The older wire moves one that is
// too old without a word, so there something at or before the position has to
// come. A time does not prove anything by being accepted: something known has to
// come, or, from the legacy server that timed the position, something not newer.
type continuity struct {
	low   position // where the lanes stood when the connection began
	asked cursor
	wire  Wire
	same  bool // times are of the legacy server that timed the position
	doubt bool // nothing is proven yet

	marked    bool // the position has marks: a number proves something when one of them has come
	known     int
	first     time.Time // when the first event came
	count     int       // of events that nobody had stored
	oldest    int64     // time of the oldest event delivered, microseconds
	certain   bool      // the host has said or shown that there is a gap
	beginsSeq int64     // what it still has begins there; 0 is not known
	later     int64     // time of the first event that is later than the position
}

func newContinuity(low position, host string, wire Wire, asked cursor) *continuity {
	c := &continuity{low: low, asked: asked, wire: wire, doubt: !low.none(), oldest: math.MaxInt64}
	c.same = asked.seq == 0 && wire == V1 && low.Host == host && low.Seq == 0 && low.Wire == V1
	if asked.skips {
		c.certain, c.beginsSeq = true, asked.seq
	}
	return c
}

// begins notes that the host says what it still has begins at a number. Whether
// that is a gap is seen by what comes.
func (c *continuity) begins(seq int64) { c.beginsSeq = seq }

// delivered notes an event; known says that it is one that was stored before the
// doubt began, stored that it is one at all: such a one is no sign of a gap.
func (c *continuity) delivered(p place, known, stored bool, now time.Time) {
	if !c.doubt {
		return
	}
	if c.first.IsZero() {
		c.first = now
		if c.asked.seq > 0 && !c.certain {
			c.firstNumber(p.seq)
		}
	}
	if !stored {
		c.count++
	}
	if p.us >= c.asked.us { // one that is older was imported: it is no end of a gap
		c.oldest = min(c.oldest, p.us)
	}
	if p.us > c.low.TimeUS && c.later == 0 {
		c.later = p.us
	}
	switch {
	case c.asked.seq > 0:
	case c.same && (known || p.us <= c.low.TimeUS):
		c.doubt = false
	case known:
		c.known++
		if p.us >= c.asked.us+overlap.Microseconds() || c.known >= provenBy {
			c.doubt = false
		}
	}
}

// firstNumber judges by the first event of a connection that asked for a number.
func (c *continuity) firstNumber(seq int64) {
	if c.wire == V1 && seq > c.low.Seq+1 {
		c.certain, c.beginsSeq = true, seq
		return
	}
	c.doubt = c.marked
}

// numbersShown notes that an event came under the number it had.
func (c *continuity) numbersShown() {
	if c.asked.seq > 0 && !c.certain {
		c.doubt = false
	}
}

// broken reports that the proof has not come and will not come.
func (c *continuity) broken(now time.Time, grace time.Duration) bool {
	if !c.doubt || c.first.IsZero() || c.asked.seq > 0 && !c.certain { // a number is shown, or refused, by what comes
		return false
	}
	return c.certain && c.later > 0 || c.count >= graceEvents || now.Sub(c.first) >= grace
}

// gap returns what is missing.
func (c *continuity) gap(host string, wire Wire, now time.Time) Gap {
	if c.oldest == math.MaxInt64 {
		c.oldest = now.UnixMicro()
	}
	g := Gap{After: c.low.time(), Until: time.UnixMicro(c.oldest).UTC(), Host: host, Wire: wire, Noticed: now.UTC(), UntilSeq: c.beginsSeq}
	if c.asked.seq > 0 {
		g.AfterSeq = c.low.Seq
		// Imported times may be older than the position: the gap ends where the
		// times go on.
		if g.Until = now.UTC(); c.later > 0 {
			g.Until = time.UnixMicro(c.later).UTC()
		}
	}
	return g
}
