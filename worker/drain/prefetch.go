package drain

import (
	"context"

	"golang.org/x/sync/errgroup"

	"datawriter/worker/stream"
)

// source fills a buffer's page with the next entries, within the budget; an empty
// page is the end.
type source func(ctx context.Context, into *buffer) error

// prefetch reads the next page while yield works on the one before, as far as the
// budget allows. Two buffers are all it needs.
func (m *memory) prefetch(ctx context.Context, next source, yield func(*stream.Page) error) error {
	group, ctx := errgroup.WithContext(ctx)
	empty, full := make(chan *buffer, len(m.pages)), make(chan *buffer, len(m.pages))
	for i := range m.pages {
		defer m.budget.give(&m.pages[i])
		empty <- &m.pages[i]
	}
	group.Go(func() error {
		defer close(full)
		for {
			select {
			case into := <-empty:
				if err := next(ctx, into); err != nil || len(into.page.Entries) == 0 {
					return err
				}
				full <- into
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	group.Go(func() error {
		for from := range full {
			if err := yield(&from.page); err != nil {
				return err
			}
			m.budget.give(from)
			empty <- from
		}
		return nil
	})
	return group.Wait()
}
