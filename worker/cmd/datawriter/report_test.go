package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/summary"
	"datawriter/worker/verify"
)

// twoDays drains the last window of one day and two windows of the next, with one
// missing between them, and returns the archive.
func twoDays(t *testing.T) string {
	t.Helper()
	server, data := streamtest.Start(t), filepath.Join(t.TempDir(), "data")
	at := "--redis-url=" + server.URL()
	for _, w := range [][2]string{{"2026-11-20T23:55:00Z/5m", "400"}, {"2026-11-21T00:00:00Z/5m", "1000"}, {"2026-11-21T00:10:00Z/5m", "200"}} {
		if r := run(t, nil, "simulate", at, "--window="+w[0], "--count="+w[1], "--malformed=0.1"); r.code != 0 {
			t.Fatal(r)
		}
		if r := run(t, nil, "run", at, "--data="+data, "--window="+w[0], "--catch-up=false"); r.code != 0 {
			t.Fatal(r)
		}
	}
	return data
}

func TestReport(t *testing.T) {
	data := twoDays(t)
	// What a crash took from the run log is counted all the same.
	lost := filepath.Join(data, "_state", "runs")
	if err := os.RemoveAll(lost); err != nil {
		t.Fatal(err)
	}
	var made summary.Report
	r := run(t, nil, "report", "--data="+data, "--day=2026-11-21", "--output=json")
	if err := json.Unmarshal([]byte(r.stdout), &made); err != nil || r.code != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	for day, got := range map[string]summary.Day{"2026-11-21": made.Day, "2026-11-20": made.Before} {
		var want verify.Report
		r := run(t, nil, "verify", "--data="+data, "--window="+day+"T00:00:00Z/24h", "--output=json")
		if err := json.Unmarshal([]byte(r.stdout), &want); err != nil {
			t.Fatalf("%+v, %v", r, err)
		}
		total := got.Total
		if got.Date != day || total.Rows != want.Rows || total.Rejected != want.Rejects || total.Files != want.Files || total.Bytes != want.Bytes || want.Rows == 0 || want.Rejects == 0 {
			t.Errorf("%s: %+v; the files hold %d rows, %d rejects in %d files of %d bytes", day, got, want.Rows, want.Rejects, want.Files, want.Bytes)
		}
		var sum int64
		for _, k := range got.Kinds {
			sum += k.Rows
		}
		if sum != total.Rows || len(got.Kinds) != len(event.Kinds()) {
			t.Errorf("%s: the kinds make %d rows, the total is %d", day, sum, total.Rows)
		}
	}
	if d := made.Day; d.Windows != 2 || d.Expected != 288 || d.Missing != 286 || len(d.MissingFirst) == 0 || d.MissingFirst[0].String() != "2026-11-21T00:05:00Z/5m" {
		t.Errorf("windows: %d of %d, %d missing: %v", d.Windows, d.Expected, d.Missing, d.MissingFirst)
	}
	if d := made.Before; d.Windows != 1 || d.Missing != 0 {
		t.Errorf("the day on which the archive begins: %d windows, %d missing", d.Windows, d.Missing)
	}
}

func TestReportReadsTheRunLog(t *testing.T) {
	data := twoDays(t)
	log := runlog.Open(filepath.Join(data, "_state"))
	var records []runlog.Record
	if _, err := log.Read(time.Time{}, func(r runlog.Record) error { records = append(records, r); return nil }); err != nil {
		t.Fatal(err)
	}
	failed := records[1]
	failed.Status, failed.Class, failed.Seconds, failed.Kinds = runlog.Failed, "unavailable", 99, nil
	slow := records[2]
	slow.Seconds, slow.Kinds = 77, []runlog.Kind{{Kind: event.Likes, Losses: []runlog.Loss{{Class: "evicted", Count: 5}}}}
	for _, r := range []runlog.Record{failed, slow} {
		if err := log.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, nil, "report", "--data="+data, "--day=2026-11-21")
	for _, want := range []string{
		"in 2 of 288 windows, 5 entries lost, 286 missing", "slowest window: 2026-11-21T00:10:00Z/5m in 77.0 s (day before ",
		"lost: 5 (day before 0)", "failed runs: 1: unavailable 1 (day before 0)", "no_did ",
	} {
		if r.code != 0 || !strings.Contains(r.stdout, want) {
			t.Errorf("the text lacks %q:\n%s%s", want, r.stdout, r.stderr)
		}
	}
}

func TestReportIsPostedToAWebhook(t *testing.T) {
	data := twoDays(t)
	var posted []byte
	status := http.StatusOK
	slack := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		posted, _ = io.ReadAll(request.Body)
		w.WriteHeader(status)
	}))
	defer slack.Close()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(slack.URL+"/services/SECRET\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"report", "--data=" + data, "--day=2026-11-21", "--output=slack", "--webhook-file=" + file}
	r := run(t, nil, args...)
	var message summary.Slack
	if err := json.Unmarshal(posted, &message); err != nil || r.code != 0 {
		t.Fatalf("%+v, %v: %s", r, err, posted)
	}
	if a := message.Attachments; !strings.Contains(message.Text, "2026-11-21") || len(a) != 1 || !strings.HasPrefix(a[0].Color, "#") || !strings.Contains(a[0].Text, "reposts") {
		t.Errorf("the message is %+v", message)
	}
	for want, answer := range map[int]int{2: http.StatusNotFound, 75: http.StatusTooManyRequests} {
		status = answer
		if r := run(t, nil, args...); r.code != want || strings.Contains(r.stderr, "SECRET") || !strings.Contains(r.stderr, "post the summary") {
			t.Errorf("when Slack answers %d: %+v", answer, r)
		}
	}
}

func TestReportRefuses(t *testing.T) {
	empty := t.TempDir()
	for name, args := range map[string][]string{
		"a day that is none":       {"--day=yesterday", "--data=" + empty},
		"a day that has not begun": {"--day=2999-01-01", "--data=" + empty},
		"a form that is none":      {"--output=yaml", "--data=" + empty},
		"no archive":               {"--data=" + empty},
		"no folder":                {"--data=" + filepath.Join(empty, "none")},
		"no webhook":               {"--webhook-file=" + filepath.Join(empty, "none"), "--data=" + empty},
	} {
		if r := run(t, nil, append([]string{"report"}, args...)...); r.code != 2 || r.stdout != "" {
			t.Errorf("%s: %+v, want exit 2", name, r)
		}
	}
}
