package ingest

import (
	"encoding/json"
	"fmt"
	"time"
)

// position is a place in the source up to which everything is stored: no event
// at or before it is still to come. Zero is none.
type position struct {
	TimeUS int64  `json:"time_us"`
	Seq    int64  `json:"seq,omitempty"`  // on the second wire, and only with its host
	Host   string `json:"host,omitempty"` // that numbered and timed it
	Wire   Wire   `json:"wire,omitempty"`
	// Doubt numbers the connection that stores events without having shown yet
	// that it continues here; the position stands still meanwhile. 0 is none.
	Doubt int64 `json:"doubt,omitempty"`
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

// raised returns the later of two places. Another host's numbers and times are
// others: its place counts from where it is past p's time, and until then a
// connection must rewind as for another host.
func (p position) raised(to position) position {
	switch {
	case to.TimeUS == 0:
	case p.Host == to.Host && p.Wire == to.Wire:
		p.TimeUS, p.Seq = max(p.TimeUS, to.TimeUS), max(p.Seq, to.Seq)
	case to.TimeUS >= p.TimeUS:
		p.TimeUS, p.Seq, p.Host, p.Wire = to.TimeUS, to.Seq, to.Host, to.Wire
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
		default:
			if p.Host != low.Host || p.Wire != low.Wire {
				low.Host, low.Seq = "", 0
			}
			low.TimeUS, low.Seq = min(low.TimeUS, p.TimeUS), min(low.Seq, p.Seq)
		}
	}
	return low
}
