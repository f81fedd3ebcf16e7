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
	wire    Wire // to try next
	byTime  bool // the number is too old there
}

func newHosts(addresses []string, wanted Wire) *hosts {
	h := &hosts{wanted: wanted}
	for _, a := range addresses {
		s := &hostState{address: a, wire: wanted}
		if wanted == Auto {
			s.wire = V2
		}
		h.all = append(h.all, s)
	}
	return h
}

func (h *hosts) current() *hostState { return h.all[h.now] }

func (h *hosts) host() string { return h.current().address }

// next returns whom to ask, how, and whether by time although there is a number.
func (h *hosts) next() (host string, wire Wire, byTime bool) {
	s := h.current()
	byTime, s.byTime = s.byTime, false
	return s.address, s.wire, byTime
}

func (h *hosts) rotate() { h.now = (h.now + 1) % len(h.all) }

func (h *hosts) useTime() { h.current().byTime = true }

// otherWire switches a host to the older wire, where both are allowed, and
// reports whether there was one; else the next host follows.
func (h *hosts) otherWire() bool {
	s := h.current()
	if h.wanted == Auto && s.wire == V2 {
		s.wire = V1
		return true
	}
	if h.wanted == Auto {
		s.wire = V2
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
