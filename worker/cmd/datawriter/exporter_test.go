package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/monitor"
	"datawriter/worker/stream/streamtest"
)

// startExporter starts the program as an exporter and returns how to end it.
func startExporter(t *testing.T, address string, args ...string) (stop func() (code int, log string)) {
	t.Helper()
	c := command(t, nil, append([]string{"exporter", "--listen=" + address, "--prefect-url="}, args...)...)
	var log bytes.Buffer
	c.Stderr = &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	awaitAnswer(t, "http://"+address+"/readyz")
	return func() (int, string) {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		return c.ProcessState.ExitCode(), log.String()
	}
}

// rowsIn returns the lines of a scrape that count rows.
func rowsIn(t *testing.T, address string) string {
	t.Helper()
	text, err := monitor.Get(t.Context(), "http://"+address+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "datawriter_rows_total{") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "\n")
}

func TestExporterGoesOnWhereItEnded(t *testing.T) {
	server, data, address := streamtest.Start(t), filepath.Join(t.TempDir(), "data"), freeAddress(t)
	fill(t, server, 10)
	at := []string{"--redis-url=" + server.URL(), "--data=" + data}
	if r := run(t, nil, append([]string{"run", "--window=" + testWindow}, at...)...); r.code != 0 {
		t.Fatal(r)
	}
	stop := startExporter(t, address, at...)
	want := rowsIn(t, address)
	if !strings.Contains(want, `datawriter_rows_total{kind="likes"} 10`) || !strings.Contains(want, `datawriter_rows_total{kind="follows"} 1`) {
		t.Errorf("rows:\n%s", want)
	}
	if code, log := stop(); code != 0 || !strings.Contains(log, "source is up") {
		t.Errorf("SIGTERM ended it with %d: %s", code, log)
	}
	// The run log is gone, the counters are not.
	if err := os.RemoveAll(filepath.Join(data, "_state", "runs")); err != nil {
		t.Fatal(err)
	}
	stop = startExporter(t, address, at...)
	if got := rowsIn(t, address); got != want {
		t.Errorf("rows after a restart:\n%s\nwant\n%s", got, want)
	}
	stop()
}

func TestExporterRefuses(t *testing.T) {
	taken := freeAddress(t)
	stop := startExporter(t, taken, "--data="+t.TempDir())
	defer stop()
	for name, args := range map[string][]string{
		"an address that is taken":     {"--listen=" + taken},
		"a web file that is none":      {"--web-config-file=" + filepath.Join(t.TempDir(), "none")},
		"a length that is none":        {"--window-length=7m"},
		"a password file that is none": {"--prefect-auth-file=" + filepath.Join(t.TempDir(), "none")},
		"a redis URL that is none":     {"--redis-url=localhost"},
	} {
		began := time.Now()
		if r := run(t, nil, append([]string{"exporter", "--data=" + t.TempDir()}, args...)...); r.code != 2 || r.stderr == "" {
			t.Errorf("%s: %+v after %s, want exit 2", name, r, time.Since(began))
		}
	}
	if r := run(t, nil, "exporter", "--list"); r.code != 0 || !strings.Contains(r.stdout, "datawriter_rows_total") {
		t.Errorf("--list: %+v", r)
	}
}

func TestValidateRefuses(t *testing.T) {
	away := "http://" + freeAddress(t)
	for _, test := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no step", nil, 2, "monitoring"},
		{"a step that nobody knows", []string{"baselin"}, 2, "baselin"},
		{"a flag that nobody knows", []string{"monitoring", "--until=2h"}, 2, "until"},
		{"an argument", []string{"monitoring", "now"}, 2, `"now"`},
		{"a form that is none", []string{"monitoring", "--output=yaml"}, 2, "yaml"},
		{"no Prometheus at all", []string{"monitoring", "--prometheus-url="}, 2, "address of Prometheus"},
		{"a Prometheus that is away", []string{"monitoring", "--prometheus-url=" + away}, 4, "1 of 1 checks"},
		{"a rehearsal without a Redis", []string{"alerts", "--redis-server=/nonexistent/redis"}, 4, "/nonexistent/redis"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if r := run(t, nil, append([]string{"validate"}, test.args...)...); r.code != test.code || !strings.Contains(r.stderr, test.says) {
				t.Errorf("%+v; want exit %d and %q", r, test.code, test.says)
			}
		})
	}
}
