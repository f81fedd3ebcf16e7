package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// lane is one stream that is fed. What it holds is what Redis will hold when
// the batches that were cut are committed; after a failure it is loaded again.
type lane struct {
	name   string
	intake *stream.Intake
	at     position
	seen   *seen

	duplicates prometheus.Counter
}

func newLane(name string, intake *stream.Intake) *lane {
	return &lane{name: name, intake: intake, seen: newSeen()}
}

// take makes the lane ours and loads what Redis holds of it.
func (l *lane) take(ctx context.Context, owner string, alive time.Duration) error {
	state, err := l.intake.Take(ctx, owner, alive)
	if err != nil {
		return err
	}
	if l.at, err = parsePosition(state.Position); err == nil {
		err = l.seen.load(state.Seen)
	}
	if err != nil {
		return fmt.Errorf("feed of %s: %w", l.intake.Name(), err)
	}
	return nil
}

// proves reports whether an event that the connection with that number stored
// shows that the source continues where the lane stands.
func (l *lane) proves(connection int64) bool {
	return l.at.Doubt == 0 || connection < l.at.Doubt || l.at.Through > 0 && connection > l.at.Through
}

// batch is what becomes one step of Redis: new events of all lanes and how far
// they reach. Its memory is used again and again.
type batch struct {
	arena  []byte
	parts  []part // one for each lane
	events int
	newest int64 // time of the newest event, microseconds
}

type part struct {
	events [][]byte
	blob   blob
}

const (
	maxBatch      = 1000
	maxBatchBytes = 1 << 20
)

func newBatch(lanes int) *batch { return &batch{parts: make([]part, lanes)} }

func (b *batch) reset() {
	b.arena, b.events, b.newest = b.arena[:0], 0, 0
	for i := range b.parts {
		p := &b.parts[i]
		p.events = p.events[:0]
		p.blob = blob{}
	}
	if cap(b.arena) > 4*maxBatchBytes {
		b.arena = nil
	}
}

func (b *batch) full() bool { return b.events >= maxBatch || len(b.arena) >= maxBatchBytes }

// add copies an event. Slices into the arena stay valid when it grows.
func (b *batch) add(lane int, e *event.Envelope, id identity) {
	start := len(b.arena)
	b.arena = append(b.arena, e.JSON...)
	p := &b.parts[lane]
	p.events = append(p.events, b.arena[start:len(b.arena):len(b.arena)])
	p.blob.ids = append(p.blob.ids, id)
	p.blob.newest = max(p.blob.newest, e.TimeUS.Value)
	b.newest = max(b.newest, e.TimeUS.Value)
	b.events++
}

// steps returns what Redis is sent, after the lanes have moved on to at. Of each
// lane, what is older than forget is forgotten, but for the last least, and what
// exceeds most: early is how many events that were. No event is taken to be newer than latest.
func (b *batch) steps(lanes []*lane, connection, forget, latest int64, least, most int) (steps []stream.IntakeBatch, early int) {
	steps = make([]stream.IntakeBatch, len(lanes))
	for i, l := range lanes {
		p := &b.parts[i]
		p.blob.connection, p.blob.newest = connection, min(p.blob.newest, latest)
		blobs, excess := l.seen.forget(forget, least, most)
		early += excess
		steps[i] = stream.IntakeBatch{Events: p.events, Position: l.at.text(), Seen: p.blob.bytes(), Forget: blobs}
		l.seen.keep(p.blob)
	}
	return steps, early
}
