package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datawriter/worker/audit"
	"datawriter/worker/stream/streamtest"
)

// audited runs `datawriter audit` with an answer on standard input.
func audited(t *testing.T, answer string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	app := newApp(&out, &errs)
	app.Reader = strings.NewReader(answer)
	err := runApp(t.Context(), app, append([]string{"datawriter", "audit"}, args...))
	return exitCode(t.Context(), err), out.String(), errs.String()
}

func TestAuditAsksBeforeItFixes(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "redis.conf")
	if err := os.WriteFile(conf, []byte("timeout 30\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	server := streamtest.StartWith(t, conf)
	timeout := func() string { return server.Client().ConfigGet(t.Context(), "timeout").Val()["timeout"] }
	redis := []string{"--redis-url", server.URL()}

	if code, stdout, _ := audited(t, "", redis...); code != exitIntegrity || !strings.Contains(stdout, "CONFIG SET timeout 0") {
		t.Errorf("with gaps: %d\n%s", code, stdout)
	}
	for _, answer := range []string{"", "n\n", "what\n"} {
		code, _, stderr := audited(t, answer, append(redis, "--fix")...)
		if code != exitIntegrity || timeout() != "30" || !strings.Contains(stderr, "Nothing was changed") {
			t.Errorf("answer %q: %d, timeout %s\n%s", answer, code, timeout(), stderr)
		}
	}
	code, stdout, _ := audited(t, "y\n", append(redis, "--fix", "--rewrite", "--output", "json")...)
	var report audit.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != exitOK || timeout() != "0" || report.Count(audit.Gap) != 0 {
		t.Errorf("answer y: %d, %v, timeout %s\n%s", code, err, timeout(), stdout)
	}
	if text, err := os.ReadFile(conf); err != nil || !strings.Contains(string(text), "appendonly yes") {
		t.Errorf("a restart would forget it: %v\n%s", err, text)
	}
}

func TestAuditExitCodes(t *testing.T) {
	url, locked := streamtest.Start(t).URL(), streamtest.Start(t, "--requirepass", "secret").URL()
	for name, of := range map[string]struct {
		args []string
		code int
	}{
		"a profile that is none":    {[]string{"--redis-url", url, "--profile", "other"}, exitUsage},
		"a form that is none":       {[]string{"--redis-url", url, "--output", "xml"}, exitUsage},
		"--yes without --fix":       {[]string{"--redis-url", url, "--yes"}, exitUsage},
		"a Redis that is not there": {[]string{"--redis-url", "redis://127.0.0.1:1/0"}, exitUnavailable},
		"a password that is wrong":  {[]string{"--redis-url", strings.Replace(locked, "//", "//:wrong@", 1)}, exitUsage},
	} {
		if code, stdout, stderr := audited(t, "", of.args...); code != of.code {
			t.Errorf("%s: %d, want %d\n%s%s", name, code, of.code, stdout, stderr)
		}
	}
}
