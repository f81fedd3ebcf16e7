package verify

import (
	"context"
	"fmt"
)

// checkAhead: one ID from the future makes everything that is added later wait
// behind it, while every window is drained, empty, in time.
var checkAhead = check{
	Name:    "ahead",
	Promise: "the last ID of a stream is not ahead of the clock of Redis, so that what is added falls into the window that is open",
	needs:   redis,
	stream: func(ctx context.Context, k *kindStream, say sayer) error {
		n, err := k.stream.Unfinished(ctx)
		if err != nil {
			return err
		}
		if n > 0 {
			say(k.violation(nil, n, fmt.Sprintf("a rescue was not finished, and entries wait beside it: datawriter rescue %s", k.kind)))
		}
		now, err := k.v.cfg.Source.Now(ctx)
		if err != nil || !k.state.IsAhead(now) {
			return err
		}
		seconds, _ := k.state.Ahead(now)
		say(k.violation(nil, 1, fmt.Sprintf("its last ID %s is %.0f seconds ahead: datawriter rescue %s", k.state.LastGenerated, seconds, k.kind)))
		return nil
	},
}
