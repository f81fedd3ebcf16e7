package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/stream/streamtest"
)

// guarded is a server with the users of deployments/redis/users.acl, and the
// folder of the passwords that `make secrets` made up for them.
type guarded struct {
	*streamtest.Server
	secrets string
}

func startGuarded(t *testing.T) guarded {
	t.Helper()
	secrets := t.TempDir()
	if out, err := exec.Command("../../../deployments/compose/secrets.sh", secrets).CombinedOutput(); err != nil {
		t.Fatalf("secrets.sh: %v\n%s", err, out)
	}
	return guarded{streamtest.Start(t, "--aclfile", filepath.Join(secrets, "redis_users.acl")), secrets}
}

// login is the environment that lets the program log in as a user.
func (g guarded) login(user string) []string {
	return []string{
		fmt.Sprintf("DATAWRITER_REDIS_URL=redis://%s@127.0.0.1:%d/0", user, g.Port),
		"DATAWRITER_REDIS_PASSWORD_FILE=" + filepath.Join(g.secrets, "redis_"+user),
	}
}

func (g guarded) as(t *testing.T, user string) *redis.Client {
	t.Helper()
	password, err := os.ReadFile(filepath.Join(g.secrets, "redis_"+user))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", g.Port), Username: user, Password: string(password), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestEachUserOfRedisCanDoItsWork(t *testing.T) {
	g := startGuarded(t)
	admin := g.as(t, "admin")
	for i := range 20 {
		event := fmt.Sprintf(`{"did":"d","time_us":1783175888218287,"kind":"commit","commit":{"operation":"delete","collection":"app.bsky.feed.like","rkey":"k%d"}}`, i)
		id := fmt.Sprintf("%d-%d", windowStart, i+1)
		if err := admin.XAdd(t.Context(), &redis.XAddArgs{Stream: "bluesky:{likes}", ID: id, Values: []any{"event", event}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	// With a second group the drain takes its longest way: it asks what others still need.
	if err := admin.XGroupCreate(t.Context(), "bluesky:{likes}", "somebody", "0").Err(); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	for _, of := range []struct {
		name, user string
		args       []string
	}{
		{"the producer adds events", "producer", []string{"simulate", "--count", "500"}},
		{"the drainer drains", "drainer", []string{"run", "--window", testWindow, "--data", data}},
		{"and again", "drainer", []string{"run", "--window", testWindow, "--data", data}},
		{"without a pending list", "drainer", []string{"run", "--window", "2026-11-23T10:10:00Z/5m", "--noack", "--data", data}},
		{"an administrator leads a stream into the future", "admin", nil},
		{"and rescues it", "admin", []string{"rescue", "likes", "--data", data}},
		{"and the drainer goes on", "drainer", []string{"run", "--window", testWindow, "--data", data}},
		{"and verifies", "drainer", []string{"verify", "--data", data}},
	} {
		if of.args == nil {
			if err := admin.XAdd(t.Context(), &redis.XAddArgs{Stream: "bluesky:{likes}", ID: fmt.Sprintf("%d-0", time.Now().Add(time.Hour).UnixMilli()), Values: []any{"event", "{}"}}).Err(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got := run(t, g.login(of.user), of.args...); got.code != exitOK {
			t.Errorf("%s: exit %d\n%s%s", of.name, got.code, got.stdout, got.stderr)
		}
	}
	if refused := admin.ACLLog(t.Context(), 10).Val(); len(refused) > 0 {
		t.Errorf("Redis refused a command that was needed: %v", refused)
	}
}

func TestNoUserOfRedisCanDoMore(t *testing.T) {
	g := startGuarded(t)
	for _, of := range []struct{ user, may, mayNot string }{
		{
			"producer", "XADD bluesky:{likes} * event x;INFO memory",
			"XRANGE bluesky:{likes} - +;XDEL bluesky:{likes} 1-1;XTRIM bluesky:{likes} MAXLEN 0;DEL bluesky:{likes};XADD elsewhere * a b;" +
				"XGROUP DESTROY bluesky:{likes} g;GET k;FLUSHALL;KEYS *;CONFIG GET requirepass;EVAL return(1) 0;ACL LIST;SHUTDOWN;CLIENT LIST;MONITOR",
		},
		{
			"ingester", "XADD bluesky:{likes} * event x;INFO memory;HSET bluesky:{likes}:ingest a b;XINFO GROUPS bluesky:{likes}",
			"XRANGE bluesky:{likes} - +;XDEL bluesky:{likes} 1-1;XTRIM bluesky:{likes} MAXLEN 0;DEL bluesky:{likes};DEL bluesky:{likes}:ingest;XADD elsewhere * a b;" +
				"HSET bluesky:{likes} a b;HSET elsewhere a b;GET k;FLUSHALL;KEYS *;CONFIG GET requirepass;ACL LIST;SHUTDOWN;SCRIPT FLUSH",
		},
		{
			"drainer", "XRANGE bluesky:{likes} - +;INFO;TIME",
			"XADD bluesky:{likes} * event x;DEL bluesky:{likes};SET bluesky:{likes} x;XRANGE elsewhere - +;XGROUP DESTROY bluesky:{likes} g;" +
				"FLUSHALL;FLUSHDB;KEYS *;CONFIG SET maxmemory 1;CONFIG GET *;ACL LIST;SHUTDOWN NOSAVE;SAVE;REPLICAOF NO ONE;RENAME bluesky:{likes} a;XRANGE bluesky:{likes}:rescue - +;XDEL bluesky:{likes}:rescue 1-1;UNLINK bluesky:{likes};EXPIRE bluesky:{likes} 1;SCRIPT FLUSH",
		},
		{
			"exporter", "XINFO STREAM bluesky:{likes};XRANGE bluesky:{likes} - + COUNT 1;INFO",
			"XADD bluesky:{likes} * event x;XDEL bluesky:{likes} 1-1;XTRIM bluesky:{likes} MAXLEN 0;XREADGROUP GROUP g c STREAMS bluesky:{likes} >;" +
				"DEL bluesky:{likes};XRANGE elsewhere - +;EVAL return(1) 0;CONFIG GET *;KEYS *;FLUSHALL;ACL LIST",
		},
		{
			"metrics", "INFO;SLOWLOG LEN;XINFO STREAM bluesky:{likes}",
			"XRANGE bluesky:{likes} - +;XADD bluesky:{likes} * event x;CONFIG GET requirepass;DEL bluesky:{likes};GET k;SLOWLOG RESET;FLUSHALL;ACL LIST;CLIENT KILL ID 1;EVAL return(1) 0",
		},
		{"health", "PING", "INFO;XRANGE bluesky:{likes} - +;GET k;XADD bluesky:{likes} * event x"},
	} {
		if err := g.as(t, "admin").XAdd(t.Context(), &redis.XAddArgs{Stream: "bluesky:{likes}", Values: []any{"event", "{}"}}).Err(); err != nil {
			t.Fatal(err)
		}
		client := g.as(t, of.user)
		for command := range strings.SplitSeq(of.may, ";") {
			if err := client.Do(t.Context(), words(command)...).Err(); err != nil {
				t.Errorf("%s may not %s: %v", of.user, command, err)
			}
		}
		for command := range strings.SplitSeq(of.mayNot, ";") {
			if err := client.Do(t.Context(), words(command)...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
				t.Errorf("%s may %s: %v", of.user, command, err)
			}
		}
	}
}

func TestNobodyEntersRedisWithoutAPassword(t *testing.T) {
	g := startGuarded(t)
	for name, client := range map[string]*redis.Options{
		"no password":    {},
		"an empty name":  {Password: "x"},
		"a wrong one":    {Username: "admin", Password: "x"},
		"another's name": {Username: "drainer", Password: readFile(t, filepath.Join(g.secrets, "redis_producer"))},
	} {
		client.Addr, client.Protocol = fmt.Sprintf("127.0.0.1:%d", g.Port), 2
		c := redis.NewClient(client)
		if err := c.Ping(t.Context()).Err(); err == nil {
			t.Errorf("%s: Redis answers", name)
		}
		_ = c.Close()
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func words(command string) []any {
	var all []any
	for _, word := range strings.Fields(command) {
		all = append(all, word)
	}
	return all
}
