package deployments_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOperationsAsWritten runs the procedures of docs/operations.md, from the
// installation to the incidents, in one shell: a person who follows them has the
// same variables. Folder and ports are others.
func TestOperationsAsWritten(t *testing.T) {
	folder := t.TempDir()
	// Windows of just now, so that catching up with all since them takes no days of windows.
	first := time.Now().UTC().Truncate(5 * time.Minute).Add(-15 * time.Minute)
	second := first.Add(5 * time.Minute)
	here := strings.NewReplacer(
		"2026-11-23T10:05:00Z", first.Format(time.RFC3339),
		"make build\n", "", // what the test was built from is installed
		" bin/datawriter ", " "+buildBinary(t)+" ",
		"/srv/datawriter", folder, "6379", port(t), "6380", port(t), "run --window 5m", "run --window 5m --wait 0s")
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	n := 0
	for _, block := range fenced.FindAllStringSubmatch(read(t, "../docs/operations.md"), -1) {
		n++
		script.WriteString(here.Replace(block[1]))
		if strings.Contains(block[1], "simulate") { // there is something to lose in the backup, and in the move
			script.WriteString("datawriter simulate --window " + second.Format(time.RFC3339) + "/5m --count 10000\n")
		}
	}
	if n < 9 {
		t.Fatalf("only %d blocks of commands stand there", n)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	cmd.Dir, cmd.Env = "..", serverCommands(t)
	t.Cleanup(func() {
		for _, number := range []string{here.Replace("6379"), here.Replace("6380")} {
			_ = exec.Command("redis-cli", "-p", number, "shutdown", "nosave").Run()
		}
	})
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// Restored and moved twice, the archive holds what was sent.
	for _, kind := range []string{"posts", "likes", "reposts", "follows", "blocks"} {
		for _, start := range []time.Time{first, second} {
			name := filepath.Join(folder, "moved", start.Format("2006/01/02/15"), kind, start.Format("20060102T150405Z")+"-5m-00.parquet")
			if _, err := os.Stat(name); err != nil {
				t.Error(err)
			}
		}
	}
	t.Logf("%d blocks:\n%s", n, out)
}

// serverCommands returns an environment in which redis-server is the one that the
// tests use.
func serverCommands(t *testing.T) []string {
	t.Helper()
	bin := t.TempDir()
	server := os.Getenv("TEST_REDIS_SERVER")
	if server == "" {
		server = "redis-server"
	}
	path, err := exec.LookPath(server)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(bin, "redis-server")); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
}

func port(t *testing.T) string {
	t.Helper()
	_, number, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	return number
}
