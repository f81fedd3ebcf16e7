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
	sent    map[Wire]place
}

func newHosts(addresses []string, wanted Wire) *hosts {
	h := &hosts{wanted: wanted}
	for _, a := range addresses {
		s := &hostState{address: a, wire: wanted, sent: make(map[Wire]place)}
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

// sent notes the newest event of a connection to the current host.
func (h *hosts) sent(wire Wire, newest place) {
	s := h.current()
	s.sent[wire] = s.sent[wire].raised(newest)
}

// past returns up to where the current host can send nothing but a replay: by its
// clock, what happens now is later than what it has sent before. margin is for
// events that pass each other on their way through the host.
func (h *hosts) past(wire Wire, margin time.Duration) place {
	p := h.current().sent[wire]
	return place{p.us - margin.Microseconds(), p.seq}
}

// forgetSent begins anew with a host whose numbers are others now.
func (h *hosts) forgetSent() { clear(h.current().sent) }

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
