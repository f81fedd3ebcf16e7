package simulate

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/stream"
)

// A producer slows down when slowAt of Redis's memory is in use and stops at
// stopAt, so that draining has room to catch up before Redis refuses writes or,
// under an evicting policy, drops whole streams.
const (
	slowAt    = 0.75
	stopAt    = 0.85
	pollEvery = time.Second
)

// pressure watches Redis's memory and tells which share of its speed a producer
// may use.
type pressure struct {
	client *stream.Client
	log    *zap.Logger
	speed  atomic.Uint64 // bits of a float64
	used   atomic.Uint64 // the share of the memory in use, bits of a float64
}

func newPressure(client *stream.Client, log *zap.Logger) *pressure {
	p := &pressure{client: client, log: log}
	p.speed.Store(math.Float64bits(1))
	return p
}

// share returns the share of full speed that is allowed now, 0..1.
func (p *pressure) share() float64 { return math.Float64frombits(p.speed.Load()) }

// usedShare returns which share of its memory Redis uses, 0 without a limit.
func (p *pressure) usedShare() float64 { return math.Float64frombits(p.used.Load()) }

// look asks Redis once. That Redis is away is not this watch's affair: the
// senders notice, and the last known share stays.
func (p *pressure) look(ctx context.Context) error {
	server, err := p.client.Server(ctx)
	if err != nil {
		if errors.Is(err, stream.ErrMisconfigured) {
			return err
		}
		return nil
	}
	p.apply(server.UsedMemory, server.MaxMemory)
	return nil
}

func (p *pressure) apply(used, most int64) {
	share := 0.0
	if most > 0 {
		share = float64(used) / float64(most)
	}
	before, after := p.share(), allowed(share)
	p.used.Store(math.Float64bits(share))
	p.speed.Store(math.Float64bits(after))
	memory := zap.Float64("memory_share", math.Round(share*1000)/1000)
	switch {
	case before > 0 && after == 0:
		p.log.Warn("redis is nearly full, stopping until it is drained", memory)
	case before == 0 && after > 0:
		p.log.Info("redis has room again, going on", memory)
	case before == 1 && after < 1:
		p.log.Warn("redis is filling up, slowing down", memory)
	}
}

// allowed falls evenly from 1 at slowAt to 0 at stopAt.
func allowed(used float64) float64 {
	return min(1, max(0, (stopAt-used)/(stopAt-slowAt)))
}

// watch looks once per pollEvery until ctx ends.
func (p *pressure) watch(ctx context.Context) {
	every := time.NewTicker(pollEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			_ = p.look(ctx) // a misconfiguration shows up with the senders
		}
	}
}

// breathe pauses a producer without a rate so that it works only for the
// allowed share of the time since busySince. It returns early when ctx ends.
func (p *pressure) breathe(ctx context.Context, busySince time.Time) {
	busy := time.Since(busySince)
	for ctx.Err() == nil {
		share := p.share()
		if share > 0 {
			pause(ctx, min(pollEvery, time.Duration(float64(busy)*(1/share-1))))
			return
		}
		pause(ctx, pollEvery/10)
	}
}
