package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// ErrHeld: another run holds the stream and keeps renewing its lease.
var ErrHeld = errors.New("another run holds the stream")

// Lease is the advisory right to drain one stream. It saves work and protects
// nothing: a process can be paused past its expiry.
type Lease struct {
	stream *Stream
	token  string // a random text, a space, and the lifetime in milliseconds
	ttl    time.Duration
}

// foreignLease begins the error about a key that has a lease's name and is none.
const foreignLease = "DATAWRITER_FOREIGN"

// takeLease: KEYS[1] lease; ARGV[1] token, ARGV[2] milliseconds.
// Returns {1, ttl} when taken, else {0, milliseconds that the holder has left}.
// A key that is no lease would never be given back, so it is an error.
//
// Redis keeps the instant of expiry. When its clock steps back, a dead holder's
// lease would live on by as much, so what exceeds a whole lifetime is cut.
var takeLease = newScript(`#!lua flags=allow-oom
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return {1, tonumber(ARGV[2])} end
local held = redis.pcall('GET', KEYS[1])
local whole = type(held) == 'string' and tonumber(string.match(held, '^%S+ (%d+)$'))
if not whole then
  return redis.error_reply('` + foreignLease + ` ' .. KEYS[1] .. ' is no lease of this program: delete that key, or choose another --group')
end
local left = redis.call('PTTL', KEYS[1])
if left > whole or left < 0 then
  redis.call('PEXPIRE', KEYS[1], whole)
  left = whole
end
return {0, left}
`)

// keepLease: KEYS[1] lease; ARGV[1] token, ARGV[2] milliseconds. Returns 1 when still ours.
var keepLease = newScript(`#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

// dropLease: KEYS[1] lease; ARGV[1] token. Returns 1 when it was ours.
var dropLease = newScript(`#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`)

// leasePolls is how often per lifetime a waiting run looks at a held lease; a
// holder renews three times in the same span.
const leasePolls = 20

// TakeLease takes the lease for ttl. When it is held it watches: a holder that
// renews is alive, and the answer is ErrHeld; one that does not has died, and
// its lease expires within ttl.
func (s *Stream) TakeLease(ctx context.Context, ttl time.Duration) (*Lease, error) {
	lease := &Lease{stream: s, token: fmt.Sprintf("%s %d", rand.Text(), ttl.Milliseconds()), ttl: ttl}
	left := int64(-1)
	for {
		reply, err := takeLease.Run(ctx, s.redis, lease.key(), lease.token, ttl.Milliseconds()).Int64Slice()
		if err != nil {
			return nil, classify("take the lease of "+s.name, err)
		}
		if reply[0] == 1 {
			return lease, nil
		}
		if left >= 0 && reply[1] > left {
			return nil, fmt.Errorf("%w: %s", ErrHeld, s.name)
		}
		left = reply[1]
		select {
		case <-time.After(ttl / leasePolls):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (l *Lease) key() []string { return []string{l.stream.name + ":lease:" + l.stream.group} }

// Keep renews the lease until ctx ends. It gives up silently when the lease was
// lost or Redis is away: the protocol does not depend on it.
func (l *Lease) Keep(ctx context.Context) {
	tick := time.NewTicker(l.ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			ours, err := keepLease.Run(ctx, l.stream.redis, l.key(), l.token, l.ttl.Milliseconds()).Int()
			if err != nil || ours == 0 {
				return
			}
		}
	}
}

// Release gives the lease back if it is still ours.
func (l *Lease) Release(ctx context.Context) error {
	err := dropLease.Run(ctx, l.stream.redis, l.key(), l.token).Err()
	return classify("release the lease of "+l.stream.name, err)
}

// Left returns how long the stream's lease still lives, whoever holds it.
func (l *Lease) Left(ctx context.Context) (time.Duration, error) {
	left, err := l.stream.redis.PTTL(ctx, l.key()[0]).Result()
	return left, classify("read the lease of "+l.stream.name, err)
}
