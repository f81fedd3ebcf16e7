package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
)

// shipped are the arguments that start a server as it is shipped: streamtest's own
// options come before, so the file is read through include.
func shipped(t *testing.T, file string) []string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "deployments/redis", file))
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	for line := range strings.SplitSeq(string(text), "\n") {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case !ok || strings.HasPrefix(name, "#"):
		case name == "include":
			args = append(args, shipped(t, "redis.conf")...)
		default:
			args = append(args, "--"+name)
			args = append(args, strings.Fields(value)...)
		}
	}
	return args
}

func audited(t *testing.T, client *redis.Client, profile Profile) Report {
	t.Helper()
	report, err := Run(t.Context(), client, profile)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// with names the findings that have a verdict.
func with(r Report, v Verdict) (keys []string) {
	for _, f := range r.Findings {
		if f.Verdict == v {
			keys = append(keys, f.Key)
		}
	}
	return keys
}

func table(t *testing.T, r Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheShippedConfigurationPasses(t *testing.T) {
	for file, profile := range map[string]Profile{"redis.conf": MET001, "redis-noeviction.conf": NoEviction} {
		report := audited(t, streamtest.Start(t, shipped(t, file)...).Client(), profile)
		if report.Err() != nil || len(with(report, Unseen)) > 0 {
			t.Errorf("%s: %v\n%s", file, report.Err(), table(t, report))
		}
		risky := slices.Contains(with(report, Risk), "eviction of whole streams")
		if risky != (profile == MET001) {
			t.Errorf("%s: whether whole streams can be evicted is not said:\n%s", file, table(t, report))
		}
	}
}

func TestEachProfileRefusesThePolicyOfTheOther(t *testing.T) {
	client := streamtest.Start(t, shipped(t, "redis.conf")...).Client()
	if gaps := with(audited(t, client, NoEviction), Gap); !slices.Equal(gaps, []string{"maxmemory-policy"}) {
		t.Errorf("allkeys-lru against noeviction: %q", gaps)
	}
}

// wrong is every setting wrong that a requirement asks for.
var wrong = []string{
	"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-random", "--maxmemory-clients", "0", "--oom-score-adj", "no",
	"--client-output-buffer-limit", "pubsub", "0", "0", "0", "--appendonly", "no", "--appendfsync", "no", "--no-appendfsync-on-rewrite", "yes",
	"--auto-aof-rewrite-percentage", "0", "--auto-aof-rewrite-min-size", "1mb", "--aof-use-rdb-preamble", "no", "--aof-load-truncated", "no",
	"--stop-writes-on-bgsave-error", "yes", "--timeout", "30", "--tcp-backlog", "64", "--tcp-keepalive", "0",
	"--slowlog-log-slower-than", "-1", "--latency-monitor-threshold", "0", "--lazyfree-lazy-eviction", "yes", "--lazyfree-lazy-expire", "no",
	"--lazyfree-lazy-server-del", "no", "--lazyfree-lazy-user-del", "no", "--lazyfree-lazy-user-flush", "no", "--replica-lazy-flush", "no",
	"--stream-node-max-bytes", "0", "--stream-node-max-entries", "0", "--protected-mode", "no", "--bind", "0.0.0.0",
}

func TestARedisWithEverythingWrong(t *testing.T) {
	client := streamtest.Start(t, wrong...).Client()
	report := audited(t, client, MET001)
	bad := append(with(report, Gap), with(report, Risk)...)
	for _, r := range rules(MET001) {
		// Not ours to break: what the machine and the server's build are, and what has
		// not happened yet.
		spared := []string{"eviction of whole streams", "evicted_keys", "maxmemory of the machine", "aof_last_write_status", "rdb_last_bgsave_status", "disk of the files",
			"role", "cluster_enabled", "version", "net.core.somaxconn", "transparent huge pages", "vm.overcommit_memory"}
		if !slices.Contains(bad, r.key) && !slices.Contains(spared, r.key) && !r.ofStreams {
			t.Errorf("%s is wrong, and nobody says so", r.key)
		}
	}
	for _, f := range report.Findings {
		if f.Verdict == Gap && (f.Fix == nil || f.Why == "" || f.Is == f.Wanted) {
			t.Errorf("%+v says not what to do", f)
		}
	}
	if !errors.Is(report.Err(), ErrGap) {
		t.Errorf("got %v", report.Err())
	}

	t.Run("is mended by its own advice", func(t *testing.T) {
		if err := Apply(t.Context(), client, report.Fixable(), false); err != nil {
			t.Fatal(err)
		}
		// What no CONFIG SET can mend is left.
		if left := with(audited(t, client, MET001), Gap); !slices.Equal(left, []string{"tcp-backlog", "password"}) {
			t.Errorf("left: %q", left)
		}
		err := Apply(t.Context(), client, nil, true)
		if err == nil || !strings.Contains(err.Error(), "CONFIG REWRITE") { // it was started without a file
			t.Errorf("rewriting a file that does not exist: %v", err)
		}
	})
}

func TestARedisWithoutCONFIG(t *testing.T) {
	for name, of := range map[string]struct {
		options []string
		user    []any // its rights
		blind   string
	}{
		"renamed away":  {[]string{"--rename-command", "CONFIG", ""}, nil, "CONFIG GET is refused (ERR unknown command"},
		"denied by ACL": {nil, []any{"+@all", "-config"}, "CONFIG GET is refused (NOPERM"},
		"all denied":    {nil, []any{"-@all"}, "INFO is refused (NOPERM"},
	} {
		t.Run(name, func(t *testing.T) {
			server := streamtest.Start(t, append(of.options, "--maxmemory", "2gb", "--maxmemory-policy", "noeviction")...)
			options, _ := redis.ParseURL(server.URL())
			if of.user != nil {
				options.Username, options.Password = "looker", "secret"
				if err := server.Client().Do(t.Context(), append([]any{"ACL", "SETUSER", "looker", "on", ">secret", "~*"}, of.user...)...).Err(); err != nil {
					t.Fatal(err)
				}
			}
			client := redis.NewClient(options)
			defer client.Close()
			report := audited(t, client, NoEviction)
			if !strings.Contains(strings.Join(report.Blind, "\n"), of.blind) || !strings.Contains(table(t, report), "not seen: ") {
				t.Errorf("what could not be seen is not said: %q", report.Blind)
			}
			if unseen := with(report, Unseen); !slices.Contains(unseen, "appendfsync") || slices.Contains(with(report, Met), "tcp-backlog") {
				t.Errorf("unseen %q", unseen)
			}
			met, gaps := with(report, Met), with(report, Gap)
			if name == "all denied" {
				if len(met) > 0 || len(gaps) > 0 {
					t.Errorf("met %q, gaps %q of a server that tells nothing", met, gaps)
				}
			} else if !slices.Contains(met, "maxmemory") || !slices.Contains(met, "maxmemory-policy") || !slices.Contains(gaps, "appendonly") {
				t.Errorf("what INFO tells was not used: met %q, gaps %q", met, gaps)
			}
		})
	}
}

func TestWhoMayEnter(t *testing.T) {
	open := streamtest.Start(t, "--bind", "0.0.0.0", "--protected-mode", "no").Client()
	if !slices.Contains(with(audited(t, open, MET001), Gap), "password") {
		t.Error("a server that everybody may enter passes")
	}
	server := streamtest.Start(t, "--bind", "0.0.0.0", "--requirepass", "secret")
	if _, err := Run(t.Context(), server.Client(), MET001); !errors.Is(err, stream.ErrMisconfigured) {
		t.Errorf("without the password: %v", err)
	}
	options, _ := redis.ParseURL(server.URL())
	options.Password = "secret"
	client := redis.NewClient(options)
	defer client.Close()
	if report := audited(t, client, MET001); !slices.Contains(with(report, Met), "password") {
		t.Errorf("a server with a password:\n%s", table(t, report))
	}
	// Our user has a password; the door beside it stands open all the same.
	if err := client.Do(t.Context(), "ACL", "SETUSER", "default", "nopass").Err(); err != nil {
		t.Fatal(err)
	}
	client.Do(t.Context(), "ACL", "SETUSER", "me", "on", ">secret", "~*", "+@all")
	options.Username = "me"
	me := redis.NewClient(options)
	defer me.Close()
	if report := audited(t, me, MET001); !slices.Contains(with(report, Gap), "password") {
		t.Errorf("a default user without a password:\n%s", table(t, report))
	}
}

func TestAServerThatIsAway(t *testing.T) {
	server := streamtest.Start(t)
	client := server.Client()
	server.Kill()
	if _, err := Run(t.Context(), client, MET001); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAReplicaAndOldServersAreRefused(t *testing.T) {
	f := &facts{info: map[string]string{"redis_version": "6.2.14", "role": "slave"}}
	for _, r := range rules(MET001) {
		if r.key == "version" || r.key == "role" {
			if found := r.hold(f); found.Verdict != Gap {
				t.Errorf("%+v", found)
			}
		}
	}
}

func TestFormats(t *testing.T) {
	report := audited(t, streamtest.Start(t, "--appendonly", "no").Client(), MET001)
	var markdown strings.Builder
	if err := report.WriteMarkdown(&markdown); err != nil {
		t.Fatal(err)
	}
	text := table(t, report)
	for _, want := range []string{"CONFIG SET appendonly yes", "appendonly yes", "Without an append-only file"} {
		if !strings.Contains(text, want) || !strings.Contains(markdown.String(), want) {
			t.Errorf("%q is missing in\n%s\n%s", want, text, markdown.String())
		}
	}
	if _, err := json.Marshal(report); err != nil {
		t.Fatal(err)
	}
}

// TestEveryRequirementIsInTheShippedFile keeps redis.conf and the rules together.
func TestEveryRequirementIsInTheShippedFile(t *testing.T) {
	args := shipped(t, "redis.conf")
	for _, r := range rules(MET001) {
		if r.set != "" && !slices.Contains(args, "--"+r.key) && r.key != "client-output-buffer-limit" { // the default is right
			t.Errorf("%s is wanted, and not in redis.conf", r.key)
		}
	}
}

func TestAStreamAheadOfTheClockIsAGap(t *testing.T) {
	server := streamtest.Start(t, shipped(t, "redis.conf")...)
	client, err := stream.Open(stream.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	likes, posts := client.Stream(event.Likes), client.Stream(event.Posts)
	for _, step := range []struct {
		what string
		id   string // of an entry that is added
		want string
	}{
		{"a stream of today", "*", ""},
		{"a second ahead", fmt.Sprintf("%d-0", time.Now().Add(time.Second).UnixMilli()), ""},
		{"an hour ahead", fmt.Sprintf("%d-0", time.Now().Add(time.Hour).UnixMilli()), "bluesky:{likes}: 36"},
		{"microseconds for milliseconds", fmt.Sprintf("%d-0", time.Now().UnixMicro()), "bluesky:{likes}: 179"},
		{"the last ID there is", "18446744073709551615-18446744073709551615", "bluesky:{likes}: 18446742"},
	} {
		if err := server.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: likes.Name(), ID: step.id, Values: []any{"event", "x"}}).Err(); err != nil {
			t.Fatal(err)
		}
		report, err := Run(t.Context(), client.Redis(), MET001, posts, likes)
		if err != nil {
			t.Fatal(err)
		}
		gap := slices.Contains(with(report, Gap), "streams ahead of the clock")
		if gap != (step.want != "") || gap != (report.Err() != nil) || !strings.Contains(table(t, report), step.want) {
			t.Errorf("%s: gap %t, %v, want %q in\n%s", step.what, gap, report.Err(), step.want, table(t, report))
		}
	}
	if report := audited(t, client.Redis(), MET001); slices.Contains(with(report, Gap), "streams ahead of the clock") {
		t.Error("streams that nobody named were judged")
	}
}

func TestAForgottenGroupIsARisk(t *testing.T) {
	server := streamtest.Start(t, shipped(t, "redis.conf")...)
	client, err := stream.Open(stream.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	likes, ctx := client.Stream(event.Likes), t.Context()
	do := func(args ...any) {
		t.Helper()
		if err := server.Client().Do(ctx, args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	do("XADD", likes.Name(), "1795428300000-0", "event", "x")
	for _, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"no other group", func() {}, false},
		{"our own has read nothing", func() { do("XGROUP", "CREATE", likes.Name(), stream.DefaultGroup, "0") }, false},
		{"another has read nothing", func() { do("XGROUP", "CREATE", likes.Name(), "analytics", "0") }, true},
		{"it has claimed it", func() { do("XREADGROUP", "GROUP", "analytics", "c", "STREAMS", likes.Name(), ">") }, true},
		{"and acked it", func() { do("XACK", likes.Name(), "analytics", "1795428300000-0") }, false},
	} {
		step.do()
		report, err := Run(ctx, client.Redis(), MET001, likes)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(with(report, Risk), "groups far behind"); got != step.want || report.Err() != nil || strings.Contains(table(t, report), "analytics") != step.want {
			t.Errorf("%s: a risk %t, %v, in\n%s", step.what, got, report.Err(), table(t, report))
		}
	}
}
