package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
	"datawriter/worker/simulate"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// firstWindow is the oldest window of a data set.
const firstWindow = "2026-11-20T10:05:00Z/5m"

// masterPrefix begins the streams that hold the data set; each measurement
// drains a copy.
const masterPrefix = "master:"

// stage is a Redis with one data set.
type stage struct {
	dir     string
	url     string
	server  *exec.Cmd
	redis   *redis.Client
	window  window.Window // the youngest of the data set
	events  int64
	backlog int                     // windows over which the events are spread
	ids     map[event.Kind][]string // of the data set, as XACK takes them
}

// newStage starts a Redis and loads the data set into it.
func newStage(ctx context.Context, o options) (*stage, error) {
	dir, err := os.MkdirTemp("", "datawriter-bench-")
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, events: o.events, backlog: o.windows, ids: make(map[event.Kind][]string)}
	if s.window, err = window.Parse(firstWindow); err != nil {
		return nil, err
	}
	if err := s.start(ctx, o.server); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := errors.Join(s.load(ctx, o.pad), s.saveIDs()); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// saveIDs writes the IDs of the data set where the bare commands read them.
func (s *stage) saveIDs() error {
	for _, kind := range event.Kinds() {
		text := strings.Join(s.ids[kind], "\n")
		if err := os.WriteFile(filepath.Join(s.dir, kind.String()+".ids"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) start(ctx context.Context, server string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	s.url = fmt.Sprintf("redis://127.0.0.1:%d/0", port)
	// Rewrites of the append-only file would fall into some measurements and not
	// into others.
	s.server = exec.CommandContext(ctx, server, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0",
		"--logfile", filepath.Join(s.dir, "redis.log"))
	s.server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.server.Start(); err != nil {
		return err
	}
	s.redis = redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port), Protocol: 2, ReadTimeout: time.Minute})
	for range 500 {
		if err = s.redis.Ping(ctx).Err(); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("redis did not start: %w", err)
}

// load fills the master streams. pad makes every event that many bytes larger,
// by a field that the rows keep in event_json.
func (s *stage) load(ctx context.Context, pad int) error {
	client, err := stream.Open(stream.Config{URL: s.url, Prefix: masterPrefix})
	if err != nil {
		return err
	}
	defer client.Close()
	options := simulate.Options{Count: s.events / int64(s.backlog), IgnoreMemory: true, OnAdded: func(a stream.Addition, id event.ID) {
		s.ids[a.Kind] = append(s.ids[a.Kind], id.String())
	}}
	options.Seed = 1
	if pad > 0 {
		return s.loadPadded(ctx, client, options, pad)
	}
	for i := range s.backlog {
		if i > 0 {
			s.window = s.window.Next()
		}
		options.Window = s.window
		if _, err := simulate.Run(ctx, client, options); err != nil {
			return err
		}
	}
	return nil
}

// loadPadded adds likes whose events carry one more member of pad bytes.
func (s *stage) loadPadded(ctx context.Context, client *stream.Client, o simulate.Options, pad int) error {
	generator, err := simulate.NewGenerator(o.Traits)
	if err != nil {
		return err
	}
	filler := `,"pad":"` + strings.Repeat("x", pad) + `"}`
	for i := int64(0); i < s.events; i++ {
		at := s.window.Start.Add(time.Duration(int64(s.window.Length) * i / s.events))
		json := generator.Next(event.Likes, at)
		padded := slices.Concat(json[:len(json)-1], []byte(filler))
		id := event.ID{MS: uint64(at.UnixMilli()), Seq: uint64(i)}
		if _, err := client.Add(ctx, []stream.Addition{{Kind: event.Likes, ID: id, Fields: [][]byte{[]byte(event.FieldName), padded}}}); err != nil {
			return err
		}
		s.ids[event.Likes] = append(s.ids[event.Likes], id.String())
	}
	return nil
}

// reset gives the next measurement a fresh copy of the data set, in a Redis that
// has nothing else to do.
func (s *stage) reset(ctx context.Context) error {
	for _, kind := range event.Kinds() {
		name := stream.DefaultPrefix + "{" + kind.String() + "}"
		if err := s.redis.Del(ctx, name, name+":lease:"+stream.DefaultGroup).Err(); err != nil {
			return err
		}
		if len(s.ids[kind]) == 0 {
			continue
		}
		if err := s.redis.Copy(ctx, masterPrefix+"{"+kind.String()+"}", name, 0, true).Err(); err != nil {
			return err
		}
	}
	time.Sleep(1200 * time.Millisecond) // one fsync of everysec
	return nil
}

// cpu returns the CPU-seconds that the server's main thread and its other
// threads have used.
func (s *stage) cpu(ctx context.Context) (float64, error) {
	info, err := s.redis.Info(ctx, "cpu").Result()
	if err != nil {
		return 0, err
	}
	total := 0.0
	for line := range strings.SplitSeq(info, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, err
			}
			total += seconds
		}
	}
	return total, nil
}

// left returns how many entries the drained copies still hold.
func (s *stage) left(ctx context.Context) (n int64, err error) {
	for _, kind := range event.Kinds() {
		length, err := s.redis.XLen(ctx, stream.DefaultPrefix+"{"+kind.String()+"}").Result()
		if err != nil {
			return 0, err
		}
		n += length
	}
	return n, nil
}

func (s *stage) close() error {
	if s.redis != nil {
		_ = s.redis.Close()
	}
	if s.server != nil && s.server.Process != nil {
		_ = s.server.Process.Kill()
		_ = s.server.Wait()
	}
	return os.RemoveAll(s.dir)
}
