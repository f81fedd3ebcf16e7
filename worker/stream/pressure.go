package stream

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"
)

// A producer slows down when SlowAt of Redis's memory is in use and stops at
// StopAt, so that draining has room to catch up before Redis refuses writes or,
// under an evicting policy, drops whole streams.
const (
	SlowAt = 0.75
	StopAt = 0.85

	pollEvery = time.Second
)

// Pressure watches Redis's memory and tells which share of its speed a producer
// may use. Its methods are safe for concurrent use, but for Look and Watch, of
// which one at a time may run.
type Pressure struct {
	client  *Client
	changed func(before, after, used float64)
	speed   atomic.Uint64 // bits of a float64
	used    atomic.Uint64 // the share of the memory in use, bits of a float64
}

// NewPressure returns a watch that allows full speed until it looks. changed,
// which may be nil, is told of every look: the speeds allowed before and after
// it, and the share of the memory in use.
func NewPressure(client *Client, changed func(before, after, used float64)) *Pressure {
	p := &Pressure{client: client, changed: changed}
	p.speed.Store(math.Float64bits(1))
	return p
}

// Share returns the share of full speed that is allowed now, 0..1.
func (p *Pressure) Share() float64 { return math.Float64frombits(p.speed.Load()) }

// Used returns which share of its memory Redis uses, 0 without a limit.
func (p *Pressure) Used() float64 { return math.Float64frombits(p.used.Load()) }

// Look asks Redis once. The only error is ErrMisconfigured, of a replica too: that
// Redis is away is not this watch's affair, and the last known share stays.
func (p *Pressure) Look(ctx context.Context) error {
	server, err := p.client.Server(ctx)
	if err == nil {
		p.apply(server.UsedMemory, server.MaxMemory)
		err = server.Writable("")
	}
	if errors.Is(err, ErrMisconfigured) {
		return err
	}
	return nil
}

func (p *Pressure) apply(used, most int64) {
	share := 0.0
	if most > 0 {
		share = float64(used) / float64(most)
	}
	before, after := p.Share(), allowed(share)
	p.used.Store(math.Float64bits(share))
	p.speed.Store(math.Float64bits(after))
	if p.changed != nil {
		p.changed(before, after, share)
	}
}

// allowed falls evenly from 1 at SlowAt to 0 at StopAt.
func allowed(used float64) float64 {
	return min(1, max(0, (StopAt-used)/(StopAt-SlowAt)))
}

// Watch looks once a second until ctx ends.
func (p *Pressure) Watch(ctx context.Context) {
	every := time.NewTicker(pollEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			_ = p.Look(ctx) // a misconfiguration shows up with the writers
		}
	}
}

// Breathe pauses a producer so that it works only for the allowed share of the
// time since busySince. It returns early when ctx ends.
func (p *Pressure) Breathe(ctx context.Context, busySince time.Time) {
	busy := time.Since(busySince)
	for ctx.Err() == nil {
		share := p.Share()
		if share > 0 {
			pause(ctx, min(pollEvery, time.Duration(float64(busy)*(1/share-1))))
			return
		}
		pause(ctx, pollEvery/10)
	}
}

// pause sleeps until d has passed or ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
