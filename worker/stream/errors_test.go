package stream_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
)

// secret is every password here; no error may repeat it.
const secret = "geheim"

// refusal is a situation of which an error must say whether it passes, and what to do.
type refusal struct {
	name   string
	passes bool // ErrUnavailable or ErrRefused: worth another try; otherwise ErrMisconfigured
	says   string

	options []string // of the server
	user    string   // that is created with these rules, and logs in
	change  func(url string) string
	prepare func(t *testing.T, server *streamtest.Server)
	do      func(ctx context.Context, c *stream.Client) error // nil asks for the clock
}

func (r refusal) run(t *testing.T) {
	t.Parallel()
	server := streamtest.Start(t, r.options...)
	if r.prepare != nil {
		r.prepare(t, server)
	}
	url := server.URL()
	if r.user != "" {
		rules := append([]any{"acl", "setuser", "somebody", "on", ">" + secret}, anys(strings.Fields(r.user))...)
		ok(t, server.Client().Do(t.Context(), rules...).Err())
		url = strings.Replace(url, "//", "//somebody:"+secret+"@", 1)
	}
	if r.change != nil {
		url = r.change(url)
	}
	client, err := stream.Open(stream.Config{URL: url})
	ok(t, err)
	defer client.Close()
	judge(t, r.passes, r.says, r.ask(t.Context(), client))
}

func (r refusal) ask(ctx context.Context, c *stream.Client) error {
	if r.do != nil {
		return r.do(ctx, c)
	}
	_, err := c.Now(ctx)
	return err
}

func judge(t *testing.T, passes bool, says string, err error) {
	t.Helper()
	t.Logf("%v", err)
	again := errors.Is(err, stream.ErrUnavailable) || errors.Is(err, stream.ErrRefused)
	if err == nil || again != passes || errors.Is(err, stream.ErrMisconfigured) == passes {
		t.Fatalf("worth another try: %v, want %v: %v", again, passes, err)
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("%q lacks %q", err, says)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the password stands in %q", err)
	}
}

func anys(words []string) (all []any) {
	for _, w := range words {
		all = append(all, w)
	}
	return all
}

// What is asked of Redis in these tests, each in another way: go-redis, a script, a
// page, a pipeline.

func group(ctx context.Context, c *stream.Client) error {
	return c.Stream(event.Likes).EnsureGroup(ctx)
}

func fenced(ctx context.Context, c *stream.Client) error {
	return errors.Join(c.Stream(event.Likes).EnsureGroup(ctx), c.Stream(event.Likes).Fence(ctx, 5))
}

func page(ctx context.Context, c *stream.Client) error {
	var p stream.Page
	return c.Stream(event.Likes).Range(ctx, &p, event.ID{}, event.ID{MS: 9}, 9)
}

func added(ctx context.Context, c *stream.Client) error {
	_, err := c.Add(ctx, []stream.Addition{{Kind: event.Likes, Fields: [][]byte{[]byte("event"), []byte("{}")}}})
	return err
}

func fed(ctx context.Context, c *stream.Client) error {
	intake := c.Intake("without-braces", 0)
	if _, err := intake.Take(ctx, "a:1", time.Second); err != nil {
		return err
	}
	return c.Feed(ctx, "a:1", []*stream.Intake{intake}, []stream.IntakeBatch{{Events: [][]byte{[]byte("{}")}, Position: "1"}})
}

func state(ctx context.Context, c *stream.Client) error {
	_, err := c.Stream(event.Likes).State(ctx)
	return err
}

func writable(ctx context.Context, c *stream.Client) error {
	server, err := c.Server(ctx)
	if err != nil {
		return err
	}
	return server.Writable("")
}

func url(was, is string) func(string) string {
	return func(u string) string { return strings.Replace(u, was, is, 1) }
}

// TestWhatRedisRefuses asks real servers.
func TestWhatRedisRefuses(t *testing.T) {
	const likes = "bluesky:{likes}"
	without := func(command string) []string { return []string{"--rename-command", command, ""} }
	gone := func(t *testing.T, s *streamtest.Server) { ok(t, s.Client().Del(t.Context(), likes).Err()) }
	for _, r := range []refusal{
		{name: "a password, and the server has none", says: "it has no password", change: url("//", "//:"+secret+"@")},
		{name: "a password, and pages are read first", says: "it has no password", change: url("//", "//:"+secret+"@"), do: page},
		{name: "no password, and the server has one", says: "--redis-password-file", options: []string{"--requirepass", secret}},
		{name: "another password", says: "%23", options: []string{"--requirepass", secret}, change: url("//", "//:wrong@")},
		{name: "a user that does not exist", says: "no such user", change: url("//", "//nobody:"+secret+"@")},
		{name: "a user without a password", says: "no such user", change: url("//", "//nobody@")},
		{name: "a database that does not exist", says: "there are", change: url("/0", "/99")},
		{name: "a database that does not exist, for pages", says: "there are", change: url("/0", "/99"), do: page},

		{name: "a permission is missing", says: "acl log", user: "~* +@all -time"},
		{name: "a permission for pages is missing", says: "acl log", user: "~* +@all -xrange", do: page},
		{name: "a permission inside a script is missing", says: "users.acl", user: "~* +@all -xsetid", do: fenced},
		{name: "a permission for a subcommand inside a script is missing", says: "users.acl", user: "~* +@all -xgroup|create", do: group},
		{name: "a permission for scripts is missing", says: "users.acl", user: "~* +@all -evalsha -eval", do: group},
		{name: "a permission for the streams is missing", says: "users.acl", user: "~elsewhere:* +@all", do: group},
		{name: "a permission to write the streams is missing", says: "users.acl", user: "%R~* +@all", do: added},

		{name: "TIME is renamed", says: "rename-command", options: without("TIME")},
		{name: "INFO is renamed", says: "rename-command", options: without("INFO"), do: writable},
		{name: "EVALSHA is renamed", says: "rename-command", options: without("EVALSHA"), do: group},
		{name: "EVAL is renamed", says: "rename-command", options: without("EVAL"), do: group},
		{name: "XGROUP is renamed", says: "rename-command", options: without("XGROUP"), do: group},
		{name: "XSETID is renamed", says: "rename-command", options: without("XSETID"), do: fenced},
		{name: "XRANGE is renamed", says: "rename-command", options: without("XRANGE"), do: page},
		{name: "XADD is renamed", says: "rename-command", options: without("XADD"), do: added},
		{name: "SELECT is renamed", says: "rename-command", options: without("SELECT"), change: url("/0", "/3")},
		{name: "AUTH is renamed, which Redis answers with the password", says: "rename-command", options: without("AUTH"), change: url("//", "//:"+secret+"@")},
		{name: "AUTH is renamed, and a user logs in", says: "rename-command", options: without("AUTH"), change: url("//", "//somebody:"+secret+"@"), do: page},

		{name: "a key of another type", says: "--stream-prefix", do: group, prepare: func(t *testing.T, s *streamtest.Server) {
			ok(t, s.Client().Set(t.Context(), likes, "no stream", 0).Err())
		}},
		{name: "an ID that the stream has passed", says: "later IDs", prepare: gone, do: func(ctx context.Context, c *stream.Client) error {
			first := stream.Addition{Kind: event.Likes, ID: event.ID{MS: 5}, Fields: [][]byte{[]byte("event"), nil}}
			_, err := c.Add(ctx, []stream.Addition{first, first})
			return err
		}},

		{name: "the memory is full", passes: true, says: "maxmemory", options: []string{"--maxmemory", "1"}, do: added},
		{name: "the memory is full, for a script", passes: true, says: "maxmemory", options: []string{"--maxmemory", "1"}, do: fed},
		{name: "replicas are missing", passes: true, says: "min-replicas-to-write", options: []string{"--min-replicas-to-write", "1"}, do: added},
		{name: "the disk cannot be written", passes: true, says: "free its disk", options: []string{"--save", "3600 1", "--enable-protected-configs", "yes"}, prepare: breakDisk, do: added},
		{name: "too many clients", passes: true, says: "maxclients", options: []string{"--maxclients", "1"}, prepare: func(t *testing.T, s *streamtest.Server) {
			ok(t, s.Client().Ping(t.Context()).Err()) // stays connected
		}},
		{name: "a script holds it up", passes: true, says: "script kill", options: []string{"--busy-reply-threshold", "1"}, prepare: holdUp, do: page},
		{name: "it loads its files", passes: true, says: "after a start", options: []string{"--enable-debug-command", "yes"}, prepare: load, do: state},
		{name: "the stream is gone", passes: true, says: "evicted", prepare: gone, do: func(ctx context.Context, c *stream.Client) error { return c.Stream(event.Likes).Fence(ctx, 5) }},
		{name: "the group is gone", passes: true, says: "removed", do: func(ctx context.Context, c *stream.Client) error {
			return errors.Join(added(ctx, c), c.Stream(event.Likes).ReadNew(ctx, new(stream.Page), 1, false))
		}},

		{name: "a replica whose master is away", passes: true, says: "127.0.0.1:1 and", options: []string{"--replicaof", "127.0.0.1 1"}, do: writable},
		{name: "a replica, in the middle of a drain", passes: true, says: "new master", options: []string{"--replicaof", "127.0.0.1 1"}, do: group},
		{name: "a replica that refuses old data", passes: true, says: "master is away", options: []string{"--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "no"}, do: page},

		{name: "a cluster without its slots", passes: true, says: "cluster info", options: clustered(t), do: page},
		{name: "a database of a cluster", says: "cluster", options: clustered(t), change: url("/0", "/1")},
		{name: "a name without braces in a cluster", says: "braces", options: clustered(t), prepare: ownSlots, do: fed},
	} {
		t.Run(r.name, r.run)
	}
}

// breakDisk makes a snapshot fail: its folder is gone.
func breakDisk(t *testing.T, s *streamtest.Server) {
	folder := filepath.Join(s.Dir, "gone")
	ok(t, os.Mkdir(folder, 0o700))
	client := s.Client()
	ok(t, client.ConfigSet(t.Context(), "dir", folder).Err())
	ok(t, os.Remove(folder))
	ok(t, client.Set(t.Context(), "key", "x", 0).Err())
	_ = client.BgSave(t.Context())
	until(t, "the snapshot has failed", func() bool {
		return strings.Contains(client.Info(t.Context(), "persistence").Val(), "rdb_last_bgsave_status:err")
	})
}

// holdUp runs a script that does not end before the test.
func holdUp(t *testing.T, s *streamtest.Server) {
	ended := make(chan struct{})
	client, other := s.Client(), s.Client()
	go func() { defer close(ended); client.Eval(context.Background(), "while true do end", nil) }()
	t.Cleanup(func() { s.Kill(); <-ended })
	until(t, "the server is busy", func() bool { return strings.HasPrefix(fmt.Sprint(other.Ping(t.Context()).Err()), "BUSY") })
}

// load makes the server read its files again, slowly.
func load(t *testing.T, s *streamtest.Server) {
	client, other := s.Client(), s.Client()
	for i := range 2000 {
		ok(t, client.Set(t.Context(), fmt.Sprint("key", i), strings.Repeat("x", 2048), 0).Err())
	}
	for name, value := range map[string]string{"key-load-delay": "5000", "loading-process-events-interval-bytes": "1024"} {
		ok(t, client.ConfigSet(t.Context(), name, value).Err())
	}
	ended := make(chan struct{})
	go func() { defer close(ended); client.Do(context.Background(), "debug", "reload") }()
	t.Cleanup(func() { s.Kill(); <-ended })
	until(t, "the server loads", func() bool { return strings.HasPrefix(fmt.Sprint(other.Get(t.Context(), "key0").Err()), "LOADING") })
}

func until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for range 2000 {
		if reached() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("it never came that %s", what)
}

// clustered are the options of a node of a cluster.
func clustered(t *testing.T) []string {
	return []string{"--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(streamtest.FreePort(t)), "--cluster-node-timeout", "1000"}
}

func ownSlots(t *testing.T, s *streamtest.Server) {
	client := s.Client()
	ok(t, client.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	until(t, "the cluster is well", func() bool { return strings.Contains(client.ClusterInfo(t.Context()).Val(), "cluster_state:ok") })
}

func TestAReplicaNamesItsMaster(t *testing.T) {
	master := streamtest.Start(t)
	replica := streamtest.Start(t, "--replicaof", fmt.Sprint("127.0.0.1 ", master.Port), "--repl-diskless-sync-delay", "0")
	client, err := stream.Open(stream.Config{URL: replica.URL()})
	ok(t, err)
	defer client.Close()
	until(t, "the replica follows", func() bool {
		server, err := client.Server(t.Context())
		return err == nil && !server.MasterAway
	})
	server, err := client.Server(t.Context())
	ok(t, err)
	at := fmt.Sprint("127.0.0.1:", master.Port)
	judge(t, false, at, server.Writable(""))
	judge(t, false, at, server.Writable("another server"))
	judge(t, true, at, server.Writable(server.RunID)) // it was the master: a failover
	judge(t, true, "new master", added(t.Context(), client))
	ok(t, replica.Client().ReplicaOf(t.Context(), "no", "one").Err())
	server, err = client.Server(t.Context())
	ok(t, err)
	ok(t, server.Writable(""))
	ok(t, added(t.Context(), client))
}

func TestANodeOfAClusterNamesWhatIsNotThere(t *testing.T) {
	const likes = 10723 // the slot of bluesky:{likes}
	first, second := streamtest.Start(t, clustered(t)...), streamtest.Start(t, clustered(t)...)
	bus := strings.TrimSpace(second.Client().ConfigGet(t.Context(), "cluster-port").Val()["cluster-port"])
	ok(t, first.Client().Do(t.Context(), "cluster", "meet", "127.0.0.1", second.Port, bus).Err())
	ok(t, first.Client().ClusterAddSlotsRange(t.Context(), 0, likes-1).Err())
	ok(t, second.Client().ClusterAddSlotsRange(t.Context(), likes, 16383).Err())
	for _, s := range []*streamtest.Server{first, second} {
		until(t, "the cluster is well", func() bool { return strings.Contains(s.Client().ClusterInfo(t.Context()).Val(), "cluster_state:ok") })
	}
	open := func(s *streamtest.Server) *stream.Client {
		c, err := stream.Open(stream.Config{URL: s.URL()})
		ok(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	away, here := open(first), open(second)
	for what, do := range map[string]func(context.Context, *stream.Client) error{"a script": group, "a page": page, "a pipeline": added, "a look": state} {
		t.Run(what, func(t *testing.T) { judge(t, false, "one node of a cluster", do(t.Context(), away)) })
	}
	ok(t, second.Client().Do(t.Context(), "cluster", "setslot", likes, "migrating", first.Client().Do(t.Context(), "cluster", "myid").Val()).Err())
	judge(t, true, "moves the stream", page(t.Context(), here))
}

func TestASentinelNamesItself(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	ok(t, os.WriteFile(conf, nil, 0o600))
	r := refusal{says: "Sentinel", do: writable}
	client, err := stream.Open(stream.Config{URL: streamtest.StartWith(t, conf, "--sentinel").URL()})
	ok(t, err)
	defer client.Close()
	judge(t, false, r.says, r.ask(t.Context(), client))
}
