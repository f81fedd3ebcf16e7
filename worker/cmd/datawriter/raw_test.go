package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/summary"
)

// fillRaw adds n events of each raw kind and a malformed one to the test's window.
func fillRaw(t *testing.T, server *streamtest.Server, n int) {
	t.Helper()
	var batch []stream.Addition
	for _, kind := range event.RawKinds() {
		for i := range n {
			batch = append(batch, addition(kind, i, fmt.Appendf(nil, `{"did":"did:plc:a","time_us":1783175888218287,"kind":"%s","%[1]s":{"seq":%d}}`, kind, i)))
		}
		batch = append(batch, addition(kind, n, []byte("{")))
	}
	addAll(t, server, batch)
}

// TestRawKindsOfAKilledRun: the promise of the five holds for them.
func TestRawKindsOfAKilledRun(t *testing.T) {
	const n = 1200 // acked in pages, then trimmed
	server := streamtest.Start(t)
	for _, point := range []fault.Point{
		fault.GroupCreated, fault.Claimed, fault.Of("rejects", fault.Linked), fault.Of("part", fault.Linked), fault.Settled, fault.Trimmed,
	} {
		t.Run(string(point), func(t *testing.T) {
			if err := server.Client().FlushAll(context.Background()).Err(); err != nil {
				t.Fatal(err)
			}
			fillRaw(t, server, n) // and the five are empty, so that they reach few of the points
			data := filepath.Join(t.TempDir(), "data")
			environ := []string{"DATAWRITER_REDIS_URL=" + server.URL(), "DATAWRITER_DATA=" + data, "DATAWRITER_ALSO=account,identity"}
			args := []string{"run", "--window", testWindow, "--lease", "200ms"}
			if r := run(t, append(environ, "DATAWRITER_FAULT="+string(point)+"=kill"), args...); r.signal != syscall.SIGKILL {
				t.Fatalf("the process was not killed there: exit %d\n%s", r.code, r.stderr)
			}
			if r := run(t, environ, args...); r.code != exitOK {
				t.Fatalf("the rerun: exit %d\n%s", r.code, r.stderr)
			}
			for _, kind := range event.RawKinds() {
				found := archived(t, data, kind.String())
				for id, times := range found {
					if times != 1 {
						t.Errorf("%s %s stands in the archive %d times", kind, id, times)
					}
				}
				if left := server.Client().XLen(context.Background(), "bluesky:{"+kind.String()+"}").Val(); len(found) != n+1 || left > 0 {
					t.Errorf("%d of %s are archived, want %d; %d are left", len(found), kind, n+1, left)
				}
			}
			if r := run(t, environ, "verify", "--against-redis"); r.code != exitOK {
				t.Errorf("verify: exit %d\n%s%s", r.code, r.stdout, r.stderr)
			}
		})
	}
}

func TestCommandsOnAnArchiveWithRawKinds(t *testing.T) {
	server, data := streamtest.Start(t), filepath.Join(t.TempDir(), "data")
	fill(t, server, 10)
	fillRaw(t, server, 3)
	environ := []string{"DATAWRITER_REDIS_URL=" + server.URL(), "DATAWRITER_DATA=" + data}
	drained := run(t, environ, "run", "--window", testWindow, "--also", "identity", "--also", "account", "--also", "identity")
	var kinds []string
	for _, k := range document(t, drained.stdout).Windows[0].Kinds {
		kinds = append(kinds, k.Kind.String())
	}
	if got := strings.Join(kinds, " "); got != "posts likes reposts follows blocks identity account" || drained.code != exitOK {
		t.Errorf("exit %d, the kinds %s\n%s", drained.code, got, drained.stderr)
	}

	folder := "2026/11/23/10/identity/20261123T100500Z-5m-00.parquet"
	const first = `{"did":"did:plc:a","time_us":1783175888218287,"kind":"identity","identity":{"seq":0}}` + "\n"
	if r := run(t, nil, "cat", filepath.Join(data, folder)); r.code != exitOK || strings.Count(r.stdout, "\n") != 3 || !strings.HasPrefix(r.stdout, first) {
		t.Errorf("cat of a part: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if r := run(t, nil, "cat", filepath.Join(data, "_rejected", folder)); r.code != exitOK || !strings.Contains(r.stdout, "not_json") {
		t.Errorf("cat of rejects: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}

	var made summary.Report
	r := run(t, environ, "report", "--day=2026-11-23", "--output=json")
	if err := json.Unmarshal([]byte(r.stdout), &made); err != nil || r.code != exitOK {
		t.Fatalf("%+v, %v", r, err)
	}
	if d := made.Day; d.Windows != 1 || d.Total.Rows != 11 || d.Total.Rejected != 1 || len(d.Kinds) != len(event.Kinds()) || d.Reasons[event.ReasonNotJSON] != 1 {
		t.Errorf("the report is not about the five kinds alone: %+v", d)
	}
}
