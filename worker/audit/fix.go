package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Fixable returns the findings that Fix would change, gaps and advice alike.
func (r Report) Fixable() (found []Finding) {
	for _, f := range r.Findings {
		if f.Fix != nil && f.Fix.Command != "" {
			found = append(found, f)
		}
	}
	return found
}

// Apply sets what the findings want, each by itself: one that the server refuses
// keeps none of the others from being set. With rewrite it writes the server's
// configuration file, so that a restart keeps it.
func Apply(ctx context.Context, client *redis.Client, findings []Finding, rewrite bool) error {
	var all error
	for _, f := range findings {
		if err := client.ConfigSet(ctx, f.Key, f.set).Err(); err != nil {
			all = errors.Join(all, fmt.Errorf("CONFIG SET %s: %w", f.Key, err))
		}
	}
	if rewrite {
		if err := client.ConfigRewrite(ctx).Err(); err != nil {
			all = errors.Join(all, fmt.Errorf("CONFIG REWRITE: %w", err))
		}
	}
	return all
}
