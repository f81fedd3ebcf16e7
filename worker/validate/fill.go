package validate

import (
	"context"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// holding is what a stream holds: how many entries, and the sum of the hashes of
// their bytes, which no order changes.
type holding struct {
	entries int64
	hashes  uint64
}

func (h *holding) add(bytes []byte) {
	h.entries++
	h.hashes += xxhash.Sum64(bytes)
}

// holdings are those of the five streams.
type holdings map[event.Kind]holding

func (h holdings) total() (n int64) {
	for _, one := range h {
		n += one.entries
	}
	return n
}

// intact returns how many entries stand in streams that hold exactly what they
// should.
func (h holdings) intact(want holdings) (n int64) {
	for kind, one := range h {
		if one == want[kind] {
			n += one.entries
		}
	}
	return n
}

// filler adds events, and knows what the streams must hold.
type filler struct {
	client *stream.Client
	events *maker
	held   holdings
}

func newFiller(client *stream.Client) (*filler, error) {
	events, err := newMaker(1)
	return &filler{client: client, events: events, held: make(holdings)}, err
}

// add adds n events in one pipeline, and books those that Redis acknowledged.
func (f *filler) add(ctx context.Context, n int) (acknowledged int, err error) {
	batch := f.events.next(n)
	ids, err := f.client.Add(ctx, batch)
	for i, id := range ids {
		if id.IsZero() {
			continue
		}
		acknowledged++
		one := f.held[batch[i].Kind]
		one.add(batch[i].Fields[1])
		f.held[batch[i].Kind] = one
	}
	return acknowledged, err
}

// readPage entries are read at a time.
const readPage = 1000

// readBack reads every entry of the streams; each is called for every one where
// it is set.
func readBack(ctx context.Context, client *stream.Client, p *progress, each func(event.Kind, event.ID)) (holdings, error) {
	found := make(holdings)
	for _, kind := range event.Kinds() {
		one := holding{}
		from, page := event.ID{}, stream.Page{}
		for {
			if err := client.Stream(kind).Range(ctx, &page, from, event.ID{MS: math.MaxUint64}, readPage); err != nil {
				return nil, err
			}
			for i := range page.Entries {
				one.add(page.Entries[i].Fields[1])
				if each != nil {
					each(kind, page.Entries[i].ID)
				}
			}
			p.add(int64(len(page.Entries)))
			if len(page.Entries) < readPage {
				break
			}
			last := page.Entries[len(page.Entries)-1].ID
			from = event.ID{MS: last.MS, Seq: last.Seq + 1}
		}
		found[kind] = one
	}
	return found, nil
}

// sample calls look now and then, until stop is called, which calls it once more.
func sample(ctx context.Context, every time.Duration, look func(context.Context)) (stop func()) {
	sampling, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			look(sampling)
			select {
			case <-sampling.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return func() { end(); <-done; look(ctx) }
}
