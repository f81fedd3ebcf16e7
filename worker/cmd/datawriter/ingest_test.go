package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/ingest/ingesttest"
)

// TestTheIngesterOfRedisFeedsThoughItIsKilled: with the rights of its user and no
// more, each event once, whenever the process dies.
func TestTheIngesterOfRedisFeedsThoughItIsKilled(t *testing.T) {
	g := startGuarded(t)
	admin := g.as(t, "admin")
	source := ingesttest.NewSource(5, 0)
	host := (&ingesttest.Host{Source: source, V1: true, V2: true}).Start(1)
	t.Cleanup(host.Stop)
	state := t.TempDir()
	made := 0
	length := func() (n int64) {
		for _, kind := range []string{"posts", "likes", "reposts", "follows", "blocks"} {
			n += admin.XLen(t.Context(), "bluesky:{"+kind+"}").Val()
		}
		return n
	}
	for round := range 3 {
		c := command(t, g.login("ingester"), "ingest", "--host", host.URL(), "--listen", "", "--state-dir", state, "--also", "identity")
		var log strings.Builder
		c.Stderr = &log
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		connected := len(host.Connections())
		waitForLong(t, func() bool { return len(host.Connections()) > connected }, &log) // asked, so it begins no later
		made += len(source.Make(2000, time.Second))
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
	if found, _ := filepath.Glob(filepath.Join(state, "ingest-gaps.jsonl")); len(found) > 0 {
		t.Error("a gap was reported that was none")
	}
	if refused := admin.ACLLog(t.Context(), 10).Val(); len(refused) > 0 {
		t.Errorf("Redis refused a command that was needed: %v", refused)
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
