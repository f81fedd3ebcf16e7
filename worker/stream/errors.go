package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Every error of this package is one of these, or the context's own.
var (
	// ErrUnavailable: Redis cannot be reached, is loading, read-only, out of
	// memory or out of disk. The same call may succeed later.
	ErrUnavailable = errors.New("redis is unavailable")
	// ErrMisconfigured: wrong password, missing permission, a key of another
	// type, a server that is too old. No retry helps.
	ErrMisconfigured = errors.New("redis is misconfigured")
	// ErrRefused: Redis takes no writes now (out of memory under noeviction, or
	// its disk is full). Producers slow down and try again.
	ErrRefused = errors.New("redis refuses writes")
	// ErrRestarted: Redis is not the process that the attempt began with, so
	// what was read may have been rolled back. Start from the top.
	ErrRestarted = errors.New("redis restarted during the drain")
)

// misconfigured lists the error codes that Redis answers when no retry can help.
var misconfigured = []string{"NOAUTH", "WRONGPASS", "NOPERM", "WRONGTYPE", "DENIED", foreignLease}

// classify wraps an error of go-redis once, with the operation and its class.
func classify(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", operation, err)
	case strings.Contains(err.Error(), restartedReply):
		return fmt.Errorf("%s: %w", operation, ErrRestarted)
	case hasCode(err, misconfigured):
		return fmt.Errorf("%s: %w: %w", operation, ErrMisconfigured, err)
	}
	return fmt.Errorf("%s: %w: %w", operation, ErrUnavailable, err)
}

// hasCode reports whether Redis answered with one of the codes, either itself
// or through a script, which puts the code of the failed command first too.
func hasCode(err error, codes []string) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return false
	}
	for _, code := range codes {
		if strings.HasPrefix(reply.Error(), code) {
			return true
		}
	}
	return false
}
