package stream_test

import (
	"context"
	"testing"
	"time"
)

// When Redis's clock steps back, the lease of a killed run lives on by as much.
func TestALeaseIsNotHeldByAClockThatSteppedBack(t *testing.T) {
	ctx := context.Background()
	server, _, s := open(t)
	const lifetime = 100 * time.Millisecond
	_, err := s.TakeLease(ctx, lifetime) // and never again heard of
	ok(t, err)
	key := s.Name() + ":lease:datawriter"
	for name, distort := range map[string]func() error{
		"an hour":  func() error { return server.Client().PExpire(ctx, key, time.Hour).Err() },
		"for ever": func() error { return server.Client().Persist(ctx, key).Err() },
	} {
		ok(t, distort())
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		_, err = s.TakeLease(limited, 10*time.Second) // whatever the taker's own lifetime is
		cancel()
		if err != nil {
			t.Errorf("a lease that would live on for %s: %v", name, err)
		}
		ok(t, server.Client().Set(ctx, key, "somebody 100", 100*time.Millisecond).Err())
	}
}
