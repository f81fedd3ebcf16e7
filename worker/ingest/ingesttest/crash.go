package ingesttest

import "time"

// block is how many events the newer server writes at a time.
const block = 4096

// crash is what a host had not written when it was killed: it takes those events
// in again, in another order and at other times, and gives the numbers again.
type crash struct {
	first, last int64 // numbers
	us          int64 // when it took them in again
}

// Crash ends all connections as kill -9 does, with the last events not yet
// written: at most some, and no whole block.
func (h *Host) Crash(some int64) {
	tip := h.Source.tip()
	floor, _ := h.Source.floor()
	first := max(floor, (tip-1)/block*block+1, tip-some)
	h.mu.Lock()
	if first < tip-1 {
		h.crashes = append(h.crashes, crash{first, tip - 1, time.Now().UnixMicro()})
		h.fired[Crashed]++
	}
	h.mu.Unlock()
	h.Drop()
}

// placed returns what stands at the place of an event since the host has crashed:
// of what it took in again, two neighbours each have changed places.
func (h *Host) placed(e Event) Event {
	h.mu.Lock()
	crashes := h.crashes
	h.mu.Unlock()
	for _, c := range crashes {
		if e.Number < c.first || e.Number > c.last {
			continue
		}
		if other := e.Number ^ 1; other >= c.first && other <= c.last {
			if found := h.Source.read(other, 1, func() bool { return true }); len(found) > 0 && found[0].Number == other {
				number := e.Number
				e = found[0]
				e.Number = number
			}
		}
		e.US = c.us + e.Number - c.first
	}
	return e
}
