package stream_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream"
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

func TestAKeyThatIsNoLeaseIsNamedAndNotWaitedFor(t *testing.T) {
	for name, put := range map[string][]any{
		"text without expiry":          {"SET", "KEY", "mine"},
		"text with an expiry":          {"SET", "KEY", "mine", "PX", "3600000"},
		"a number":                     {"SET", "KEY", "1"},
		"nothing":                      {"SET", "KEY", ""},
		"a list":                       {"RPUSH", "KEY", "x"},
		"a hash":                       {"HSET", "KEY", "a", "1"},
		"a stream":                     {"XADD", "KEY", "*", "a", "1"},
		"a lease with a word too many": {"SET", "KEY", "a b 100"},
	} {
		t.Run(name, func(t *testing.T) {
			server, _, s := open(t)
			key := s.Name() + ":lease:datawriter"
			put[1] = key
			ok(t, server.Client().Do(t.Context(), put...).Err())
			limited, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := s.TakeLease(limited, time.Second)
			if !errors.Is(err, stream.ErrMisconfigured) || !strings.Contains(err.Error(), key) {
				t.Errorf("got %v, want ErrMisconfigured with the key's name", err)
			}
		})
	}
}

func TestEachKindHasAStreamOfItsOwn(t *testing.T) {
	for name, c := range map[string]stream.Config{
		"two by name":               {Names: map[event.Kind]string{event.Likes: "all", event.Posts: "all"}},
		"one by another's default":  {Names: map[event.Kind]string{event.Likes: "bluesky:{posts}"}},
		"one by a prefixed default": {Prefix: "x:", Names: map[event.Kind]string{event.Posts: "x:{blocks}"}},
		"a raw kind and another":    {Names: map[event.Kind]string{event.Identity: "bluesky:{likes}"}},
	} {
		c.URL = "redis://127.0.0.1:1/0"
		if _, err := stream.Open(c); !errors.Is(err, stream.ErrMisconfigured) {
			t.Errorf("%s: %v, want ErrMisconfigured", name, err)
		}
	}
	if c, err := stream.Open(stream.Config{URL: "redis://127.0.0.1:1/0", Names: map[event.Kind]string{event.Likes: "l", event.Posts: "p"}}); err != nil {
		t.Error(err)
	} else {
		_ = c.Close()
	}
}
