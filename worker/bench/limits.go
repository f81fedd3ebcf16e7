package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// measured is what a child prints: the part of its life that counts, without
// what it had to prepare first.
type measured struct {
	Seconds float64 `json:"measured_seconds"`
	CPU     float64 `json:"measured_cpu_seconds"`
	Bytes   int64   `json:"measured_bytes,omitempty"`
	Offline bool    `json:"offline"` // Redis had no part in it
}

// runChild measures one limit in this process.
func runChild(ctx context.Context, o options) error {
	opts, err := redis.ParseURL(o.redis)
	if err != nil {
		return err
	}
	opts.Protocol = 2
	client := redis.NewClient(opts)
	defer client.Close()
	var result measured
	switch o.child {
	case "ack":
		result, err = bare(o.ids, func(kind event.Kind, ids []string) error { return bareAck(ctx, client, streamName(kind), ids) })
	case "range":
		result, err = bare(o.ids, func(kind event.Kind, ids []string) error { return bareRange(ctx, client, streamName(kind), ids) })
	case "encode":
		result, err = encodeAlone(ctx, o.redis)
	case "disk":
		result, err = diskAlone(o.data, o.bytes)
	default:
		return fmt.Errorf("there is no limit %q", o.child)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func timed(do func() error) (measured, error) {
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		return measured{}, err
	}
	start := time.Now()
	if err := do(); err != nil {
		return measured{}, err
	}
	took := time.Since(start)
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		return measured{}, err
	}
	return measured{Seconds: took.Seconds(), CPU: cpuOf(after) - cpuOf(before)}, nil
}

func cpuOf(r syscall.Rusage) float64 {
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

func streamName(kind event.Kind) string { return stream.DefaultPrefix + "{" + kind.String() + "}" }

func eachKind(do func(event.Kind) error) error {
	var group errgroup.Group
	for _, kind := range event.Kinds() {
		group.Go(func() error { return do(kind) })
	}
	return group.Wait()
}

// bareGroup is the group of the bare commands.
const bareGroup = "bare"

// bare measures commands that need to know the IDs, which are read beforehand.
func bare(idFolder string, do func(event.Kind, []string) error) (measured, error) {
	ids := make(map[event.Kind][]string)
	for _, kind := range event.Kinds() {
		text, err := os.ReadFile(filepath.Join(idFolder, kind.String()+".ids"))
		if err != nil {
			return measured{}, err
		}
		ids[kind] = strings.Fields(string(text))
	}
	return timed(func() error {
		return eachKind(func(kind event.Kind) error { return do(kind, ids[kind]) })
	})
}

// bareAck sends the commands that the default cannot do without: every page
// read through the group, every ID acked, everything trimmed.
func bareAck(ctx context.Context, client *redis.Client, name string, ids []string) error {
	if err := client.XGroupCreateMkStream(ctx, name, bareGroup, "0").Err(); err != nil {
		return err
	}
	for page := range slices.Chunk(ids, stream.MaxPage) {
		if err := client.DoRawWriteTo(ctx, io.Discard, "XREADGROUP", "GROUP", bareGroup, "c", "COUNT", len(page), "STREAMS", name, ">").Err(); err != nil {
			return err
		}
	}
	for page := range slices.Chunk(ids, stream.MaxPage) {
		if err := client.XAck(ctx, name, bareGroup, page...).Err(); err != nil {
			return err
		}
	}
	return client.XTrimMaxLen(ctx, name, 0).Err()
}

// bareRange reads every page by range and trims everything.
func bareRange(ctx context.Context, client *redis.Client, name string, ids []string) error {
	for page := range slices.Chunk(ids, stream.MaxPage) {
		if err := client.DoRawWriteTo(ctx, io.Discard, "XRANGE", name, page[0], "+", "COUNT", len(page)).Err(); err != nil {
			return err
		}
	}
	return client.XTrimMaxLen(ctx, name, 0).Err()
}
