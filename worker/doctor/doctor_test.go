package doctor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datawriter/worker/doctor"
	"datawriter/worker/event"
	"datawriter/worker/ingest/ingesttest"
	"datawriter/worker/runlog"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/window"
)

// patient is a pipeline in good health.
type patient struct {
	t       *testing.T
	redis   *streamtest.Server
	client  *stream.Client
	data    string
	runs    []any // that Prefect says are to come
	host    *ingesttest.Host
	config  doctor.Config
	servers []*httptest.Server
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{t: t, data: t.TempDir()}
	p.redis = streamtest.Start(t, "--appendonly", "yes", "--maxmemory", "64mb", "--maxmemory-policy", "noeviction")
	var err error
	if p.client, err = stream.Open(stream.Config{URL: p.redis.URL()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.client.Close() })
	for _, kind := range event.Kinds() {
		if _, err := p.client.Add(t.Context(), []stream.Addition{{Kind: kind, Fields: [][]byte{[]byte("event"), []byte("{}")}}}); err != nil {
			t.Fatal(err)
		}
		if err := p.client.Stream(kind).EnsureGroup(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.runs = []any{map[string]any{"expected_start_time": time.Now().Add(time.Minute).UTC()}}
	prefect := p.serve(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user+":"+password != "admin:secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var reply any = "3.8.8"
		if r.URL.Path == "/api/flow_runs/filter" {
			reply = p.runs
		}
		_ = json.NewEncoder(w).Encode(reply)
	})
	exporter := p.serve(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	p.host = (&ingesttest.Host{Source: ingesttest.NewSource(1, 0), V1: true}).Start(1)
	t.Cleanup(p.host.Stop)
	p.ran(time.Now(), runlog.Record{Status: runlog.Drained})
	p.config = doctor.Config{
		Redis: p.client, Data: p.data, State: p.data, PrefectURL: prefect.URL + "/api", PrefectAuth: "admin:secret", ExporterURL: exporter.URL + "/readyz",
		Hosts: []string{p.host.URL()}, Timeout: 20 * time.Second,
	}
	return p
}

func (p *patient) serve(answer http.HandlerFunc) *httptest.Server {
	server := httptest.NewServer(answer)
	p.t.Cleanup(server.Close)
	p.servers = append(p.servers, server)
	return server
}

// ran writes a run into the log.
func (p *patient) ran(end time.Time, r runlog.Record) {
	w, err := window.Parse("2026-11-23T10:05:00Z/5m")
	if err != nil {
		p.t.Fatal(err)
	}
	r.Window, r.End = w, end.UTC()
	if err := runlog.Open(p.data).Append(r); err != nil {
		p.t.Fatal(err)
	}
}

// followed is what the ingest holds as its position.
func (p *patient) followed(position string) {
	if err := p.client.Redis().HSet(p.t.Context(), "bluesky:{posts}:ingest", "position", position).Err(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *patient) set(name, value string) {
	if err := p.client.Redis().ConfigSet(p.t.Context(), name, value).Err(); err != nil {
		p.t.Fatal(err)
	}
}

func TestAHealthyPipelineIsWell(t *testing.T) {
	p := newPatient(t)
	report := doctor.Examine(t.Context(), p.config)
	for _, f := range report.Findings {
		if f.Status != doctor.OK {
			t.Errorf("%+v", f)
		}
	}
	if report.Err() != nil || len(report.Findings) != 18 {
		t.Errorf("%d findings, %v", len(report.Findings), report.Err())
	}
	var text strings.Builder
	if err := report.Write(&text); err != nil || !strings.Contains(text.String(), "redis memory") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

func TestWhatIsBrokenIsNamedWithItsFix(t *testing.T) {
	for _, c := range []struct {
		name, check string
		status      doctor.Status
		fix         string
		breakIt     func(p *patient)
	}{
		{"redis is away", "redis", doctor.Failure, "start it", func(p *patient) { p.redis.Kill() }},
		{"a password is missing", "redis", doctor.Failure, "do what this says", func(p *patient) { p.set("requirepass", "x"); p.reopen() }},
		{"redis is full", "redis memory", doctor.Failure, "datawriter run", func(p *patient) { p.set("maxmemory", "1mb") }},
		{"redis evicts", "redis policy", doctor.Warning, "noeviction", func(p *patient) { p.set("maxmemory-policy", "allkeys-lru") }},
		{"redis has no file", "redis persistence", doctor.Warning, "appendonly", func(p *patient) { p.set("appendonly", "no") }},
		{"nobody drains", "streams", doctor.Warning, "datawriter run", func(p *patient) {
			p.client.Redis().XGroupDestroy(p.t.Context(), "bluesky:{likes}", stream.DefaultGroup)
		}},
		{"an ID from the future", "stream ends", doctor.Failure, "datawriter rescue likes", func(p *patient) {
			p.client.Redis().Do(p.t.Context(), "XADD", "bluesky:{likes}", fmt.Sprintf("%d-0", time.Now().Add(time.Hour).UnixMilli()), "event", "{}")
		}},
		{"the last ID there is, of events that few drain", "stream ends", doctor.Failure, "datawriter rescue identity", func(p *patient) {
			p.client.Redis().Do(p.t.Context(), "XADD", "bluesky:{identity}", "18446744073709551615-18446744073709551615", "event", "{}")
		}},
		{"a rescue that was killed", "stream ends", doctor.Failure, "datawriter rescue posts", func(p *patient) {
			p.client.Redis().Do(p.t.Context(), "XADD", "bluesky:{posts}:rescue", "*", "event", "{}")
		}},
		{"a group that somebody forgot", "other groups", doctor.Warning, "XGROUP DESTROY 'bluesky:{identity}' analytics", func(p *patient) {
			p.client.Redis().Do(p.t.Context(), "XADD", "bluesky:{identity}", "1795428300000-0", "event", "{}")
			p.client.Redis().Do(p.t.Context(), "XGROUP", "CREATE", "bluesky:{identity}", "analytics", "0")
		}},
		{"the clocks differ", "clock", doctor.Failure, "NTP", func(p *patient) {
			p.config.Now = func() time.Time { return time.Now().Add(time.Minute) }
		}},
		{"the folder is no folder", "data folder", doctor.Failure, "move it away", func(p *patient) {
			file := filepath.Join(p.data, "file")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				p.t.Fatal(err)
			}
			p.config.Data = file
		}},
		{"prefect is away", "prefect", doctor.Failure, "make up", func(p *patient) { p.servers[0].Close() }},
		{"prefect wants a login", "prefect", doctor.Failure, "--prefect-auth-file", func(p *patient) { p.config.PrefectAuth = "" }},
		{"prefect wants another login", "prefect", doctor.Failure, "--prefect-auth-file", func(p *patient) { p.config.PrefectAuth = "admin:older" }},
		{"nothing is scheduled", "schedule", doctor.Failure, "resume its schedule", func(p *patient) { p.runs = []any{} }},
		{"the last run failed", "last window", doctor.Failure, "datawriter run", func(p *patient) {
			p.ran(time.Now().Add(time.Second), runlog.Record{Status: runlog.Failed, Error: "disk full"})
		}},
		{"nothing was drained for long", "last window", doctor.Failure, "datawriter run", func(p *patient) {
			p.config.Now = func() time.Time { return time.Now().Add(time.Hour) }
		}},
		{"the exporter is away", "exporter", doctor.Warning, "datawriter exporter", func(p *patient) { p.servers[1].Close() }},
		{"a host gave numbers again", "source", doctor.Warning, "IngestHostWentBack", func(p *patient) {
			p.followed(fmt.Sprintf(`{"time_us":%d,"seq":7,"host":"ws://a","wire":"v2","went_back":%d,"connection":3}`, time.Now().UnixMicro(), time.Now().UnixMicro()))
		}},
		{"a connection has not shown that it continues", "source", doctor.Warning, "a gap is recorded", func(p *patient) {
			p.followed(fmt.Sprintf(`{"time_us":%d,"host":"ws://a","wire":"v1","doubt":3,"connection":3}`, time.Now().UnixMicro()))
		}},
		{"jetstream is away", "jetstream", doctor.Failure, "--host", func(p *patient) { p.host.Refuse(true) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPatient(t)
			c.breakIt(p)
			report := doctor.Examine(t.Context(), p.config)
			for _, f := range report.Findings {
				if f.Check == c.check && f.Status == c.status && strings.Contains(f.Fix, c.fix) {
					if failed := errors.Is(report.Err(), doctor.ErrFailure); c.status == doctor.Failure && !failed {
						t.Error("the report has no failure")
					}
					return
				}
			}
			t.Errorf("no %s of %s with a fix like %q: %+v", c.status, c.check, c.fix, report.Findings)
		})
	}
}

// reopen makes new connections, which must log in.
func (p *patient) reopen() {
	var err error
	if p.config.Redis, err = stream.Open(stream.Config{URL: p.redis.URL()}); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = p.config.Redis.Close() })
}
