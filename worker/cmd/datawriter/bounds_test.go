package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
)

const (
	// mostResident is what a run may have in memory, mostData what it may ask the
	// kernel for before that kills it, mostOutput what Redis may hold for it in
	// output buffers.
	mostResident = 400 << 20
	mostData     = 512 << 20
	mostOutput   = 64 << 20
)

// load is entries of these sizes, in this order, for one kind.
type load struct {
	kind  event.Kind
	sizes []int
}

func times(n, size int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

// mixed returns sizes from 200 bytes to some megabytes, each magnitude as likely as
// the others, with stretches of small ones between.
func mixed(seed uint64, total int) (sizes []int) {
	random := rand.New(rand.NewPCG(seed, 7))
	for left := total; left > 0; {
		size := 200 << random.IntN(15)
		size += random.IntN(size)
		for range 1 + random.IntN(1+200_000/size) {
			sizes = append(sizes, size)
			left -= size
		}
	}
	return sizes
}

func TestMemoryIsBoundedWhateverEntriesWeigh(t *testing.T) {
	const mb = 1_000_000
	every := func(sizes ...int) (all []load) {
		for _, kind := range event.Kinds() {
			all = append(all, load{kind, sizes})
		}
		return all
	}
	for _, of := range []struct {
		name  string
		loads []load
		flags []string
	}{
		{name: "the largest records in every kind", loads: every(times(24, 39*mb/10)...)},
		{name: "small ones, then megabytes", loads: []load{{event.Likes, append(times(5000, 300), times(300, mb)...)}}},
		{name: "megabytes, then small ones", loads: []load{{event.Likes, append(times(150, mb), times(5000, 300)...)}}},
		{name: "far too large ones", loads: []load{{event.Posts, times(20, 20*mb)}, {event.Likes, times(10, 20*mb)}}},
		{name: "one that is larger than the budget", loads: []load{{event.Likes, []int{300, 45 * mb, 300}}}},
		{name: "sizes at random", loads: []load{{event.Likes, mixed(1, 150*mb)}, {event.Posts, mixed(2, 100*mb)}, {event.Blocks, mixed(3, 50*mb)}}},
		{name: "sizes at random without a pending list", flags: []string{"--noack"}, loads: []load{{event.Likes, mixed(4, 100*mb)}, {event.Follows, mixed(5, 50*mb)}}},
		{name: "a few large ones among very many", loads: []load{{event.Likes, append(append(times(150_000, 500), times(90, mb)...), times(150_000, 500)...)}}},
	} {
		t.Run(of.name, func(t *testing.T) {
			server := streamtest.Start(t)
			want := addSizes(t, server, of.loads)
			client := server.Client()
			limitMemory(t, client)
			data := t.TempDir()
			got := runBounded(t, client, append([]string{"run", "--window", testWindow, "--catch-up=false", "--data", data,
				"--redis-url", server.URL()}, of.flags...)...)
			if got.code != exitOK {
				t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
			}
			t.Logf("%d MB resident, %d MB in output buffers", got.resident>>20, got.output>>20)
			if got.resident > mostResident || got.output > mostOutput {
				t.Errorf("%d bytes resident and %d in output buffers, want at most %d and %d", got.resident, got.output, mostResident, mostOutput)
			}
			if evicted := infoNumber(t, client, "evicted_keys"); evicted != 0 {
				t.Errorf("redis evicted %d keys", evicted)
			}
			for kind, n := range want {
				if ids := archived(t, data, kind.String()); len(ids) != n {
					t.Errorf("%s: %d entries in files, want %d", kind, len(ids), n)
				} else {
					for id, times := range ids {
						if times != 1 {
							t.Errorf("%s: entry %s is %d times in files", kind, id, times)
						}
					}
				}
			}
		})
	}
}

// addSizes adds valid events of these sizes and returns how many of each kind.
func addSizes(t *testing.T, server *streamtest.Server, loads []load) map[event.Kind]int {
	t.Helper()
	client, err := stream.Open(stream.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	noise := make([]byte, 34<<20)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(noise)
	filler := base64.StdEncoding.AppendEncode(nil, noise)
	counts := make(map[event.Kind]int)
	for _, l := range loads {
		var batch []stream.Addition
		bytes := 0
		for i, size := range l.sizes {
			a := stream.Addition{Kind: l.kind, ID: event.ID{MS: windowStart + uint64(i/8), Seq: uint64(i)},
				Fields: [][]byte{[]byte(event.FieldName), padded(l.kind, i, size, filler)}}
			if batch, bytes = append(batch, a), bytes+size; bytes < 4<<20 && i+1 < len(l.sizes) {
				continue
			}
			if _, err := client.Add(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			batch, bytes = nil, 0
		}
		counts[l.kind] += len(l.sizes)
	}
	return counts
}

// padded returns an event of about that size, which does not compress.
func padded(kind event.Kind, i, size int, filler []byte) []byte {
	text := fmt.Appendf(nil, `{"did":"did:plc:a","time_us":1783175888218287,"kind":"commit","commit":{"rev":"r","operation":"create","collection":%q,"rkey":"k%d","record":{"$type":%q,"pad":"`,
		kind.Collection(), i, kind.Collection())
	text = append(text, filler[:max(0, size-len(text)-20)]...)
	return append(text, `"},"cid":"bafy"}}`...)
}

// limitMemory leaves Redis no more room than output buffers may take.
func limitMemory(t *testing.T, client *redis.Client) {
	t.Helper()
	most := infoNumber(t, client, "used_memory") + mostOutput
	for option, value := range map[string]string{"maxmemory": strconv.FormatInt(most, 10), "maxmemory-policy": "allkeys-lru"} {
		if err := client.ConfigSet(t.Context(), option, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func infoNumber(t *testing.T, client *redis.Client, name string) int64 {
	t.Helper()
	info, err := client.Info(t.Context()).Result()
	_, rest, found := strings.Cut(info, "\n"+name+":")
	digits, _, _ := strings.Cut(rest, "\r")
	n, bad := strconv.ParseInt(digits, 10, 64)
	if err != nil || !found || bad != nil {
		t.Fatalf("INFO does not say %s: %v", name, err)
	}
	return n
}

// bounded is how a process ended, and what it took.
type bounded struct {
	code           int
	resident       int64 // bytes, at most
	output         int64 // bytes in Redis's output buffers, at most as looked at
	stdout, stderr string
}

// runBounded runs the program so that the kernel refuses it more than mostData of
// memory, and watches what it takes.
func runBounded(t *testing.T, client *redis.Client, args ...string) bounded {
	t.Helper()
	c := command(t, nil, args...)
	shell := fmt.Sprintf(`ulimit -d %d; exec "$0" "$@"`, mostData>>10)
	c.Path, c.Args = "/bin/sh", append([]string{"sh", "-c", shell, c.Path}, c.Args[1:]...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var got bounded
	watching, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watching)
		for {
			select {
			case <-ended:
				return
			case <-time.After(2 * time.Millisecond):
				got.resident = max(got.resident, residentPeak(c.Process.Pid))
				got.output = max(got.output, outputBuffers(t, client))
			}
		}
	}()
	_ = c.Wait() // its exit code says it
	close(ended)
	<-watching
	got.code, got.stdout, got.stderr = c.ProcessState.ExitCode(), stdout.String(), stderr.String()
	return got
}

// residentPeak returns the largest resident memory of a process until now, or 0 when it has ended.
func residentPeak(pid int) (bytes int64) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	_, _ = fmt.Sscan(rest, &bytes)
	return bytes << 10
}

// outputBuffers returns what Redis holds at this moment for all its clients.
func outputBuffers(t *testing.T, client *redis.Client) (total int64) {
	list, err := client.ClientList(t.Context()).Result()
	if err != nil {
		t.Error(err)
	}
	for field := range strings.FieldsSeq(list) {
		if digits, ok := strings.CutPrefix(field, "omem="); ok {
			n, _ := strconv.ParseInt(digits, 10, 64)
			total += n
		}
	}
	return total
}
