package simulate_test

import (
	"context"
	"testing"

	"datawriter/worker/event"
	"datawriter/worker/simulate"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
)

// BenchmarkGenerator makes events of the measured mix; one event an operation.
func BenchmarkGenerator(b *testing.B) {
	g, err := simulate.NewGenerator(simulate.Traits{Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	var buffer []byte
	bytes := 0
	b.ReportAllocs()
	for b.Loop() {
		buffer = g.Append(buffer[:0], g.Kind(), 1_783_175_888_000_000)
		bytes += len(buffer)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(bytes)/float64(b.N), "bytes/event")
}

// BenchmarkRun sends events to a real server on the same machine, without a rate.
func BenchmarkRun(b *testing.B) {
	server := streamtest.Start(b, "--appendonly", "yes", "--appendfsync", "everysec")
	client, err := stream.Open(stream.Config{URL: server.URL()})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	for b.Loop() {
		result, err := simulate.Run(context.Background(), client, simulate.Options{Count: 100_000})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(result.Rate, "events/s")
		for _, kind := range event.Kinds() {
			client.Redis().Del(context.Background(), client.Name(kind))
		}
	}
}
