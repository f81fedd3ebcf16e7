package exporter

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"datawriter/worker/prefect"
)

// answers are what Prefect 3.8.8 says, shortened: two deployments of one name in
// two flows, one of another; six runs, five of them late.
var answers = map[string]string{
	"/api/deployments/filter": `[{"id":"a","name":"drain-window","paused":false},{"id":"b","name":"drain-window","paused":true},{"id":"c","name":"verify-day","paused":true}]`,
	"a/flow_runs/history": `[{"interval_start":"2026-11-22T13:18:27Z","interval_end":"2026-11-24T13:18:27Z","states":[
		{"state_type":"FAILED","state_name":"Failed","count_runs":1,"sum_estimated_run_time":0.0,"sum_estimated_lateness":711.0},
		{"state_type":"COMPLETED","state_name":"Skipped","count_runs":2},{"state_type":"COMPLETED","state_name":"Completed","count_runs":3},
		{"state_type":"SCHEDULED","state_name":"Late","count_runs":5,"sum_estimated_run_time":0.0,"sum_estimated_lateness":1762.0},
		{"state_type":"SCHEDULED","state_name":"Scheduled","count_runs":26,"sum_estimated_run_time":0.0,"sum_estimated_lateness":0.0}]}]`,
	"b/flow_runs/history":                `[{"states":[{"state_type":"SCHEDULED","state_name":"AwaitingRetry","count_runs":1}]}]`,
	"c/flow_runs/history":                `[{"states":[]}]`,
	"a/flow_runs/filter":                 `[{"expected_start_time":"2026-11-23T13:25:00Z","next_scheduled_start_time":"2026-11-23T13:25:00Z"}]`,
	"b/flow_runs/filter":                 `[{"expected_start_time":"2026-11-23T13:20:00.5Z"}]`,
	"c/flow_runs/filter":                 `[]`,
	"/api/work_pools/filter":             `[{"name":"datawriter","type":"process","is_paused":false},{"name":"new"}]`,
	"/api/work_pools/new/workers/filter": `[]`,
}

// prefectServer answers like a Prefect server that heard of a worker a minute ago.
func prefectServer(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if user, password, _ := request.BasicAuth(); user != "" && user+":"+password != "admin:secret" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if request.URL.Path == "/api/work_pools/datawriter/workers/filter" {
			heard := func(age time.Duration) string { return time.Now().UTC().Add(-age).Format(time.RFC3339Nano) }
			_, _ = io.WriteString(w, `[{"name":"local","last_heartbeat_time":"`+heard(time.Minute)+`","status":"ONLINE"},
				{"name":"gone","last_heartbeat_time":"`+heard(time.Hour)+`","status":"OFFLINE"}]`)
			return
		}
		answer, ok := answers[request.URL.Path]
		if !ok {
			answer, ok = answers[deploymentOf(t, request)+strings.TrimPrefix(request.URL.Path, "/api")]
		}
		if !ok {
			http.Error(w, request.URL.Path, http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server
}

// deploymentOf returns the one deployment that a question is about.
func deploymentOf(t *testing.T, request *http.Request) string {
	var question struct {
		Deployments struct {
			ID struct {
				Any []string `json:"any_"`
			} `json:"id"`
		} `json:"deployments"`
	}
	if err := json.NewDecoder(request.Body).Decode(&question); err != nil || len(question.Deployments.ID.Any) != 1 {
		t.Errorf("%s was asked about %v, %v", request.URL.Path, question, err)
		return ""
	}
	return question.Deployments.ID.Any[0]
}

func TestPrefectMetrics(t *testing.T) {
	p := &prefectSource{prefect.New(prefectServer(t).URL+"/api/", "admin:secret")}
	got := look(t, p.look)
	next := time.Date(2026, 11, 23, 13, 20, 0, 5e8, time.UTC)
	got.want(t, "Prefect", series{
		`prefect_flow_runs{deployment="drain-window",state="failed"}`:    1,
		`prefect_flow_runs{deployment="drain-window",state="completed"}`: 5,
		`prefect_flow_runs{deployment="drain-window",state="scheduled"}`: 32,
		`prefect_flow_runs{deployment="drain-window",state="crashed"}`:   0,
		`prefect_flow_runs{deployment="verify-day",state="scheduled"}`:   0,
		`prefect_late_runs{deployment="drain-window"}`:                   5,
		`prefect_deployment_paused{deployment="drain-window"}`:           0,
		`prefect_deployment_paused{deployment="verify-day"}`:             1,
		`prefect_next_run_timestamp_seconds{deployment="drain-window"}`:  seconds(next),
		`prefect_next_run_timestamp_seconds{deployment="verify-day"}`:    absent,
		`prefect_workers_online{pool="datawriter"}`:                      1,
		`prefect_workers_online{pool="new"}`:                             0,
		`prefect_heartbeat_age_seconds{pool="new"}`:                      absent,
	})
	if age := got[`prefect_heartbeat_age_seconds{pool="datawriter"}`]; age < 59 || age > 90 {
		t.Errorf("the last heartbeat is %v s old, want 60", age)
	}
}

func TestWhatPrefectRefusesSaysSo(t *testing.T) {
	p := &prefectSource{prefect.New(prefectServer(t).URL+"/api", "admin:wrong")}
	if _, err := p.look(t.Context()); err == nil || !strings.Contains(err.Error(), "401") || !strings.Contains(err.Error(), "/deployments/filter") {
		t.Errorf("got %v", err)
	}
}
