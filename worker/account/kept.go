package account

import (
	"datawriter/worker/window"
)

// Kept is what is settled for this archive and stands in the stream because other
// groups need it: it is in files and there, so the account counts it once. It holds
// for one server and its data; on another, everything is read again.
type Kept struct {
	Server string       `json:"server"` // who has it, as stream.Server.ID
	Spans  window.Spans `json:"spans"`  // the windows of it
	Count  int64        `json:"count"`  // entries; counted again before it raises an alarm
}

// maxKept bounds the spans: beyond that the oldest are forgotten, and read again.
const maxKept = 500

// KeptOn returns what is kept on a server.
func (s *State) KeptOn(server string) window.Spans {
	if s.Kept == nil || s.Kept.Server != server {
		return nil
	}
	return s.Kept.Spans
}

// Keep notes what settling a window has left in the stream for others: held are the
// entries that were settled, deleted those of them that went.
func (s *State) Keep(server string, of window.Span, held, deleted int64) {
	known := s.KeptOn(server)
	before := known != nil && known.Overlaps(of)
	if held == deleted && !before {
		return
	}
	if known == nil {
		s.Kept = &Kept{Server: server}
	}
	if before {
		s.Kept.Count -= deleted
	} else {
		s.Kept.Count += held - deleted
	}
	s.Kept.Spans = s.Kept.Spans.Without(of)
	if held > deleted {
		s.Kept.Spans = s.Kept.Spans.Union(of)
	}
	s.Kept.Spans = s.Kept.Spans[max(0, len(s.Kept.Spans)-maxKept):]
	if len(s.Kept.Spans) == 0 {
		s.Kept = nil
	}
}

// keptOn returns how many entries of a look are in files and there for others.
func (s *State) keptOn(l Look) int64 {
	if s.Kept == nil || s.Kept.Server != l.RunID+" "+l.ReplID {
		return 0
	}
	return s.Kept.Count
}

// settle takes from a look what is kept for others. Where the account does not
// balance with the number that is known, it is counted. known is false when it could
// not be, and the account stays open.
func (s *State) settle(l *Look, filed int64, count Count) (known bool, err error) {
	kept := s.keptOn(*l)
	l.Length -= kept
	if kept == 0 && s.Kept == nil || count == nil || s.missing(*l, filed) == 0 {
		return true, nil
	}
	n, ok, err := count()
	if err != nil || !ok {
		return false, err
	}
	l.Length += kept - n
	s.Kept.Count = n
	return true, nil
}
