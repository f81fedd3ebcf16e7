package simulate

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/window"
)

// Redis checks its memory before each command of a pipeline. When another
// client frees some in between, it refuses an entry and takes the next.
func TestAnEntryThatRedisRefusedBeforeItTookTheNextOneComesBehindIt(t *testing.T) {
	server := streamtest.Start(t)
	client, err := stream.Open(stream.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var added []event.ID
	o := Options{OnAdded: func(_ stream.Addition, id event.ID) { added = append(added, id) }}
	s := &sender{client: client, tally: newTally(&o), log: zap.NewNop(), explicit: true}
	for _, ms := range []uint64{20, 10, 15, 30} {
		b := new(batch)
		b.add(event.Likes, event.ID{MS: ms}, one([]byte("{}")), "")
		if err := s.send(t.Context(), t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	want := []event.ID{{MS: 20}, {MS: 20, Seq: 1}, {MS: 20, Seq: 2}, {MS: 30}}
	for i := range want {
		if added[i] != want[i] {
			t.Fatalf("added under %v, want %v", added, want)
		}
	}
}

func TestASpreadAscendsInEveryStreamAndStaysInItsWindow(t *testing.T) {
	w := window.Window{Start: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), Length: time.Hour}
	for name, total := range map[string]int64{"one": 1, "sparse": 7, "several a millisecond": 10_000_000} {
		t.Run(name, func(t *testing.T) {
			s := newSpread(w, total)
			var last [2]event.ID
			for i := range min(total, 100_000) {
				kind := event.Kind(i % 2)
				id := s.id(kind, s.next())
				if id.Compare(last[kind]) <= 0 || !w.ContainsMS(id.MS) {
					t.Fatalf("entry %d has the ID %s after %s", i, id, last[kind])
				}
				last[kind] = id
			}
			s.placed = uint64(total - 1)
			if us := s.next(); us >= w.End().UnixMicro() {
				t.Errorf("the last entry is at %d, at or after the end", us)
			}
		})
	}
}
