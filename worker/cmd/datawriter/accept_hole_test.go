package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datawriter/worker/summary"
)

func TestAcceptHole(t *testing.T) {
	server, environ, data := verified(t)
	at := "--redis-url=" + server.URL()
	parts, _ := filepath.Glob(filepath.Join(data, "2026/11/23/10/likes/*.parquet"))
	if err := os.Remove(parts[0]); err != nil {
		t.Fatal(err)
	}
	r := run(t, environ, "run", at, "--window", testWindow)
	if r.code != exitIntegrity || !strings.Contains(r.stderr, data) || !strings.Contains(r.stderr, "datawriter accept-hole --window "+testWindow) {
		t.Errorf("the run: exit %d: %s", r.code, r.stderr)
	}
	accept := func(args ...string) result {
		return run(t, environ, append([]string{"accept-hole", at, "--window", testWindow}, args...)...)
	}
	for name, refused := range map[string][]string{
		"without a reason":     nil,
		"with an empty reason": {"--reason="},
		"of an unknown kind":   {"--reason=x", "--kind=like"},
		"of a kind that is":    {"--reason=x", "--kind=posts"},
		"in an unknown form":   {"--reason=x", "--output=yaml"},
		"in another folder":    {"--reason=x", "--data=" + filepath.Join(t.TempDir(), "none")},
		"in an empty folder":   {"--reason=x", "--data=" + t.TempDir()},
		"of no window":         {"--reason=x", "--window=5m"},
	} {
		if r := accept(refused...); r.code != exitUsage || len(strings.Split(strings.TrimSpace(r.stderr), "\n")) != 1 {
			t.Errorf("%s: exit %d: %s", name, r.code, r.stderr)
		}
	}
	if r := accept("--reason=the disk died", "--dry-run"); r.code != exitOK || !strings.Contains(r.stdout, "would be accepted") {
		t.Errorf("a dry run: %+v", r)
	}
	if r := run(t, environ, "verify", at); r.code != exitIntegrity {
		t.Errorf("verify before it is accepted: exit %d: %s", r.code, r.stdout)
	}
	for _, want := range []string{"accepted", "accepted before"} {
		if r := accept("--reason=the disk died"); r.code != exitOK || !strings.Contains(r.stdout, "likes  "+want) || !strings.Contains(r.stdout, "the disk died") {
			t.Errorf("want %q: %+v", want, r)
		}
	}
	var doc holesDocument
	if r := accept("--reason=again", "--output=json"); json.Unmarshal([]byte(r.stdout), &doc) != nil || len(doc.Holes) != 1 || !doc.Holes[0].Already || doc.Holes[0].Reason != "the disk died" {
		t.Errorf("as JSON: %+v", r)
	}
	if r := run(t, environ, "run", at, "--window", testWindow); r.code != exitOK {
		t.Errorf("the run after it: exit %d: %s", r.code, r.stderr)
	}
	if r := run(t, environ, "verify", at); r.code != exitOK || !strings.Contains(r.stdout, "hole: "+testWindow+" likes: accepted by ") {
		t.Errorf("verify after it: exit %d: %s", r.code, r.stdout)
	}
	var made summary.Report
	if r := run(t, environ, "report", "--day=2026-11-23", "--output=json"); json.Unmarshal([]byte(r.stdout), &made) != nil || made.Day.Holes != 1 || made.Day.Windows != 1 {
		t.Errorf("the report: %d holes, %d whole windows: %+v", made.Day.Holes, made.Day.Windows, r)
	}
	if r := run(t, environ, "report", "--day=2026-11-23"); !strings.Contains(r.stdout, "1 with an accepted hole") {
		t.Errorf("the report for people: %s", r.stdout)
	}
}
