package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// Server is what a host shows of itself.
type Server struct {
	Wire Wire // the newer one if it speaks both
	// Numbered: it numbers its events, as Jetstream does since 0.2. Known is false
	// where no event came on the older wire that would show it.
	Numbered, Known bool
}

// String says which server it is: "v2, numbers its events (Jetstream 0.2 or newer)".
func (s Server) String() string {
	switch {
	case !s.Known:
		return fmt.Sprintf("%s, no event came yet", s.Wire)
	case s.Numbered:
		return fmt.Sprintf("%s, numbers its events (Jetstream 0.2 or newer)", s.Wire)
	}
	return fmt.Sprintf("%s, the legacy server", s.Wire)
}

// probeTime is how long a host of the older wire may take to send an event.
const probeTime = 2 * time.Second

// Probe connects to a host and leaves again.
func Probe(ctx context.Context, host string) (Server, error) {
	o, err := Options{Hosts: []string{host}}.completed()
	if err != nil {
		return Server{}, err
	}
	conn, err := o.dial(ctx, o.Hosts[0], V2, cursor{})
	if err == nil {
		_ = conn.CloseNow()
		return Server{Wire: V2, Numbered: true, Known: true}, nil
	}
	if !errors.Is(err, errNoWire) {
		return Server{}, err
	}
	if conn, err = o.dial(ctx, o.Hosts[0], V1, cursor{}); err != nil {
		return Server{}, err
	}
	defer func() { _ = conn.CloseNow() }()
	s := Server{Wire: V1}
	limited, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	text, err := receive(limited, conn, nil, o.MaxMessage)
	if err != nil {
		return s, nil //nolint:nilerr // it is there, and nothing happens
	}
	var reader event.Envelopes
	e, ok := reader.Read(text)
	s.Known, s.Numbered = ok, e.Cursor.Valid
	return s, nil
}

// Followed is up to where the streams follow the source, as Redis holds it.
type Followed struct {
	Host     string    // empty while the position belongs to none
	Wire     Wire      // by which it was last read
	Seq      int64     // number of that host; 0 where it does not number
	Time     time.Time // zero: nothing was ever ingested
	Doubt    bool      // what comes has not shown yet that it continues there
	WentBack time.Time // when the host last gave numbers again; zero is never
}

// ReadFollowed returns what the feed of a stream says.
func ReadFollowed(ctx context.Context, intake *stream.Intake) (f Followed, err error) {
	text, err := intake.Position(ctx)
	if err != nil {
		return f, err
	}
	p, err := parsePosition(text)
	if err != nil || p.none() {
		return f, err
	}
	f = Followed{Host: p.Host, Wire: p.Wire, Seq: p.Seq, Time: p.time(), Doubt: p.Doubt > 0}
	if p.WentBack > 0 {
		f.WentBack = time.UnixMicro(p.WentBack).UTC()
	}
	return f, nil
}
