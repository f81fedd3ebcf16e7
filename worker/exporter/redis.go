package exporter

import (
	"context"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

const (
	// pings is how often the latency is measured at each look.
	pings = 3
	// maxBacklog bounds how many undrained windows are counted, a question to
	// Redis each: a day of five minutes.
	maxBacklog = 288
)

// buffer asks Redis about the streams and the memory that they fill.
type buffer struct {
	client *stream.Client
	length func() time.Duration // of the archive's windows
	memory forecast
}

func (b *buffer) look(ctx context.Context) ([]prometheus.Metric, error) {
	ping, err := b.ping(ctx)
	if err != nil {
		return nil, err
	}
	info, err := b.client.Redis().Info(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("read the state of redis: %w", err)
	}
	server, err := stream.ParseServer(info)
	if err != nil {
		return nil, err
	}
	now, err := b.client.Now(ctx)
	if err != nil {
		return nil, err
	}
	all := append(b.memoryMetrics(server), redisPing.value(ping.Seconds()))
	for _, code := range refusalCodes {
		all = append(all, redisRefusedTotal.value(refusals(info, code), code))
	}
	undrained := make(map[time.Time]bool)
	for _, kind := range event.Kinds() {
		of, err := b.kind(ctx, kind, now, undrained)
		if err != nil {
			return nil, err
		}
		all = append(all, of...)
	}
	return append(all, undrainedWindows.value(float64(len(undrained)))), nil
}

// ping returns the slowest of several round trips.
func (b *buffer) ping(ctx context.Context) (slowest time.Duration, err error) {
	for i := range pings + 1 {
		began := time.Now()
		if err := b.client.Redis().Ping(ctx).Err(); err != nil {
			return 0, fmt.Errorf("ping redis: %w", err)
		}
		if i > 0 { // the first may have had to connect
			slowest = max(slowest, time.Since(began))
		}
	}
	return slowest, nil
}

func (b *buffer) memoryMetrics(s stream.Server) []prometheus.Metric {
	if s.MaxMemory <= 0 {
		return nil
	}
	all := []prometheus.Metric{redisMemoryRatio.value(float64(s.UsedMemory) / float64(s.MaxMemory))}
	b.memory.add(time.Now(), float64(s.UsedMemory))
	if left, ok := b.memory.until(float64(s.MaxMemory)); ok {
		all = append(all, redisSecondsUntilFull.value(left))
	}
	return all
}

// refusals returns how often Redis answered with an error code since it started.
func refusals(info, code string) float64 {
	_, rest, ok := strings.Cut(info, "errorstat_"+strings.ToUpper(code)+":count=")
	if !ok {
		return 0
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	n, _ := strconv.ParseFloat(rest[:end], 64) // digits only
	return n
}

// kind describes one stream, and adds its undrained windows to the set.
func (b *buffer) kind(ctx context.Context, kind event.Kind, now time.Time, undrained map[time.Time]bool) ([]prometheus.Metric, error) {
	of := b.client.Stream(kind)
	state, err := of.State(ctx)
	if err != nil {
		return nil, err
	}
	next := pending(func(ctx context.Context, from uint64) (event.ID, bool, error) { return of.First(ctx, from) })
	if state.Groups > 1 && state.Grouped {
		if next, err = sharedStream(ctx, of); err != nil {
			return nil, err
		}
	}
	oldest, found, err := next(ctx, 0)
	if err != nil {
		return nil, err
	}
	age := 0.0
	if found {
		age = float64(now.UnixMicro())/1e6 - float64(oldest.MS)/1000 // an ID may be beyond every time.Time
		windows, err := closedWindows(ctx, next, now, b.length())
		if err != nil {
			return nil, err
		}
		maps.Copy(undrained, windows)
	}
	name := kind.String()
	all := []prometheus.Metric{
		streamEntries.value(float64(state.Length), name),
		streamAdded.value(float64(state.EntriesAdded), name),
		streamOldestAge.value(age, name),
	}
	others, err := of.Others(ctx)
	if err != nil {
		return nil, err
	}
	slowest := 0.0
	for _, o := range others {
		slowest = max(slowest, o.Seconds(now))
	}
	all = append(all, otherGroups.value(float64(len(others)), name), otherGroupAge.value(slowest, name))
	if seconds, ok := state.Ahead(now); ok {
		all = append(all, streamAhead.value(seconds, name))
	}
	return all, nil
}

// pending returns the first entry at or after a millisecond that is not drained.
type pending func(ctx context.Context, fromMS uint64) (event.ID, bool, error)

// sharedStream looks for undrained entries in a stream whose entries stay for
// other groups: they are those that our group was not given, or has not acked.
func sharedStream(ctx context.Context, s *stream.Stream) (pending, error) {
	group, err := s.Group(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, from uint64) (event.ID, bool, error) {
		claimed, err := s.Pending(ctx, event.ID{MS: from}, event.ID{MS: math.MaxUint64}, 1)
		if err != nil {
			return event.ID{}, false, err
		}
		if len(claimed) == 1 {
			return claimed[0], true, nil
		}
		// Entries of the cursor's own millisecond are passed over: a look later
		// there are younger ones, or nothing came for a while.
		return s.First(ctx, max(from, group.LastDelivered.MS+1))
	}, nil
}

// closedWindows returns the starts of the windows that hold undrained entries
// and have ended by Redis's clock.
func closedWindows(ctx context.Context, next pending, now time.Time, length time.Duration) (map[time.Time]bool, error) {
	found := make(map[time.Time]bool)
	current, err := window.Containing(now, length)
	if err != nil {
		return nil, err
	}
	for from := uint64(0); from < current.StartMS() && len(found) < maxBacklog; {
		id, ok, err := next(ctx, from)
		if err != nil || !ok || id.MS >= current.StartMS() {
			return found, err
		}
		w, err := window.Containing(time.UnixMilli(int64(id.MS)), length)
		if err != nil {
			return nil, err
		}
		found[w.Start] = true
		from = w.EndMS()
	}
	return found, nil
}
