package ingesttest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// sending is one connection of a host.
type sending struct {
	h      *Host
	conn   *websocket.Conn
	cancel context.CancelFunc
	write  func([]byte, *Event) []byte
	next   int64 // number to send
	replay int64 // of a legacy host: below it are events that were there when it began; 0 when that is over
	sent   []Event
	count  int // how many were sent
	rng    *rand.Rand
	buffer []byte
	dead   atomic.Bool
}

var errEnd = errors.New("the connection is over")

// lately is how many events can be sent again.
const lately = 500

func (s *sending) run(ctx context.Context) {
	for ctx.Err() == nil {
		f := s.faultsNow()
		if s.meets(f) && s.leaveOut(ctx, f) != nil {
			return
		}
		page := s.h.Source.read(s.next, s.page(f), func() bool { return ctx.Err() != nil || s.h.closing.Load() })
		if page == nil {
			return
		}
		for _, e := range page {
			e = s.h.placed(e)
			if s.event(ctx, f, &e) != nil {
				return
			}
		}
		s.next = page[len(page)-1].Number + 1
	}
}

// page returns how many events to send next: one at a time near the place where
// the replay meets what happens now.
func (s *sending) page(f Faults) int {
	const most = 200
	if f.JumpAhead == 0 || s.replay == 0 {
		return most
	}
	return int(min(most, max(1, s.replay-s.next-int64(f.JumpAhead))))
}

// meets reports that the replay of a legacy host is near what happens now, and
// that something has happened since it began.
func (s *sending) meets(f Faults) bool {
	tip := s.h.Source.tip()
	if s.next >= tip {
		s.replay = 0
	}
	return f.JumpAhead > 0 && s.replay > 0 && tip > s.replay && tip-s.next <= int64(f.JumpAhead)
}

func (s *sending) faultsNow() Faults {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	return s.h.faults
}

// leaveOut goes on with the newest event, and drops for this connection what the
// replay has not reached: the legacy server sends nothing that is older than what it
// has sent.
func (s *sending) leaveOut(ctx context.Context, f Faults) error {
	s.replay = 0
	newest := s.h.Source.read(s.h.Source.tip()-1, 1, func() bool { return true })
	if len(newest) == 0 || newest[0].Number <= s.next {
		return nil
	}
	s.h.happened(Jump)
	s.next = newest[0].Number + 1
	if err := s.send(ctx, &newest[0]); err != nil {
		return err
	}
	if f.JumpCut > 0 && s.rng.Float64() < f.JumpCut {
		s.h.happened(JumpCut)
		_ = s.conn.CloseNow()
		return errEnd
	}
	return nil
}

// event sends one event with what goes wrong around it.
func (s *sending) event(ctx context.Context, f Faults, e *Event) error {
	if err := s.disturb(ctx, f); err != nil {
		return err
	}
	if f.Again > 0 && len(s.sent) > 0 && s.rng.Float64() < f.Again {
		s.h.happened(Again)
		if err := s.send(ctx, &s.sent[s.rng.IntN(len(s.sent))]); err != nil {
			return err
		}
	}
	if f.Slow > 0 && s.rng.Float64() < f.Slow {
		s.h.happened(Slow)
		return s.slowly(ctx, f, e)
	}
	if f.Again > 0 {
		if len(s.sent) < lately {
			s.sent = append(s.sent, *e)
		} else {
			s.sent[s.rng.IntN(lately)] = *e
		}
	}
	return s.send(ctx, e)
}

// disturb does what has nothing to do with the event.
func (s *sending) disturb(ctx context.Context, f Faults) error {
	happens := func(fault string, chance float64) bool {
		if chance <= 0 || s.rng.Float64() >= chance {
			return false
		}
		s.h.happened(fault)
		return true
	}
	switch {
	case f.Most > 0 && s.count >= f.Most, happens(Cut, f.Cut):
		_ = s.conn.CloseNow()
		return errEnd
	case happens(Close, f.Close):
		codes := []websocket.StatusCode{websocket.StatusGoingAway, websocket.StatusPolicyViolation, websocket.StatusInternalError, 4000}
		go func() { _ = s.conn.Close(codes[s.rng.IntN(len(codes))], "enough") }()
		<-ctx.Done()
		return errEnd
	case happens(Dead, f.Dead):
		s.dead.Store(true)
		<-ctx.Done()
		return errEnd
	case happens(Silent, f.Silent):
		<-ctx.Done()
		return errEnd
	case happens(Garbage, f.Garbage):
		return s.raw(ctx, [][]byte{[]byte("{"), []byte(`{"did":"x`), []byte("null"), []byte(`[1,2]`), []byte("\xff\xfe"), {}}[s.rng.IntN(6)])
	case happens(Strangers, f.Strangers):
		return s.send(ctx, &Event{US: time.Now().UnixMicro(), Number: s.next, class: "identity", did: []byte("did:plc:stranger"), inner: []byte(`"did":"did:plc:stranger","seq":1`)})
	case happens(Long, f.Long):
		long := make([]byte, f.LongBytes)
		for i := range long {
			long[i] = ' '
		}
		return s.raw(ctx, long)
	}
	return nil
}

func (s *sending) send(ctx context.Context, e *Event) error {
	s.count++
	s.buffer = s.write(s.buffer[:0], e)
	return s.raw(ctx, s.buffer)
}

// patience is how long a real server waits for a reader that does not read.
const patience = 5 * time.Second

func (s *sending) raw(ctx context.Context, text []byte) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, text)
}

// slowly sends a message in pieces.
func (s *sending) slowly(ctx context.Context, f Faults, e *Event) error {
	w, err := s.conn.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	text := s.write(nil, e)
	for len(text) > 0 {
		n := min(len(text), 1+s.rng.IntN(200))
		if _, err := w.Write(text[:n]); err != nil {
			return err
		}
		text = text[n:]
		select {
		case <-time.After(f.Pause):
		case <-ctx.Done():
			return errEnd
		}
	}
	return w.Close()
}
