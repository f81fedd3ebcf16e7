package validate

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// server answers like a Prefect 3 server of which one thing may be wrong.
type server struct {
	api         string // in /ui-settings
	deployments []map[string]any
	workers     []map[string]any
	planned     []map[string]any
	late        []map[string]any
	last        []map[string]any
	automations []map[string]any
}

func goodServer() *server {
	soon := time.Now().Add(time.Minute).UTC()
	return &server{
		api: "/api",
		deployments: []map[string]any{
			{"name": "drain-window", "work_pool_name": "datawriter"}, {"name": "verify-day", "work_pool_name": "datawriter"},
			{"name": "daily-summary", "work_pool_name": "datawriter"}, {"name": "backfill", "work_pool_name": "datawriter"},
		},
		workers:     []map[string]any{{"name": "one", "status": "ONLINE", "last_heartbeat_time": time.Now().UTC()}},
		planned:     []map[string]any{{"state_name": "Scheduled", "expected_start_time": soon}},
		late:        []map[string]any{{"state_name": "AwaitingConcurrencySlot", "expected_start_time": soon.Add(-time.Hour)}},
		last:        []map[string]any{{"name": "10:05", "state_type": "COMPLETED", "state_name": "Skipped"}},
		automations: []map[string]any{{"name": clearsDead, "enabled": true}},
	}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); strings.HasPrefix(r.URL.Path, "/api/") && user+":"+password != "admin:secret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var question struct {
		FlowRuns struct {
			Expected map[string]string `json:"expected_start_time"`
		} `json:"flow_runs"`
	}
	_ = json.NewDecoder(r.Body).Decode(&question) // a GET has none
	var answer any
	switch r.URL.Path {
	case "/":
		_, _ = w.Write([]byte("<!DOCTYPE html><html></html>"))
		return
	case "/ui-settings":
		answer = map[string]string{"api_url": s.api}
	case "/api/admin/version":
		answer = "3.8.8"
	case "/api/deployments/filter":
		answer = s.deployments
	case "/api/work_pools/datawriter/workers/filter":
		answer = s.workers
	case "/api/automations/filter":
		answer = s.automations
	case "/api/flow_runs/filter":
		switch {
		case question.FlowRuns.Expected["after_"] != "":
			answer = s.planned
		case question.FlowRuns.Expected["before_"] != "":
			answer = s.late
		default:
			answer = s.last
		}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func TestPrefectStep(t *testing.T) {
	const auth = "admin:secret"
	for _, of := range []struct {
		name, auth string
		spoil      func(*server)
		failed     string // the check that must fail; empty for none
	}{
		{"a server as it should be", auth, func(*server) {}, ""},
		{"a wrong password", "admin:other", func(*server) {}, "the server answers"},
		{"a page that asks an address of its own machine", auth, func(s *server) { s.api = "http://0.0.0.0:4200/api" }, "the UI is served, and knows its API"},
		{"a flow that is not deployed", auth, func(s *server) { s.deployments = s.deployments[:2] }, "every flow is deployed"},
		{"a paused deployment", auth, func(s *server) { s.deployments[0]["paused"] = true }, "every flow is deployed"},
		{"no worker", auth, func(s *server) { s.workers = nil }, "a worker of every pool lives"},
		{"a worker that fell silent", auth, func(s *server) { s.workers[0]["last_heartbeat_time"] = time.Now().Add(-time.Hour) }, "a worker of every pool lives"},
		{"a scheduler that is dead", auth, func(s *server) { s.planned = nil }, "future runs are planned"},
		{"a run that nobody takes", auth, func(s *server) { s.late[0]["state_name"] = "Late" }, "no run is late"},
		{"a drain that failed", auth, func(s *server) { s.last[0]["state_type"] = "FAILED" }, "the last finished drain was a good one"},
		{"no drain yet", auth, func(s *server) { s.last = nil }, "the last finished drain was a good one"},
		{"no automation", auth, func(s *server) { s.automations = nil }, "dead runs are cleared"},
		{"an automation that is off", auth, func(s *server) { s.automations[0]["enabled"] = false }, "dead runs are cleared"},
	} {
		api := goodServer()
		of.spoil(api)
		listening := httptest.NewServer(api)
		report, err := Execute(context.Background(), prefectStep(t), Config{Prefect: listening.URL + "/api", PrefectAuth: of.auth, Log: zap.NewNop()})
		listening.Close()
		var failed []string
		for _, c := range report.Checks {
			if c.Status == Failed {
				failed = append(failed, c.Name)
			}
		}
		if got := strings.Join(failed, ", "); got != of.failed {
			t.Errorf("%s: failed %q, want %q: %+v", of.name, got, of.failed, report.Checks)
		}
		if errors.Is(err, ErrFailed) != (of.failed != "") {
			t.Errorf("%s: %v", of.name, err)
		}
	}
}

func TestPrefectStepNeedsAnAddress(t *testing.T) {
	if _, err := Execute(context.Background(), prefectStep(t), Config{Log: zap.NewNop()}); !errors.Is(err, ErrUnready) {
		t.Errorf("without an address: %v", err)
	}
}

func prefectStep(t *testing.T) Step {
	t.Helper()
	for _, step := range Steps() {
		if step.Name == "prefect" {
			return step
		}
	}
	t.Fatal("no step prefect")
	return Step{}
}
