package drain

import (
	"context"

	"golang.org/x/sync/semaphore"

	"datawriter/worker/stream"
)

const (
	// DefaultMemory is what a drain keeps to where nothing else is asked for: a window
	// of 4.5 million events takes hardly more than one of 450,000 then (127 MB), for 3 %
	// more CPU.
	DefaultMemory = 144 << 20
	// copies is how often an entry is in memory at once on its way into a file: in the
	// page that came, in a column, as the encoded and as the compressed page.
	copies = 4
	// keptPage is how large a page's memory may stay while it waits for the next entries.
	keptPage = 2 * stream.PageBytes
)

// budget bounds the memory of all pages that are under way, those of all lanes
// together: from before a page is asked for, so that Redis holds it in its output
// buffer, until its entries are in files. That is a quarter of the budget at most, but
// for one entry that alone is larger: it waits until no other page is under way.
//
// Nobody waits for a share while somebody waits for him: what works on a page takes no other.
type budget struct {
	memory *semaphore.Weighted
	size   int64
}

func newBudget(bytes int64) *budget {
	return &budget{semaphore.NewWeighted(bytes), bytes}
}

// buffer is the memory of a page with its share of the budget.
type buffer struct {
	page  stream.Page
	share int64
}

// take waits until a page of so many bytes fits. What the buffer holds of the
// budget counts.
func (b *budget) take(ctx context.Context, of *buffer, bytes int) error {
	share := min(int64(bytes)*copies, b.size)
	if share <= of.share {
		return nil
	}
	b.give(of)
	if err := b.memory.Acquire(ctx, share); err != nil {
		return context.Cause(ctx)
	}
	of.share = share
	return nil
}

// give gives the buffer's share back; its entries are gone then. It can be repeated.
func (b *budget) give(of *buffer) {
	of.page.Shrink(keptPage)
	b.memory.Release(of.share)
	of.share = 0
}
