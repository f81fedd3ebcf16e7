package drain

import (
	"context"

	"golang.org/x/sync/errgroup"

	"datawriter/worker/stream"
)

// source fills a page with the next entries; an empty page is the end.
type source func(ctx context.Context, page *stream.Page) error

// prefetch reads the next page while yield works on the one before. Two pages
// are all it needs.
func prefetch(ctx context.Context, pages *[2]stream.Page, next source, yield func(*stream.Page) error) error {
	group, ctx := errgroup.WithContext(ctx)
	empty, full := make(chan *stream.Page, len(pages)), make(chan *stream.Page, len(pages))
	for i := range pages {
		empty <- &pages[i]
	}
	group.Go(func() error {
		defer close(full)
		for {
			select {
			case page := <-empty:
				if err := next(ctx, page); err != nil || len(page.Entries) == 0 {
					return err
				}
				full <- page
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	group.Go(func() error {
		for page := range full {
			if err := yield(page); err != nil {
				return err
			}
			empty <- page
		}
		return nil
	})
	return group.Wait()
}
