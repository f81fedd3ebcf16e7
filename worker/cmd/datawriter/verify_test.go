package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datawriter/worker/stream/streamtest"
)

// verified is a drained window and the environment that names its archive.
func verified(t *testing.T) (server *streamtest.Server, environ []string, data string) {
	t.Helper()
	server = streamtest.Start(t)
	data = filepath.Join(t.TempDir(), "data")
	environ = []string{"DATAWRITER_DATA=" + data}
	fill(t, server, 20)
	if r := run(t, environ, "run", "--redis-url", server.URL(), "--window", testWindow); r.code != exitOK {
		t.Fatalf("run: exit %d: %s", r.code, r.stderr)
	}
	return server, environ, data
}

func report(t *testing.T, r result) (doc verifyDocument) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil {
		t.Fatalf("standard output is not one JSON document: %v: %s", err, r.stdout)
	}
	return doc
}

func TestVerifySaysThatPromisesAreKept(t *testing.T) {
	server, environ, _ := verified(t)
	r := run(t, environ, "verify")
	if r.code != exitOK || !strings.Contains(r.stdout, "not asked") || !strings.Contains(r.stdout, "readable") {
		t.Errorf("exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
	for _, args := range [][]string{
		{"--redis-url", server.URL()},
		{"--redis-url", server.URL(), "--window", testWindow},
		{"--redis-url", server.URL(), "--window", "2026-11-23T00:00:00Z/24h"},
	} {
		r := run(t, environ, append([]string{"verify", "--output", "json"}, args...)...)
		doc := report(t, r)
		if r.code != exitOK || doc.Status != "kept" || doc.Windows != 1 || doc.Rows != 21 || doc.Rejects != 1 || len(doc.Violations) != 0 {
			t.Errorf("%v: exit %d, %+v, %s", args, r.code, doc, r.stderr)
		}
		for _, c := range doc.Checks {
			if !c.Asked {
				t.Errorf("%v: %s was not asked", args, c.Check)
			}
		}
	}
}

func TestVerifyEndsWith4AndALineAViolation(t *testing.T) {
	_, environ, data := verified(t)
	parts, _ := filepath.Glob(filepath.Join(data, "2026/11/23/10/likes/*.parquet"))
	if len(parts) != 1 || os.Truncate(parts[0], 300) != nil {
		t.Fatalf("there are the parts %v", parts)
	}
	r := run(t, environ, "verify")
	if r.code != exitIntegrity || !strings.Contains(r.stdout, "\nreadable: 2026/11/23/10/likes/") || !strings.Contains(r.stderr, "integrity violation") {
		t.Errorf("exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
	r = run(t, environ, "verify", "--output", "json")
	if doc := report(t, r); r.code != exitIntegrity || doc.Status != "violated" || len(doc.Violations) != 2 { // unchanged is the other
		t.Errorf("exit %d: %+v", r.code, doc)
	}
}

func TestVerifyRefusesWhatItCannotMean(t *testing.T) {
	_, environ, data := verified(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a length without a start": {[]string{"--window", "5m"}, "START/END"},
		"a range that ends early":  {[]string{"--window", "2026-11-23T10:05:00Z/2026-11-23T10:00:00Z"}, "not after its start"},
		"an unknown form":          {[]string{"--output", "yaml"}, "neither table nor json"},
		"a missing folder":         {[]string{"--data", filepath.Join(data, "none")}, "none"},
		"a folder of other things": {[]string{"--data", filepath.Join(data, "2026")}, "there is no archive in it"},
		"a broken URL":             {[]string{"--redis-url", "localhost"}, "redis://"},
	} {
		if r := run(t, environ, append([]string{"verify"}, c.args...)...); r.code != exitUsage || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: exit %d: %s", name, r.code, r.stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(data, "none")); err == nil {
		t.Error("verify has created the folder that it was to verify")
	}
}

func TestVerifyAsksARedisOnlyWhenOneIsGiven(t *testing.T) {
	server, environ, _ := verified(t)
	server.Kill()
	away := "DATAWRITER_REDIS_URL=" + server.URL()
	for name, c := range map[string]struct {
		environ []string
		args    []string
		want    int
	}{
		"no Redis given":             {environ, nil, exitOK},
		"given as a flag":            {environ, []string{"--redis-url", server.URL()}, exitUnavailable},
		"given as a variable":        {append(environ, away), nil, exitUnavailable},
		"given, but not to be asked": {append(environ, away), []string{"--against-redis=false"}, exitOK},
		"asked for in so many words": {append(environ, away), []string{"--against-redis"}, exitUnavailable},
	} {
		r := run(t, c.environ, append([]string{"verify", "--output", "json"}, c.args...)...)
		status := map[int]string{exitOK: "kept", exitUnavailable: "incomplete"}[c.want]
		if doc := report(t, r); r.code != c.want || doc.Status != status || (doc.Error == "") != (c.want == exitOK) {
			t.Errorf("%s: exit %d, want %d: %+v %s", name, r.code, c.want, doc, r.stderr)
		}
	}
}
