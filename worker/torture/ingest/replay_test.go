package ingest_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
)

// BenchmarkReplay measures how fast an ingest catches up with a real server: all
// that the server has since the ingest was killed, again in each round. It says
// how many events a second arrived, what a thousand of them cost the ingest, and
// its memory at the end.
func BenchmarkReplay(b *testing.B) {
	for _, way := range []struct {
		name   string
		server version
		wire   string
	}{
		{"the newer server", current, "v2"},
		{"the newer server, older wire", current, "v1"},
		{"the legacy server", legacy, "v1"},
	} {
		b.Run(way.name, func(b *testing.B) {
			c := newCourse(b, 0, coursePlan{hosts: []version{way.server}, wire: way.wire})
			before := c.behind()
			b.ResetTimer()
			var sum replayed
			for range b.N {
				sum.add(c.replay(before))
			}
			b.ReportMetric(float64(sum.events)/sum.took.Seconds(), "events/s")
			b.ReportMetric(sum.cpu.Seconds()*1e6/float64(sum.events), "cpu-ms/1000events")
			b.ReportMetric(sum.rss, "MB")
			b.ReportMetric(float64(sum.events)/float64(b.N), "events/op")
		})
	}
}

// replayed is what rounds came to.
type replayed struct {
	events int64
	took   time.Duration // from the first event on
	cpu    time.Duration // of the ingest from its start on
	rss    float64       // most at the end of a round, MB
}

func (r *replayed) add(one replayed) {
	r.events, r.took, r.cpu, r.rss = r.events+one.events, r.took+one.took, r.cpu+one.cpu, max(r.rss, one.rss)
}

// behind leaves an ingest behind by the whole network, and returns what Redis held
// when it was killed.
func (c *course) behind() map[string]string {
	c.begin()
	c.relay.set(0)
	time.Sleep(time.Second)
	c.feeder.kill()
	client := c.redis.Client()
	defer func() { _ = client.Close() }()
	keys := make(map[string]string)
	for _, key := range client.Keys(c.t.Context(), "*").Val() {
		keys[key] = client.Dump(c.t.Context(), key).Val()
	}
	c.relay.set(4000)
	c.until("everything is sent", 5*time.Minute, func() bool { n, _ := c.relay.sent(); return n == len(c.relay.network.frames) })
	sent, _ := c.relay.sent()
	c.dumped(c.gates[0].now, func(s store) bool { return c.hasNewest(s, sent) })
	return keys
}

// replay lets a new ingest catch up from where the killed one stood.
func (c *course) replay(keys map[string]string) (r replayed) {
	client := c.redis.Client()
	defer func() { _ = client.Close() }()
	ctx := c.t.Context()
	if err := client.FlushAll(ctx).Err(); err != nil {
		c.t.Fatal(err)
	}
	for key, value := range keys {
		if err := client.Restore(ctx, key, 0, value).Err(); err != nil {
			c.t.Fatal(err)
		}
	}
	c.data = filepath.Join(c.t.TempDir(), "data")
	held := added(ctx, client)
	want := held
	for _, f := range c.relay.network.frames[c.first:] {
		want += fives(f)
	}
	c.start()
	c.until("the first event comes", time.Minute, func() bool { return added(ctx, client) > held })
	began, first := time.Now(), added(ctx, client)
	last := first
	for since := time.Now(); time.Since(since) < 3*time.Second; time.Sleep(5 * time.Millisecond) {
		if n := added(ctx, client); n > last {
			last, since = n, time.Now()
			r.took = time.Since(began)
		}
	}
	if last < want {
		c.t.Errorf("%d of %d events came", last, want)
	}
	r.events, r.cpu, r.rss = last-first, cpuOf(c.feeder.Process.Pid), rss(c.feeder.Process.Pid)
	c.feeder.stop()
	return r
}

func fives(f frame) (n int64) {
	for _, e := range f.events {
		if !e.kind.IsRaw() {
			n++
		}
	}
	return n
}

func added(ctx context.Context, client *redis.Client) (n int64) {
	for _, kind := range event.Kinds() {
		if info, err := client.XInfoStream(ctx, "bluesky:{"+kind.String()+"}").Result(); err == nil {
			n += info.EntriesAdded
		}
	}
	return n
}
