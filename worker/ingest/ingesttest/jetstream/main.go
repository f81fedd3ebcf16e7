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
	"net"
	"os"
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
	listen := flag.String("listen", "127.0.0.1:0", "address to serve at")
	rate := flag.Int("rate", 1500, "events a second")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the events; a server that is started again must not send the same")
	flag.Parse()
	if err := serve(*listen, *rate, *seed); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(listen string, rate int, seed uint64) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	source := ingesttest.NewSource(seed, remembered)
	host := (&ingesttest.Host{Source: source, V1: true, V2: true, At: listener}).Start(seed)
	defer host.Stop()
	fmt.Println(host.URL())
	for next := time.NewTicker(tick); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
			source.Make(rate*int(tick/time.Millisecond)/1000, tick)
		}
	}
}
