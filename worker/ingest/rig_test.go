package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"datawriter/worker/event"
	"datawriter/worker/ingest"
	"datawriter/worker/ingest/ingesttest"
	"datawriter/worker/simulate"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
)

// rig is a Redis, a source and what an ingest made of it.
type rig struct {
	t      *testing.T
	redis  *streamtest.Server
	client *stream.Client
	state  string
	source *ingesttest.Source
	made   map[string]int // how often each event that is ours was made: once
}

func newRig(t *testing.T, options ...string) *rig {
	t.Helper()
	r := &rig{t: t, redis: streamtest.Start(t, options...), state: t.TempDir(), made: make(map[string]int)}
	r.client = r.open()
	r.source = ingesttest.NewSource(7, 0)
	return r
}

func (r *rig) open() *stream.Client {
	client, err := stream.Open(stream.Config{URL: r.redis.URL()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = client.Close() })
	return client
}

// make lets n events happen.
func (r *rig) make(n int, over time.Duration) {
	for _, made := range r.source.Make(n, over) {
		r.made[made.Key]++
	}
}

func (r *rig) host(h *ingesttest.Host) *ingesttest.Host {
	h.Source = r.source
	h.Start(uint64(len(r.made)) + 1)
	r.t.Cleanup(h.Stop)
	return h
}

// options are impatient enough for a test.
func (r *rig) options(hosts ...*ingesttest.Host) ingest.Options {
	o := ingest.Options{
		StateDir: r.state, Log: zaptest.NewLogger(r.t, zaptest.Level(zap.WarnLevel)),
		Stall: time.Second, Rewind: 100 * time.Millisecond, Grace: 200 * time.Millisecond, Standby: 300 * time.Millisecond,
		FirstPause: 5 * time.Millisecond, Redis: 20 * time.Millisecond, MaxMessage: 1 << 16,
	}
	for _, h := range hosts {
		o.Hosts = append(o.Hosts, h.URL())
	}
	return o
}

// running is one ingest.
type running struct {
	r    *rig
	g    *ingest.Ingester
	stop context.CancelFunc
	done chan error
}

func (r *rig) start(o ingest.Options) *running {
	r.t.Helper()
	g, err := ingest.New(r.open(), o)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{r: r, g: g, stop: cancel, done: make(chan error, 1)}
	go func() { run.done <- g.Run(ctx) }()
	r.t.Cleanup(func() { cancel(); <-run.done; run.done <- nil })
	return run
}

// connect starts an ingest and waits until it has a connection.
func (r *rig) connect(o ingest.Options) *running {
	r.t.Helper()
	run := r.start(o)
	r.until("it is connected", func() bool { return run.counter("connections_total") > 0 })
	return run
}

// end stops the ingest and waits for it.
func (run *running) end() {
	run.r.t.Helper()
	run.stop()
	err := <-run.done
	run.done <- nil
	if !errors.Is(err, context.Canceled) {
		run.r.t.Fatalf("the ingest ended with %v", err)
	}
}

// counter returns the value of a metric, the sum over its labels.
func (run *running) counter(name string, labels ...string) (sum float64) {
	run.r.t.Helper()
	families, err := run.g.Registry().Gather()
	if err != nil {
		run.r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "datawriter_ingest_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			matches := len(labels) == 0
			for _, l := range m.GetLabel() {
				matches = matches || slices.Contains(labels, l.GetValue())
			}
			if matches {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// stored returns how often each event stands in the streams.
func (r *rig) stored() map[string]int {
	r.t.Helper()
	found := make(map[string]int)
	var reader event.Envelopes
	for _, kind := range event.Kinds() {
		entries, err := r.client.Redis().XRange(context.Background(), r.client.Name(kind), "-", "+").Result()
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range entries {
			envelope, ok := reader.Read([]byte(e.Values["event"].(string)))
			if !ok {
				r.t.Fatalf("an entry that is no event: %v", e)
			}
			found[ingesttest.Key(&envelope)]++
		}
	}
	return found
}

// complete waits until as many events are stored as there were made.
func (r *rig) complete() {
	r.t.Helper()
	r.until(fmt.Sprintf("all %d events are stored", len(r.made)), func() bool {
		n := int64(0)
		for _, kind := range event.Kinds() {
			n += r.client.Redis().XLen(context.Background(), r.client.Name(kind)).Val()
		}
		return n >= int64(len(r.made))
	})
}

func (r *rig) until(what string, condition func() bool) {
	r.t.Helper()
	for range 6000 {
		if condition() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatalf("it did not come to be that %s", what)
}

// exact compares what is stored with what was made, but for events that missing allows.
func (r *rig) exact(missing func(key string) bool) {
	r.t.Helper()
	stored := r.stored()
	wrong := 0
	for key := range r.made {
		n := stored[key]
		if n == 1 || n == 0 && missing != nil && missing(key) {
			continue
		}
		if wrong++; wrong <= 5 {
			r.t.Errorf("event %s stands there %d times", key, n)
		}
	}
	for key := range stored {
		if r.made[key] == 0 {
			r.t.Errorf("event %s was never made", key)
		}
	}
	if wrong > 5 {
		r.t.Errorf("%d events in all are not there once", wrong)
	}
}

func (r *rig) gaps() []ingest.Gap {
	r.t.Helper()
	gaps, err := ingest.ReadGaps(r.state)
	if err != nil {
		r.t.Fatal(err)
	}
	return gaps
}

func (r *rig) noGap() {
	r.t.Helper()
	if gaps := r.gaps(); len(gaps) > 0 {
		r.t.Errorf("gaps were reported that were none: %+v", gaps)
	}
}

// sample returns recorded events: those of the file that the variable
// TEST_JETSTREAM_SAMPLE names, else made-up ones and some of other classes.
func sample(t *testing.T) (texts [][]byte) {
	t.Helper()
	name := os.Getenv("TEST_JETSTREAM_SAMPLE")
	if name == "" {
		g, err := simulate.NewGenerator(simulate.Traits{Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			texts = append(texts, g.Append(nil, g.Kind(), 1_700_000_000_000_000))
		}
		return texts
	}
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(content) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			texts = append(texts, line)
		}
	}
	return texts
}
