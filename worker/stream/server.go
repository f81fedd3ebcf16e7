package stream

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Server is what INFO says of the server at one moment.
type Server struct {
	RunID        string // of the process
	ReplID       string // of its data, as replication names it; empty where the server tells none
	Version      string // as "redis 7.0.15" or "valkey 9.1.0"
	UsedMemory   int64  // bytes
	MaxMemory    int64  // bytes; 0 is no limit
	EvictedKeys  int64
	AOFWriteOK   bool // aof_last_write_status
	Replicas     int
	NotEvicting  bool // maxmemory_policy is noeviction
	AOFEnabled   bool
	UptimeInSecs int64
	Cluster      bool   // it is a node of a cluster
	Master       string // address of its master; empty where it is one itself
	MasterAway   bool   // it has no link to its master, and is not copying it
}

// ID names the process and the data that it serves. A process that follows
// another server for a while, and then stands alone again, holds other entries
// under the same IDs: it has another replication ID then. The replication ID also
// changes where no entry does, with the first replica for example.
func (s Server) ID() string { return s.RunID + " " + s.ReplID }

// Writable refuses a replica, which takes no writes. before is the run_id of the
// server that was written last, where that is known: if it is this one, a failover
// has made it a replica, and --redis-url, which led to the master, may soon lead
// there again. That, and a replica whose master is away, is ErrUnavailable;
// otherwise the URL is wrong, ErrMisconfigured.
func (s Server) Writable(before string) error {
	switch {
	case s.Master == "":
		return nil
	case s.MasterAway:
		return fmt.Errorf("%w: it is a replica of %s and has no link to it now: a failover or its first copy may be under way; if there is none, --redis-url must lead to the master", ErrUnavailable, s.Master)
	case before == s.RunID:
		return fmt.Errorf("%w: it has become a replica of %s: --redis-url must lead to the new master", ErrUnavailable, s.Master)
	}
	return fmt.Errorf("%w: it is a replica, which takes no writes: give the address of its master, %s", ErrMisconfigured, s.Master)
}

// Server asks INFO. A Sentinel, and a server older than Redis 7.0 or Valkey 7.2, is
// ErrMisconfigured: allow-oom scripts, entries-added and lag came with those.
func (c *Client) Server(ctx context.Context) (Server, error) {
	info, err := c.redis.Info(ctx).Result()
	if err != nil {
		return Server{}, classify("read the state of redis", err)
	}
	return ParseServer(info)
}

// ParseServer reads the text of INFO.
func ParseServer(info string) (Server, error) {
	fields := parseInfo(info)
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(fields[name], 10, 64) // absent counts as 0
		return n
	}
	s := Server{
		RunID:        fields["run_id"],
		ReplID:       fields["master_replid"],
		Version:      "redis " + fields["redis_version"],
		UsedMemory:   number("used_memory"),
		MaxMemory:    number("maxmemory"),
		EvictedKeys:  number("evicted_keys"),
		AOFWriteOK:   fields["aof_last_write_status"] != "err",
		Replicas:     int(number("connected_slaves")),
		NotEvicting:  fields["maxmemory_policy"] == "noeviction",
		AOFEnabled:   number("aof_enabled") == 1,
		UptimeInSecs: number("uptime_in_seconds"),
		Cluster:      fields["cluster_enabled"] == "1",
		MasterAway:   fields["master_link_status"] != "up" && fields["master_sync_in_progress"] != "1",
	}
	if fields["role"] == "slave" {
		s.Master = net.JoinHostPort(fields["master_host"], fields["master_port"])
	}
	if v := fields["valkey_version"]; v != "" {
		s.Version = "valkey " + v
	}
	if slices.Contains([]string{fields["redis_mode"], fields["server_mode"]}, "sentinel") {
		return Server{}, fmt.Errorf("%w: it is a Sentinel, which holds no streams: give the address of the master that it watches (redis-cli sentinel get-master-addr-by-name NAME)", ErrMisconfigured)
	}
	// Valkey reports redis_version 7.2.4, so one comparison serves both.
	major, err := strconv.Atoi(strings.SplitN(fields["redis_version"], ".", 2)[0])
	if err != nil || s.RunID == "" {
		return Server{}, fmt.Errorf("read the state of redis: %w: INFO names neither redis_version nor run_id", ErrMisconfigured)
	}
	if major < 7 {
		return Server{}, fmt.Errorf("%w: the server is %s, but Redis 7.0 or Valkey 7.2 or newer is needed", ErrMisconfigured, s.Version)
	}
	return s, nil
}

// parseInfo reads the "name:value" lines of INFO.
func parseInfo(info string) map[string]string {
	fields := make(map[string]string)
	lines := bufio.NewScanner(strings.NewReader(info))
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return fields
}

// WaitReplicas waits up to limit until the writes so far have reached n
// replicas. It is a courtesy that narrows what a failover can lose; fewer
// replicas within the limit is not an error, because the protocol holds
// without them.
func (c *Client) WaitReplicas(ctx context.Context, n int, limit time.Duration) error {
	return classify("wait for replicas", c.redis.Wait(ctx, n, limit).Err())
}
