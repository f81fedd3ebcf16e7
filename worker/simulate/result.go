package simulate

import (
	"math"
	"sync"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// Result is what a run did. It is complete also when the run ended early.
type Result struct {
	Window *window.Window           `json:"window,omitempty"`
	Added  int64                    `json:"added"` // entries that Redis acknowledged
	Kinds  map[event.Kind]KindCount `json:"kinds"`

	Malformed int64                  `json:"malformed"` // of those added
	Reasons   map[event.Reason]int64 `json:"malformed_by_reason,omitempty"`
	Skipped   map[string]int64       `json:"skipped,omitempty"` // lines of a replay that belong to no stream, by what they are

	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"` // added entries per second

	Refusals  int64 `json:"refusals"`  // additions that Redis refused; each was tried again
	Outages   int64 `json:"outages"`   // pipelines that Redis did not answer, each tried again
	Uncertain int64 `json:"uncertain"` // additions sent again although a lost reply may have meant success; with explicit IDs that is looked up instead
	Forgone   int64 `json:"forgone"`   // entries that the rate called for while Redis took none
	Unsent    int64 `json:"unsent"`    // entries made, but not acknowledged when the run was stopped

	FirstID event.ID `json:"first_id"`
	LastID  event.ID `json:"last_id"`
}

// KindCount is the part of a Result that one stream has.
type KindCount struct {
	Added   int64    `json:"added"`
	FirstID event.ID `json:"first_id"`
	LastID  event.ID `json:"last_id"`
}

// tally collects a Result from several goroutines.
type tally struct {
	mu      sync.Mutex
	result  Result
	started time.Time
	onAdded func(stream.Addition, event.ID)
}

func newTally(o *Options) *tally {
	t := &tally{onAdded: o.OnAdded}
	t.start()
	t.result.Kinds = make(map[event.Kind]KindCount)
	t.result.Reasons = make(map[event.Reason]int64)
	t.result.Skipped = make(map[string]int64)
	if o.explicit() {
		t.result.Window = &o.Window
	}
	return t
}

// start begins the time that Seconds and Rate refer to.
func (t *tally) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.started = time.Now()
}

// added counts one acknowledged entry; mu is held.
func (t *tally) added(a stream.Addition, reason event.Reason, id event.ID) {
	r := &t.result
	r.Added++
	if reason != "" {
		r.Malformed++
		r.Reasons[reason]++
	}
	kind := r.Kinds[a.Kind]
	kind.Added++
	widen(&kind.FirstID, &kind.LastID, id)
	r.Kinds[a.Kind] = kind
	widen(&r.FirstID, &r.LastID, id)
	if t.onAdded != nil {
		t.onAdded(a, id)
	}
}

func widen(first, last *event.ID, id event.ID) {
	if first.IsZero() || id.Compare(*first) < 0 {
		*first = id
	}
	if id.Compare(*last) > 0 {
		*last = id
	}
}

// note changes a counter.
func (t *tally) note(change func(*Result)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.result)
}

// now returns a copy of the counters so far; its maps are shared until the run
// has ended.
func (t *tally) now() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.result
	passed := time.Since(t.started)
	r.Seconds = passed.Round(time.Microsecond).Seconds()
	if passed > 0 {
		r.Rate = math.Round(float64(r.Added)/passed.Seconds()*10) / 10
	}
	return r
}
