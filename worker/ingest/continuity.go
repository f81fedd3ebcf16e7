package ingest

import (
	"math"
	"time"
)

// graceEvents after which a connection that has shown nothing known has a gap
// before it. Servers replay in order but for a few events that jump ahead.
const graceEvents = 5000

// continuity decides whether a connection continues where the last one ended.
// Neither wire says so, and the first moves a position that is too old silently
// to what it still has. But a connection begins before its position: what it
// delivers first was stored already, or there is a gap.
type continuity struct {
	low    position // where the lanes stood when the connection began
	same   bool     // the host and wire that timed that position
	doubt  bool     // nothing is proven yet
	first  time.Time
	count  int
	oldest int64 // time of the oldest event delivered, microseconds
}

func newContinuity(low position, same bool) *continuity {
	return &continuity{low: low, same: same, doubt: !low.none(), oldest: math.MaxInt64}
}

// delivered notes an event; known says that it is one that was stored before the
// doubt began.
func (c *continuity) delivered(us int64, known bool, now time.Time) {
	if !c.doubt {
		return
	}
	if known || c.same && us <= c.low.TimeUS {
		c.doubt = false
		return
	}
	if c.count == 0 {
		c.first = now
	}
	c.count++
	c.oldest = min(c.oldest, us)
}

// broken reports that the proof has not come and will not come.
func (c *continuity) broken(now time.Time, grace time.Duration) bool {
	return c.doubt && c.count > 0 && (c.count >= graceEvents || now.Sub(c.first) >= grace)
}

// gap returns what is missing.
func (c *continuity) gap(host string, wire Wire, now time.Time) Gap {
	return Gap{After: c.low.time(), Until: time.UnixMicro(c.oldest).UTC(), Host: host, Wire: wire, Noticed: now.UTC()}
}
