package ingest

import "time"

// buckets is into how many pieces the time is cut in which an older event may
// still come.
const buckets = 10

// settled finds the place behind which nothing older comes any more. Servers
// deliver in order but for one moment: where a replay meets the live events,
// some of those jump ahead of what is left of the replay. So the newest event
// proves nothing; the oldest of those received within the last while does.
//
// Silence is no time that passes: a server may fall silent right behind such a
// jump. Of a pause between two events at most one bucket counts.
//
// What a host had sent before this connection began is not live here: it can
// only come from a replay, and that is in order. So up to there the newest event
// does prove that all before it has come, and connections that break early one
// after the other still get on.
type settled struct {
	span     time.Duration // of a bucket
	left     time.Duration // until the current bucket is full
	last     time.Time     // when the last event came
	oldest   [buckets]place
	replay   place // up to which nothing is live
	replayed place // how much of that has come
}

// place is a time and a number of the source.
type place struct{ us, seq int64 }

func (p place) none() bool { return p.us == 0 }

func (p place) raised(to place) place { return place{max(p.us, to.us), max(p.seq, to.seq)} }

// newSettled begins with a connection; replay is up to where its host had sent
// events before.
func newSettled(while time.Duration, replay place, now time.Time) *settled {
	return &settled{span: while / buckets, left: while / buckets, last: now, replay: replay}
}

// received notes an event.
func (s *settled) received(p place, now time.Time) {
	if p.us <= s.replay.us && p.seq <= s.replay.seq {
		s.replayed = s.replayed.raised(p)
	}
	s.left -= min(s.span, now.Sub(s.last))
	s.last = now
	if s.left <= 0 {
		s.left += s.span
		copy(s.oldest[1:], s.oldest[:])
		s.oldest[0] = place{}
	}
	if current := &s.oldest[0]; current.none() {
		*current = p
	} else {
		current.us, current.seq = min(current.us, p.us), min(current.seq, p.seq)
	}
}

// place returns up to where everything has come; none before the first event.
func (s *settled) place() place {
	low := place{}
	for _, p := range s.oldest {
		switch {
		case p.none():
		case low.none():
			low = p
		default:
			low.us, low.seq = min(low.us, p.us), min(low.seq, p.seq)
		}
	}
	return low.raised(s.replayed)
}
