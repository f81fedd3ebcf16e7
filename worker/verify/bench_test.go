package verify_test

import (
	"context"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/verify"
)

// BenchmarkFiles reads a window of 60,000 likes and 20,000 posts, of which every
// post stands in event_json. On a busy machine rows per CPU-second say more than
// ns/op.
func BenchmarkFiles(b *testing.B) {
	const likes, posts = 60_000, 20_000
	server := streamtest.Start(b)
	client := must(stream.Open(stream.Config{URL: server.URL()}))
	defer client.Close()
	var batch []stream.Addition
	for n := range likes + posts {
		a := addition(event.Likes, idIn(w1, uint64(n)), like(n))
		if n >= likes {
			a = addition(event.Posts, idIn(w1, uint64(n)), post(n))
		}
		if batch = append(batch, a); len(batch) == 1000 {
			must(client.Add(context.Background(), batch))
			batch = batch[:0]
		}
	}
	archive := must(sink.OpenURL(filepath.Join(b.TempDir(), "data"), nil))
	p := &place{data: b.TempDir()}
	cfg := drain.Config{Length: w1.Length, Layout: sink.Plain, Lease: time.Second, Attempts: 1}
	must(drain.New(client, archive, p.runs(), cfg, zap.NewNop()).Run(context.Background(), w1))

	before := cpuSeconds(b)
	for b.Loop() {
		report := must(verify.New(archive, verify.Config{Layout: sink.Plain}).Run(context.Background()))
		if report.Err() != nil || report.Rows != likes+posts {
			b.Fatalf("%d rows: %v", report.Rows, report.Err())
		}
	}
	b.ReportMetric(float64(b.N)*(likes+posts)/(cpuSeconds(b)-before), "rows/CPU-s")
}

func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}
