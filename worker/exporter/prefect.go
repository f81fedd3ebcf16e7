package exporter

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawriter/worker/prefect"
)

// span is how far back and ahead flow runs are counted. Prefect schedules an
// hour ahead, or three runs of what runs daily.
const span = 24 * time.Hour

// prefectSource looks at a Prefect server.
type prefectSource struct{ api *prefect.Client }

// The documents of the API, as far as they are used.
type (
	deployment struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Paused bool   `json:"paused"`
	}
	workPool struct {
		Name string `json:"name"`
	}
	poolWorker struct {
		Status        string    `json:"status"`
		LastHeartbeat time.Time `json:"last_heartbeat_time"`
	}
	historyInterval struct {
		States []struct {
			Type  string `json:"state_type"`
			Name  string `json:"state_name"`
			Count int64  `json:"count_runs"`
		} `json:"states"`
	}
	flowRun struct {
		Next     time.Time `json:"next_scheduled_start_time"`
		Expected time.Time `json:"expected_start_time"`
	}
)

func (p *prefectSource) look(ctx context.Context) ([]prometheus.Metric, error) {
	now := time.Now().UTC()
	all, err := p.deployments(ctx, now)
	if err != nil {
		return nil, err
	}
	workers, err := p.workers(ctx, now)
	return append(all, workers...), err
}

// runs is what is known of the flow runs of deployments of one name.
type flowRuns struct {
	states map[string]int64
	late   int64
	next   time.Time
	paused bool
}

func (p *prefectSource) deployments(ctx context.Context, now time.Time) ([]prometheus.Metric, error) {
	var deployments []deployment
	if err := p.post(ctx, "/deployments/filter", map[string]any{"limit": 200}, &deployments); err != nil {
		return nil, err
	}
	byName := make(map[string]*flowRuns) // two flows may each have one of that name
	for _, d := range deployments {
		if byName[d.Name] == nil {
			byName[d.Name] = &flowRuns{states: make(map[string]int64), paused: true}
		}
		if err := p.flowRuns(ctx, d, now, byName[d.Name]); err != nil {
			return nil, err
		}
	}
	var all []prometheus.Metric
	for name, runs := range byName {
		all = append(all, runs.metrics(name)...)
	}
	return all, nil
}

// flowRuns adds what is known of a deployment's runs.
func (p *prefectSource) flowRuns(ctx context.Context, d deployment, now time.Time, runs *flowRuns) error {
	of := map[string]any{"id": map[string]any{"any_": []string{d.ID}}}
	var history []historyInterval
	question := map[string]any{
		"deployments": of, "history_start": now.Add(-span), "history_end": now.Add(span), "history_interval_seconds": 2 * span.Seconds(),
	}
	if err := p.post(ctx, "/flow_runs/history", question, &history); err != nil {
		return err
	}
	for _, interval := range history {
		for _, state := range interval.States {
			runs.states[strings.ToLower(state.Type)] += state.Count
			if state.Name == "Late" {
				runs.late += state.Count
			}
		}
	}
	scheduled := map[string]any{
		"deployments": of, "limit": 1, "sort": "EXPECTED_START_TIME_ASC",
		"flow_runs": map[string]any{
			"state":               map[string]any{"name": map[string]any{"any_": []string{"Scheduled"}}},
			"expected_start_time": map[string]any{"after_": now},
		},
	}
	var next []flowRun
	if err := p.post(ctx, "/flow_runs/filter", scheduled, &next); err != nil {
		return err
	}
	if len(next) == 1 && (runs.next.IsZero() || next[0].Expected.Before(runs.next)) {
		runs.next = next[0].Expected
	}
	runs.paused = runs.paused && d.Paused
	return nil
}

func (r *flowRuns) metrics(name string) []prometheus.Metric {
	all := []prometheus.Metric{
		prefectLateRuns.value(float64(r.late), name),
		prefectPaused.value(boolean(r.paused), name),
	}
	for _, state := range flowStates {
		all = append(all, prefectFlowRuns.value(float64(r.states[state]), name, state))
	}
	if !r.next.IsZero() {
		all = append(all, prefectNextRun.value(seconds(r.next), name))
	}
	return all
}

func (p *prefectSource) workers(ctx context.Context, now time.Time) ([]prometheus.Metric, error) {
	var pools []workPool
	if err := p.post(ctx, "/work_pools/filter", map[string]any{}, &pools); err != nil {
		return nil, err
	}
	var all []prometheus.Metric
	for _, pool := range pools {
		var workers []poolWorker
		if err := p.post(ctx, "/work_pools/"+pool.Name+"/workers/filter", map[string]any{}, &workers); err != nil {
			return nil, err
		}
		online, newest := 0, time.Time{}
		for _, w := range workers {
			if w.Status == "ONLINE" {
				online++
			}
			if w.LastHeartbeat.After(newest) {
				newest = w.LastHeartbeat
			}
		}
		all = append(all, prefectWorkersOnline.value(float64(online), pool.Name))
		if !newest.IsZero() {
			all = append(all, prefectHeartbeatAge.value(now.Sub(newest).Seconds(), pool.Name))
		}
	}
	return all, nil
}

// post asks one question.
func (p *prefectSource) post(ctx context.Context, path string, question, answer any) error {
	return p.api.Ask(ctx, http.MethodPost, path, question, answer)
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
