package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/ingest/ingesttest"
)

// TestTheIngesterOfRedisFeedsThoughItIsKilled: with the rights of its user and no
// more, each event once, whenever the process dies. Events of raw kinds are then
// in one row each, drained with the rights of theirs.
func TestTheIngesterOfRedisFeedsThoughItIsKilled(t *testing.T) {
	g := startGuarded(t)
	admin := g.as(t, "admin")
	source := ingesttest.NewSource(5, 0)
	host := (&ingesttest.Host{Source: source, V1: true, V2: true}).Start(1)
	t.Cleanup(host.Stop)
	state := t.TempDir()
	made, classes := 0, 0
	length := func() (n int64) {
		for _, kind := range []string{"posts", "likes", "reposts", "follows", "blocks"} {
			n += admin.XLen(t.Context(), "bluesky:{"+kind+"}").Val()
		}
		return n
	}
	for round := range 3 {
		c := command(t, g.login("ingester"), "ingest", "--host", host.URL(), "--listen", "", "--state-dir", state, "--also", "identity,account")
		var log strings.Builder
		c.Stderr = &log
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		connected := len(host.Connections())
		waitForLong(t, func() bool { return len(host.Connections()) > connected }, &log) // asked, so it begins no later
		made += len(source.Make(1000, time.Second))
		classes += addClasses(source, classes)
		made += len(source.Make(1000, 0))
		if round < 2 {
			waitForLong(t, func() bool { return length() > int64(made-1500) }, &log)
		} else {
			waitForLong(t, func() bool { return length() >= int64(made) }, &log)
		}
		_ = c.Process.Signal([]syscall.Signal{syscall.SIGKILL, syscall.SIGKILL, syscall.SIGTERM}[round])
		_ = c.Wait()
		if round == 2 && c.ProcessState.ExitCode() != 143 {
			t.Errorf("exit %d after SIGTERM, want 143\n%s", c.ProcessState.ExitCode(), log.String())
		}
	}
	if n := length(); n != int64(made) {
		t.Errorf("%d entries of %d events", n, made)
	}
	drainedOnce(t, g, classes)
	if found, _ := filepath.Glob(filepath.Join(state, "ingest-gaps.jsonl")); len(found) > 0 {
		t.Error("a gap was reported that was none")
	}
	if refused := admin.ACLLog(t.Context(), 10).Val(); len(refused) > 0 {
		t.Errorf("Redis refused a command that was needed: %v", refused)
	}
}

// addClasses lets events of both raw kinds happen, each with a number of its own,
// and returns how many of each.
func addClasses(source *ingesttest.Source, from int) int {
	const n = 100
	for i := range n {
		for _, class := range []string{"identity", "account"} {
			source.Add(fmt.Appendf(nil, `{"did":"did:plc:a","time_us":1,"kind":"%s","%[1]s":{"did":"did:plc:a","seq":%d}}`, class, from+i))
		}
	}
	return n
}

// drainedOnce drains everything, and expects the numbers below most of both raw
// kinds in one row each.
func drainedOnce(t *testing.T, g guarded, most int) {
	t.Helper()
	data, admin := t.TempDir(), g.as(t, "admin")
	environ := append(g.login("drainer"), "DATAWRITER_ALSO=identity,account", "DATAWRITER_DATA="+data)
	drain := func() {
		t.Helper()
		if r := run(t, environ, "run", "--window", "1s"); r.code != exitOK {
			t.Fatalf("exit %d\n%s", r.code, r.stderr)
		}
	}
	waitFor(t, func() bool { // until the last window is closed
		drain()
		return admin.XLen(t.Context(), "bluesky:{identity}").Val()+admin.XLen(t.Context(), "bluesky:{account}").Val() == 0
	})
	drain() // the windows between, in which nothing came
	for _, class := range []string{"identity", "account"} {
		files, _ := filepath.Glob(filepath.Join(data, "*/*/*/*", class, "*.parquet"))
		printed := run(t, nil, append([]string{"cat"}, files...)...)
		found := make(map[int]int)
		for line := range strings.Lines(printed.stdout) {
			var e struct {
				Kind              string
				Identity, Account struct{ Seq int }
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.Kind != class {
				t.Fatalf("a row of %s is %s: %v", class, line, err)
			}
			found[e.Identity.Seq+e.Account.Seq]++
		}
		for seq := range most {
			if found[seq] != 1 {
				t.Errorf("%s event %d stands in the files %d times", class, seq, found[seq])
			}
		}
		if len(found) != most {
			t.Errorf("%d %s events are in the files, want %d", len(found), class, most)
		}
	}
	if r := run(t, environ, "verify", "--against-redis"); r.code != exitOK {
		t.Errorf("verify: exit %d\n%s", r.code, r.stdout)
	}
}

func waitForLong(t *testing.T, condition func() bool, log fmt.Stringer) {
	t.Helper()
	for range 6000 {
		if condition() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("what was waited for did not come\n%s", log)
}
