package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/part"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
)

// asDatawriter makes the test binary behave as the program: a crash test needs a
// process of its own to kill.
const asDatawriter = "TEST_AS_DATAWRITER"

func TestMain(m *testing.M) {
	if os.Getenv(asDatawriter) != "" {
		main()
	}
	os.Exit(m.Run())
}

// result is how a process ended.
type result struct {
	code   int // -1 when a signal killed it
	signal syscall.Signal
	stdout string
	stderr string
}

// command returns the program with arguments and extra environment.
func command(t *testing.T, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, args...)
	c.Dir = t.TempDir()
	c.Env = append([]string{asDatawriter + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, environ...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

func run(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	c := command(t, environ, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	status := c.ProcessState.Sys().(syscall.WaitStatus)
	r := result{code: c.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
	if status.Signaled() {
		r.signal = status.Signal()
	}
	return r
}

const testWindow = "2026-11-23T10:05:00Z/5m"

const windowStart = uint64(1795428300000)

// fill adds n valid likes, one malformed one and one valid follow to the window.
func fill(t *testing.T, server *streamtest.Server, n int) {
	t.Helper()
	var batch []stream.Addition
	for i := range n {
		batch = append(batch, addition(event.Likes, i, fmt.Appendf(nil, `{"did":"did:plc:tmakk4opsnbywozo6oa2afff","time_us":1783175888218287,"kind":"commit","commit":{"rev":"r","operation":"delete","collection":"app.bsky.feed.like","rkey":"k%d"}}`, i)))
	}
	batch = append(batch, addition(event.Likes, n, []byte("{")),
		addition(event.Follows, 0, []byte(`{"did":"d","time_us":1783175888218287,"kind":"commit","commit":{"operation":"delete","collection":"app.bsky.graph.follow","rkey":"k"}}`)))
	addAll(t, server, batch)
}

// addAll adds entries to a server.
func addAll(t *testing.T, server *streamtest.Server, batch []stream.Addition) {
	t.Helper()
	client, err := stream.Open(stream.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Add(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
}

func addition(kind event.Kind, i int, json []byte) stream.Addition {
	return stream.Addition{Kind: kind, ID: event.ID{MS: windowStart + uint64(i)}, Fields: [][]byte{[]byte("event"), json}}
}

// archived returns how often each entry of a kind stands in the archive.
func archived(t *testing.T, data, kind string) map[string]int {
	t.Helper()
	found := make(map[string]int)
	for _, pattern := range []string{"2026/*/*/*/" + kind + "/*.parquet", "_rejected/2026/*/*/*/" + kind + "/*.parquet"} {
		files, _ := filepath.Glob(filepath.Join(data, pattern))
		for _, name := range files {
			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			info, _ := file.Stat()
			opened, err := part.Open(file, info.Size())
			if err == nil {
				err = opened.Identities(func(id event.ID, _ uint64) error { found[id.String()]++; return nil })
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			file.Close()
		}
	}
	return found
}

func checkOnce(t *testing.T, server *streamtest.Server, data string, n int) {
	t.Helper()
	found := archived(t, data, "likes")
	if len(found) != n+1 {
		t.Errorf("%d likes are archived, want %d", len(found), n+1)
	}
	for id, times := range found {
		if times != 1 {
			t.Errorf("entry %s stands in the archive %d times", id, times)
		}
	}
	redis := server.Client()
	for _, kind := range event.Kinds() {
		name := stream.DefaultPrefix + "{" + kind.String() + "}"
		if left := redis.XLen(context.Background(), name).Val(); left != 0 {
			t.Errorf("%s still holds %d entries", name, left)
		}
		pending, err := redis.XPending(context.Background(), name, stream.DefaultGroup).Result()
		if err != nil || pending.Count != 0 {
			t.Errorf("%s has %v pending, %v", name, pending, err)
		}
	}
}

// TestKilledAtEveryPointAndRunAgain is the promise in one test: wherever the
// process dies, the next run completes the window, once.
func TestKilledAtEveryPointAndRunAgain(t *testing.T) {
	const n = 2500 // three pages of deleting, and enough for a trim
	server := streamtest.Start(t)
	for _, point := range fault.Points() {
		t.Run(string(point), func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			if err := server.Client().FlushAll(context.Background()).Err(); err != nil {
				t.Fatal(err)
			}
			fill(t, server, n)
			args := []string{"run", "--window", testWindow, "--data", data, "--lease", "200ms"}
			environ := []string{"DATAWRITER_REDIS_URL=" + server.URL()}
			killed := run(t, append(environ, "DATAWRITER_FAULT="+string(point)+"=kill"), args...)
			if killed.signal != syscall.SIGKILL {
				t.Fatalf("the process was not killed there: exit %d\n%s", killed.code, killed.stderr)
			}
			again := run(t, environ, args...)
			if again.code != exitOK {
				t.Fatalf("the rerun: exit %d\n%s", again.code, again.stderr)
			}
			checkOnce(t, server, data, n)
			verified := run(t, environ, "verify", "--data", data, "--redis-url", server.URL())
			if verified.code != exitOK {
				t.Errorf("verify: exit %d\n%s%s", verified.code, verified.stdout, verified.stderr)
			}
		})
	}
}

func TestSignalsStopTheRunAndARerunCompletesIt(t *testing.T) {
	for signal, code := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130} {
		t.Run(signal.String(), func(t *testing.T) {
			server := streamtest.Start(t)
			data := filepath.Join(t.TempDir(), "data")
			fill(t, server, 100)
			server.Signal(syscall.SIGSTOP) // the run hangs in its first reply
			environ := []string{"DATAWRITER_REDIS_URL=" + server.URL()}
			args := []string{"run", "--window", testWindow, "--data", data, "--lease", "200ms"}
			c := command(t, environ, args...)
			var stdout bytes.Buffer
			c.Stdout = &stdout
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			waitFor(t, func() bool { _, err := os.Stat(filepath.Join(data, "_archive.json")); return err == nil })
			start := time.Now()
			if err := c.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = c.Wait()
			if got := c.ProcessState.ExitCode(); got != code {
				t.Errorf("exit %d, want %d", got, code)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %s to stop, and the contract says 5 seconds", took)
			}
			if doc := document(t, stdout.String()); doc.Status != "stopped" {
				t.Errorf("status %q, want stopped", doc.Status)
			}
			server.Signal(syscall.SIGCONT)
			if again := run(t, environ, args...); again.code != exitOK {
				t.Fatalf("the rerun: exit %d\n%s", again.code, again.stderr)
			}
			checkOnce(t, server, data, 100)
		})
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for range 2000 {
		if condition() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("what was waited for did not come")
}

func document(t *testing.T, text string) (doc runDocument) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("standard output is no JSON document: %v\n%s", err, text)
	}
	return doc
}

func TestBadWindowsAreRefusedWithASentence(t *testing.T) {
	for window, says := range map[string]string{
		"2026-11-23T10:58:00Z/5m":                   "not a multiple",
		"2026-11-23T10:05:00Z/7m":                   "does not divide 60 minutes",
		"2026-11-23T10:05:00Z/2h":                   "does not divide 60 minutes",
		"2026-11-23T10:05:00Z/2026-11-23T10:00:00Z": "not after its start",
		"2026-11-23T10:05:00Z/-5m":                  "not positive",
		"2026-11-23 10:05/5m":                       "write 2026-11-23T10:05:00Z",
		"yesterday":                                 "not a duration",
	} {
		r := run(t, nil, "run", "--window", window)
		if r.code != exitUsage || !strings.Contains(r.stderr, says) {
			t.Errorf("%s: exit %d, %q; want exit 2 and %q", window, r.code, r.stderr, says)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		name    string
		environ []string
		args    []string
		says    string
	}{
		{"an unknown flag", nil, []string{"run", "--windows", "5m"}, "windows"},
		{"a missing flag", nil, []string{"run"}, "window"},
		{"an unknown variable", []string{"DATAWRITER_REDIS_UR=x"}, []string{"version"}, "did you mean DATAWRITER_REDIS_URL"},
		{"an unknown codec", nil, []string{"run", "--window", "5m", "--compression", "rar"}, "zstd"},
		{"an unknown layout", nil, []string{"run", "--window", "5m", "--layout", "flat"}, "hive"},
		{"an unknown level", nil, []string{"run", "--window", "5m", "--log-level", "loud"}, "info"},
		{"a URL of another kind", nil, []string{"run", "--window", "5m", "--redis-url", "http://x"}, "redis://"},
		{"an unknown fault", []string{"DATAWRITER_FAULT=nowhere=kill"}, []string{"run", "--window", "5m"}, "nowhere"},
		{"a class that is not drained", nil, []string{"run", "--window", "5m", "--also", "identity,sync"}, "use identity, account"},
		{"a class that is not kept", []string{"DATAWRITER_ALSO=likes"}, []string{"ingest"}, "use identity, account"},
		{"no part for cat", nil, []string{"cat"}, "PART"},
		{"a missing part for cat", nil, []string{"cat", "nowhere.parquet"}, "nowhere.parquet"},
		{"an unknown shell", nil, []string{"completion", "ksh"}, "bash"},
		{"a missing password file", nil, []string{"run", "--window", "5m", "--redis-password-file", "nowhere"}, "nowhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := run(t, c.environ, c.args...); r.code != exitUsage || !strings.Contains(r.stderr, c.says) {
				t.Errorf("exit %d, %q; want exit 2 and %q", r.code, r.stderr, c.says)
			}
		})
	}
}

func TestAbsentRedisIsExit75AndADocument(t *testing.T) {
	server := streamtest.Start(t)
	server.Kill()
	r := run(t, []string{"DATAWRITER_REDIS_URL=" + server.URL(), "DATAWRITER_ATTEMPTS=1"}, "run", "--window", testWindow)
	if r.code != exitUnavailable {
		t.Errorf("exit %d, want 75\n%s", r.code, r.stderr)
	}
	if doc := document(t, r.stdout); doc.Status != "failed" || doc.Class != "unavailable" {
		t.Errorf("document %+v", doc)
	}
}

func TestPasswordsComeFromFilesAndReachNoLog(t *testing.T) {
	const password = "correct-horse"
	server := streamtest.Start(t, "--requirepass", password)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := run(t, []string{"DATAWRITER_REDIS_URL=" + server.URL()}, "run", "--window", testWindow, "--redis-password-file", file, "--log-level", "debug")
	if good.code != exitOK {
		t.Errorf("exit %d\n%s", good.code, good.stderr)
	}
	bad := run(t, nil, "run", "--window", testWindow, "--redis-url", strings.Replace(server.URL(), "redis://", "redis://:wrong-"+password+"@", 1))
	if bad.code != exitUsage {
		t.Errorf("a wrong password: exit %d, want 2\n%s", bad.code, bad.stderr)
	}
	for _, text := range []string{good.stdout, good.stderr, bad.stdout, bad.stderr} {
		if strings.Contains(text, password) {
			t.Errorf("the password stands in the output: %s", text)
		}
	}
}

func TestHelpShowsExamplesAndVariables(t *testing.T) {
	r := run(t, nil, "run", "--help")
	for _, says := range []string{"Examples:", "--redis-url", "DATAWRITER_REDIS_URL", "Exit codes"} {
		if !strings.Contains(r.stdout, says) {
			t.Errorf("the help lacks %q:\n%s", says, r.stdout)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if r := run(t, nil, "completion", shell); r.code != exitOK || !strings.Contains(r.stdout, "datawriter") {
			t.Errorf("completion %s: exit %d, %q", shell, r.code, r.stderr)
		}
	}
}
