package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"datawriter/worker/event"
	"datawriter/worker/stream/streamtest"
)

func simulated(t *testing.T, text string) (doc simulateDocument) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("standard output is not one JSON document: %v: %s", err, text)
	}
	return doc
}

func TestASimulatedWindowIsDrained(t *testing.T) {
	server := streamtest.Start(t)
	environ := []string{"DATAWRITER_REDIS_URL=" + server.URL(), "DATAWRITER_DATA=" + t.TempDir()}
	r := run(t, environ, "simulate", "--window", testWindow, "--count", "2000", "--malformed", "0.05")
	made := simulated(t, r.stdout)
	if r.code != exitOK || made.Added != 2000 || made.Malformed == 0 {
		t.Fatalf("exit %d, %+v, %s", r.code, made, r.stderr)
	}
	r = run(t, environ, "run", "--window", testWindow)
	if r.code != exitOK {
		t.Fatalf("exit %d: %s", r.code, r.stderr)
	}
	var rows, rejected int64
	for _, w := range document(t, r.stdout).Windows {
		for _, k := range w.Kinds {
			rows += k.Rows
			rejected += k.Rejected
		}
	}
	if rows != made.Added-made.Malformed || rejected != made.Malformed {
		t.Errorf("%d rows and %d rejects from %d entries, %d of them malformed", rows, rejected, made.Added, made.Malformed)
	}
	r = run(t, environ, "simulate", "--window", testWindow, "--count", "10")
	if r.code != exitUsage || !strings.Contains(r.stderr, "closed") {
		t.Errorf("a fenced window: exit %d, %s", r.code, r.stderr)
	}
}

func TestSimulateReplaysAFileOrStandardInput(t *testing.T) {
	server := streamtest.Start(t)
	environ := []string{"DATAWRITER_REDIS_URL=" + server.URL()}
	lines := `{"kind":"commit","commit":{"collection":"app.bsky.feed.like"}}` + "\n" + `{"kind":"identity"}` + "\n"
	file := filepath.Join(t.TempDir(), "recorded.jsonl")
	if err := os.WriteFile(file, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	fromFile := run(t, environ, "simulate", "--replay", file)
	c := command(t, environ, "simulate", "--replay", "-")
	c.Stdin = strings.NewReader(lines)
	fromStdin, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fromFile.stdout, string(fromStdin)} {
		if doc := simulated(t, text); doc.Kinds[event.Likes].Added != 1 || doc.Skipped["identity"] != 1 {
			t.Errorf("got %s", text)
		}
	}
}

func TestASignalEndsALiveSimulationWithItsDocument(t *testing.T) {
	server := streamtest.Start(t)
	c := command(t, []string{"DATAWRITER_REDIS_URL=" + server.URL()}, "simulate", "--rate", "500")
	var stdout bytes.Buffer
	c.Stdout = &stdout
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	admin := server.Client()
	waitFor(t, func() bool { return admin.XLen(t.Context(), "bluesky:{likes}").Val() > 0 })
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	doc := simulated(t, stdout.String())
	if code := c.ProcessState.ExitCode(); code != 128+int(syscall.SIGTERM) || doc.Added == 0 || doc.Error == "" {
		t.Errorf("exit %d, %+v", code, doc)
	}
	if there := admin.XLen(t.Context(), "bluesky:{likes}").Val(); doc.Kinds[event.Likes].Added != there {
		t.Errorf("%d likes are reported, %d are there", doc.Kinds[event.Likes].Added, there)
	}
}

func TestSimulateNamesWrongOptions(t *testing.T) {
	for want, args := range map[string][]string{
		"how many entries":       {"--window", testWindow},
		"does not divide":        {"--window", "2026-11-23T10:05:00Z/7m", "--count", "1"},
		"malformed share 1.5":    {"--malformed", "1.5"},
		"no such file":           {"--replay", "missing.jsonl"},
		"invalid value \"fast\"": {"--rate", "fast"},
	} {
		r := run(t, nil, append([]string{"simulate"}, args...)...)
		if r.code != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: exit %d and %q, want 2 and %q", args, r.code, r.stderr, want)
		}
	}
}
