package ingest

import (
	"encoding/json"
	"fmt"
	"time"
)

// position is a place in the source up to which everything is stored: no event
// at or before it is still to come. Zero is none.
//
// What an older version left has no Marks, and on a host that numbers its events
// its Seq and TimeUS are the lowest of the last seconds: it is a place to begin
// at as well.
type position struct {
	TimeUS int64  `json:"time_us"`
	Seq    int64  `json:"seq,omitempty"`  // of a host that numbers its events; only with it
	Host   string `json:"host,omitempty"` // that numbered and timed it
	Wire   Wire   `json:"wire,omitempty"`
	// Marks are some of the last events with their numbers: they show whether the
	// host still numbers as it did.
	Marks marks `json:"marks,omitempty"`
	// WentBack is when the host was last found to give numbers again, in
	// microseconds; 0 is never.
	WentBack int64 `json:"went_back,omitempty"`
	// Doubt and Through number the first and the last connection whose events
	// may lie behind a hole: one that has not shown that it continues here, or the
	// live part of a legacy server that its replay has not met. What they stored
	// proves nothing until a later connection has passed it. 0 is none; a Doubt
	// without Through, as older versions wrote it, has no last one.
	Doubt   int64 `json:"doubt,omitempty"`
	Through int64 `json:"through,omitempty"`
	// Connection is the highest number that a connection has had.
	Connection int64 `json:"connection"`
}

func (p position) text() string {
	text, _ := json.Marshal(p) // of plain fields: cannot fail
	return string(text)
}

func parsePosition(text string) (p position, err error) {
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("the position that redis holds is not readable: %w", err)
	}
	return p, nil
}

func (p position) none() bool { return p.TimeUS == 0 }

func (p position) time() time.Time { return time.UnixMicro(p.TimeUS).UTC() }

// numbered reports whether the position is a number of that host.
func (p position) numbered(host string) bool { return p.Host == host && p.Seq > 0 }

// comparable reports whether numbers and times of both positions are those of
// one host. A host numbers alike on both wires; one that begins to number is
// another server.
func (p position) comparable(to position) bool {
	return p.Host == to.Host && (p.Seq > 0) == (to.Seq > 0) && (p.Seq > 0 || p.Wire == to.Wire)
}

// doubted returns the position with a connection among those whose events may
// lie behind a hole.
func (p position) doubted(connection int64) position {
	if p.Doubt == 0 {
		p.Doubt = connection
	}
	p.Through = connection
	return p
}

// trusted returns the position when all of a connection continues here; passed
// says that it has also passed what those before it had stored.
func (p position) trusted(connection int64, passed bool) position {
	switch {
	case passed, p.Doubt == connection:
		p.Doubt, p.Through = 0, 0
	case p.Through == connection:
		p.Through = connection - 1
	}
	return p
}

// raised returns the later of two places. Another host's numbers and times are
// others: its place counts from where it is past p's time, and until then a
// connection must rewind as for another host.
func (p position) raised(to position) position {
	switch {
	case to.TimeUS == 0:
	case p.comparable(to):
		if to.Seq >= p.Seq {
			p.Marks = to.Marks
		}
		p.TimeUS, p.Seq, p.Wire = max(p.TimeUS, to.TimeUS), max(p.Seq, to.Seq), to.Wire
	case to.TimeUS >= p.TimeUS:
		p.TimeUS, p.Seq, p.Host, p.Wire, p.Marks = to.TimeUS, to.Seq, to.Host, to.Wire, to.Marks
	}
	return p
}

// lowered returns the position of a host whose numbers went back to seq.
func (p position) lowered(host string, seq int64, now time.Time) position {
	if p.numbered(host) {
		p.Seq, p.WentBack = min(p.Seq, max(1, seq)), now.UnixMicro()
	}
	return p
}

// earliest returns where all lanes can be continued: the lowest of their
// positions. Lanes that have none yet do not count. If they stand in different
// numberings, there is no common number, and time alone serves.
func earliest(lanes []*lane) (low position) {
	for _, l := range lanes {
		p := l.at
		low.Connection = max(low.Connection, p.Connection)
		switch {
		case p.none():
		case low.none():
			p.Connection = low.Connection
			low = p
		case !p.comparable(low):
			low.Host, low.Seq, low.Marks = "", 0, ""
			low.TimeUS = min(low.TimeUS, p.TimeUS)
		default:
			if p.Seq < low.Seq {
				low.Seq, low.Marks = p.Seq, p.Marks
			}
			low.TimeUS = min(low.TimeUS, p.TimeUS)
		}
	}
	return low
}
