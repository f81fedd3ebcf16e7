package ingest_test

import (
	"context"
	"flag"
	"sync"
	"testing"
	"time"

	"datawriter/worker/ingest/ingesttest"
)

var (
	soakFor  = flag.Duration("soak", 5*time.Second, "length of the soak: make ingest-soak takes an hour")
	soakRate = flag.Int("rate", 1500, "events a second of the soak")
)

// TestThePeakOfTheNetwork watches the memory of the ingest while connections break
// and a drain runs beside it, for a moment or for an hour. Everything is added, and
// no gap is reported.
func TestThePeakOfTheNetwork(t *testing.T) {
	r := newRig(t, "--maxmemory", "2gb", "--maxmemory-policy", "noeviction", "--appendonly", "yes", "--appendfsync", "everysec")
	source := ingesttest.NewSource(11, 500_000)
	host := (&ingesttest.Host{Source: source, V1: true, V2: true}).Start(1)
	defer host.Stop()
	host.Set(ingesttest.Faults{Cut: 0.000002, Again: 0.001, Strangers: 0.01})
	p := r.ingest("--host", host.URL())
	var helpers sync.WaitGroup
	ctx, stop := context.WithTimeout(t.Context(), *soakFor)
	defer stop()
	helpers.Go(func() { r.drain(ctx, time.Minute) })
	for r.metric("connections_total", "") == 0 {
		time.Sleep(50 * time.Millisecond)
	}
	began, minute := time.Now(), time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for due := 0; ctx.Err() == nil; <-tick.C {
		now := int(time.Since(began).Seconds() * float64(*soakRate))
		source.Make(now-due, 100*time.Millisecond)
		due = now
		if time.Since(minute) > time.Minute {
			minute = minute.Add(time.Minute)
			r.report("soak", map[string]any{
				"minutes": time.Since(began).Minutes(), "made": source.Count(), "added": r.metric("events_total", ""),
				"duplicates": r.metric("duplicates_total", ""), "connections": r.metric("connections_total", ""),
				"rss_mb": rss(p.Process.Pid), "cpu_s": cpuOf(p.Process.Pid).Seconds(), "remembered": r.metric("seen_identities", ""),
				"lag_s": r.metric("lag_seconds", ""), "gaps": r.metric("gaps_total", ""), "redis_mb": rss(r.redis.PID()),
			})
		}
	}
	helpers.Wait()
	for late := time.Now(); r.metric("events_total", "") < float64(source.Count()); time.Sleep(50 * time.Millisecond) {
		if time.Since(late) > time.Minute {
			t.Fatalf("%.0f of %d events are added", r.metric("events_total", ""), source.Count())
		}
	}
	if gaps := r.metric("gaps_total", ""); gaps > 0 {
		t.Errorf("%.0f gaps", gaps)
	}
	p.stop()
}
