package ingest

import "time"

// hosts chooses whom to ask next. Positions belong to a host, so it stays with
// one as long as that works.
type hosts struct {
	all    []*hostState
	now    int
	wanted Wire
}

type hostState struct {
	address string
	old     bool // ask it by the older wire this time, where both are allowed
	// numbers: it sent events with numbers on the older wire, as a server of the
	// second kind does there.
	numbers bool
	byTime  bool  // the number is another's, or too old there
	near    bool  // begin not far before the position this time
	deep    bool  // nothing that was near it was as before
	floor   int64 // the lowest number that it has said to have; 0 is not known
}

// asking is whom to ask, and how.
type asking struct {
	host    string
	wire    Wire
	numbers bool  // it numbers its events on the older wire
	byTime  bool  // although there is a number
	near    bool  // not far before the position
	floor   int64 // begin there: what is before it is gone
	wide    bool  // begin as early as anything is remembered
}

func newHosts(addresses []string, wanted Wire) *hosts {
	h := &hosts{wanted: wanted}
	for _, a := range addresses {
		h.all = append(h.all, &hostState{address: a})
	}
	return h
}

func (h *hosts) current() *hostState { return h.all[h.now] }

// next returns whom to ask and how. Every connection asks for the newer wire
// first where both are allowed: so a host that was upgraded in place is noticed.
func (h *hosts) next() asking {
	s := h.current()
	a := asking{host: s.address, wire: h.wanted, numbers: s.numbers, byTime: s.byTime, floor: s.floor, near: s.near && !s.deep}
	if h.wanted == Auto {
		a.wire = V2
		if s.old {
			a.wire = V1
		}
	}
	s.byTime, s.near, s.deep, s.floor, s.old = false, false, false, 0, false
	return a
}

func (h *hosts) rotate() { h.now = (h.now + 1) % len(h.all) }

// useTime makes the next connection ask by time, useFloor from a number.
func (h *hosts) useTime()            { h.current().byTime = true }
func (h *hosts) useFloor(seq int64)  { h.current().floor = seq }
func (h *hosts) goNear()             { h.current().near = true }
func (h *hosts) goDeep()             { h.current().deep = true }
func (h *hosts) setNumbers(yes bool) { h.current().numbers = yes }

// otherWire makes the next connection ask the host by the older wire for the
// same, where both are allowed, and reports whether they are; else the next host
// follows.
func (h *hosts) otherWire(refused asking) bool {
	if s := h.current(); h.wanted == Auto && refused.wire == V2 {
		s.old, s.byTime, s.near, s.floor = true, refused.byTime, refused.near, refused.floor
		return true
	}
	h.rotate()
	return false
}

// quiet tells a quiet night from a dead connection. Silence ends a connection,
// and the next one shows which it was: if that brings nothing new either, the
// source is quiet, and more silence is allowed.
type quiet struct {
	least time.Duration
	now   time.Duration
}

// longestQuiet is the most silence that is ever allowed.
const longestQuiet = 10 * time.Minute

func (q *quiet) limit() time.Duration { return max(q.least, q.now) }

func (q *quiet) double() { q.now = min(longestQuiet, 2*q.limit()) }

func (q *quiet) reset() { q.now = 0 }
