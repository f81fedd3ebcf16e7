package validate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/deployments"
	"datawriter/worker/stream"
)

// ownRedis is a server that a step starts for itself, so that it can fill,
// restart and kill it. It runs the shipped configuration, or Config.RedisConf.
type ownRedis struct {
	folder  string // its append-only file and its log
	address string
	program string
	options []string
	child   *child

	redis  *redis.Client
	stream *stream.Client
}

// replyTimeout bounds the wait for one answer: flushing two gigabytes on a busy
// machine takes seconds.
const replyTimeout = time.Minute

// loadTime is how long a server may take to read its files.
const loadTime = 5 * time.Minute

// startRedis starts a server with options like "maxmemory 64mb" beyond its
// configuration file. It ends with the step, and its files go.
func (s *Session) startRedis(ctx context.Context, name string, options ...string) (*ownRedis, error) {
	program, err := findProgram("redis", s.cfg.RedisServer)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(silence{})
	o := &ownRedis{program: program}
	if o.folder, err = s.folder(name); err != nil {
		return nil, err
	}
	if o.options, err = s.redisOptions(o.folder, options); err != nil {
		return nil, err
	}
	s.cleanup(func(context.Context) error { return o.close() })
	for range 5 { // a free port can be taken between the look and the start
		if o.address, err = freeAddress(ctx); err != nil {
			return nil, err
		}
		if _, err = o.start(ctx); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// redisOptions writes the configuration file and returns the command line's
// beginning: what belongs to a trial comes after what the user decided.
func (s *Session) redisOptions(folder string, options []string) ([]string, error) {
	conf := s.cfg.RedisConf
	if conf == "" {
		conf = filepath.Join(folder, "redis.conf")
		if err := os.WriteFile(conf, []byte(deployments.RedisConf), 0o644); err != nil {
			return nil, fmt.Errorf("start redis: %w", err)
		}
	}
	args := []string{conf, "--bind", "127.0.0.1", "--dir", folder, "--daemonize", "no", "--logfile", ""}
	for _, option := range append(options, s.cfg.RedisOption...) {
		name, value, _ := strings.Cut(strings.TrimSpace(option), " ")
		args = append(args, "--"+name, strings.TrimSpace(value))
	}
	return args, nil
}

// start starts the server, on the files that are there, and returns after how
// long it answered.
func (o *ownRedis) start(ctx context.Context) (time.Duration, error) {
	_, port, _ := net.SplitHostPort(o.address)
	began := time.Now()
	var err error
	if o.child, err = launch("redis", o.program, o.folder, filepath.Join(o.folder, "redis.log"), append(o.options, "--port", port)...); err != nil {
		return 0, err
	}
	client := redis.NewClient(&redis.Options{Addr: o.address, MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	limited, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	for {
		answer := client.Ping(limited).Err()
		if answer == nil {
			took := time.Since(began)
			return took, o.connect() // connections to the process before are dead
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-o.child.done:
			return 0, fmt.Errorf("%w: redis ended; its log says: %s", ErrUnready, o.tail())
		case <-limited.Done():
			return 0, fmt.Errorf("redis does not answer: %w; its log says: %s", errors.Join(context.Cause(ctx), answer), o.tail())
		}
	}
}

func (o *ownRedis) connect() (err error) {
	if err := o.disconnect(); err != nil {
		return err
	}
	o.redis = redis.NewClient(&redis.Options{Addr: o.address, Protocol: 2, PoolSize: 64, DisableIdentity: true, ReadTimeout: replyTimeout})
	o.stream, err = stream.Open(stream.Config{URL: o.url()})
	return err
}

func (o *ownRedis) url() string { return "redis://" + o.address + "/0" }

// kill ends the server as a crash does.
func (o *ownRedis) kill() { o.child.kill() }

// stop ends the server as an orderly restart does, and waits for its end.
func (o *ownRedis) stop(ctx context.Context) error {
	_ = o.redis.Shutdown(ctx).Err() // the answer is a closed connection
	select {
	case <-o.child.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (o *ownRedis) close() error {
	if o.child != nil {
		o.child.kill()
	}
	return o.disconnect()
}

func (o *ownRedis) disconnect() error {
	if o.redis == nil {
		return nil
	}
	err := errors.Join(o.redis.Close(), o.stream.Close())
	o.redis, o.stream = nil, nil
	return err
}

func (o *ownRedis) tail() string {
	log, _ := os.ReadFile(filepath.Join(o.folder, "redis.log"))
	return strings.TrimSpace(string(log[max(0, len(log)-500):]))
}

// info asks INFO, and returns its fields.
type info map[string]string

func readInfo(ctx context.Context, client *redis.Client, sections ...string) (info, error) {
	text, err := client.Info(ctx, sections...).Result()
	if err != nil {
		return nil, fmt.Errorf("read the state of redis: %w", err)
	}
	fields := make(info)
	for line := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}

// number returns a field; an absent one is 0.
func (i info) number(name string) float64 {
	n, _ := strconv.ParseFloat(i[name], 64)
	return n
}

// dataMemory is the memory of what is stored, in bytes: without the buffers of
// clients, and what waits to be written to the append-only file.
func (i info) dataMemory() float64 {
	return i.number("used_memory") - i.number("mem_aof_buffer") - i.number("mem_clients_normal") - i.number("mem_clients_slaves")
}

// dataShare is dataMemory in percent of maxmemory; 0 without a limit. Eviction goes
// by this one: what waits for a slow disk passes.
func (i info) dataShare() float64 {
	if i.number("maxmemory") == 0 {
		return 0
	}
	return 100 * i.dataMemory() / i.number("maxmemory")
}

// memoryShare is used_memory in percent of maxmemory; 0 without a limit.
func (i info) memoryShare() float64 {
	if i.number("maxmemory") == 0 {
		return 0
	}
	return 100 * i.number("used_memory") / i.number("maxmemory")
}

// factsOfRedis notes the server's version and the settings that matter to a buffer.
func (s *Session) factsOfRedis(ctx context.Context, client *redis.Client) error {
	found, err := readInfo(ctx, client)
	if err != nil {
		return err
	}
	version := "Redis " + found["redis_version"]
	if v := found["valkey_version"]; v != "" {
		version = "Valkey " + v
	}
	s.fact("server", "%s, %s", version, found["mem_allocator"])
	for _, name := range []string{"maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save", "stream-node-max-bytes", "stream-node-max-entries", "io-threads"} {
		if values, err := client.ConfigGet(ctx, name).Result(); err == nil {
			s.fact(name, "%s", values[name])
		}
	}
	return nil
}

// silence is a logger of go-redis that prints nothing: connections that break are
// what steps are about, and stand in errors.
type silence struct{}

// Printf drops the line.
func (silence) Printf(context.Context, string, ...any) {}
