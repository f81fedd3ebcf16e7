// Command jetstream is a Jetstream server of made-up events, for tests of a whole
// stack that has a live source:
//
//	go run ./worker/ingest/ingesttest/jetstream -rate 1500
//	SOURCE=live DATAWRITER_HOST=ws://127.0.0.1:… make up
//
// Its first line is the address to give; it ends with a signal.
package main

import (
	"context"
	"flag"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"datawriter/worker/ingest/ingesttest"
)

// tick is how often events happen.
const tick = 100 * time.Millisecond

// remembered is how much of the past a connection can ask for, in events.
const remembered = 2_000_000

func main() {
	rate := flag.Int("rate", 1500, "events a second")
	seed := flag.Uint64("seed", 1, "seed of the events")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	source := ingesttest.NewSource(*seed, remembered)
	host := (&ingesttest.Host{Source: source, V1: true, V2: true}).Start(*seed)
	defer host.Stop()
	fmt.Println(host.URL())
	for next := time.NewTicker(tick); ; {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			source.Make(*rate*int(tick/time.Millisecond)/1000, tick)
		}
	}
}
