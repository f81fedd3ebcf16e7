package validate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"datawriter/worker/monitor"
	"datawriter/worker/prefect"
)

// deployed are the deployments of prefect.yaml; scheduled run by themselves.
var (
	deployed  = []string{"backfill", "daily-summary", "drain-window", "verify-day"}
	scheduled = []string{"daily-summary", "drain-window", "verify-day"}
)

const (
	// silentFor is how long a worker may say nothing: it says every 30 seconds
	// that it lives.
	silentFor = 90 * time.Second
	// lateAfter is how late a scheduled run may begin before the pool is not
	// keeping up.
	lateAfter = 2 * time.Minute
	// answerTime is how long the server may take for one answer.
	answerTime = 30 * time.Second
	// clearsDead is the automation that deployments/prefect/prepare.py creates.
	clearsDead = "clear dead runs"
)

// runSeries are what the exporter tells of flow runs.
var runSeries = []string{"datawriter_prefect_flow_runs", "datawriter_prefect_workers_online", "datawriter_prefect_next_run_timestamp_seconds"}

// orchestration asks a running Prefect server whether windows will be drained without
// anybody's doing: flows deployed, runs planned, a worker to run them, dead runs
// cleared. It changes nothing.
func orchestration(ctx context.Context, s *Session) error {
	if s.cfg.Prefect == "" {
		return fmt.Errorf("%w: it needs the address of the Prefect API, like http://127.0.0.1:4200/api", ErrUnready)
	}
	p := newPrefectAPI(s.cfg.Prefect, s.cfg.PrefectAuth)
	if !s.check("the server answers", func() (string, error) { return p.version(ctx) }) {
		return nil // nothing else can be asked
	}
	s.check("the UI is served, and knows its API", func() (string, error) { return p.ui(ctx) })
	s.check("every flow is deployed", func() (string, error) { return p.deployments(ctx) })
	s.check("a worker of every pool lives", func() (string, error) { return p.workers(ctx) })
	s.check("future runs are planned", func() (string, error) { return p.planned(ctx) })
	s.check("no run is late", func() (string, error) { return p.late(ctx) })
	s.check("the last finished drain was a good one", func() (string, error) { return p.last(ctx) })
	s.check("dead runs are cleared", func() (string, error) { return p.automation(ctx) })
	if s.cfg.Prometheus == "" {
		s.skip("Prometheus knows of flow runs", "no address of Prometheus was given")
		return nil
	}
	s.check("Prometheus knows of flow runs", func() (string, error) { return flowRunSeries(ctx, monitor.Prometheus(s.cfg.Prometheus)) })
	return nil
}

// prefectAPI is a Prefect 3 server: its page, and its API below that.
type prefectAPI struct {
	root, url string
	page, api *prefect.Client
}

// newPrefectAPI returns the server whose API has that address. auth is
// USER:PASSWORD, an API key, or nothing.
func newPrefectAPI(api, auth string) prefectAPI {
	api = strings.TrimSuffix(api, "/")
	root := strings.TrimSuffix(api, "/api")
	return prefectAPI{root: root, url: api, page: prefect.New(root, auth), api: prefect.New(api, auth)}
}

func (p prefectAPI) version(ctx context.Context) (string, error) {
	var version string
	err := p.get(ctx, "/admin/version", &version)
	return "Prefect " + version + " at " + p.url, err
}

// ui looks at the page, and at the address from which the page asks for everything else.
func (p prefectAPI) ui(ctx context.Context) (string, error) {
	page, err := monitor.Get(ctx, p.root+"/")
	if err != nil {
		return "", err
	}
	if !bytes.Contains(bytes.ToLower(page), []byte("<html")) {
		return "", fmt.Errorf("%s/ is no page", p.root)
	}
	var settings struct {
		API string `json:"api_url"`
	}
	if err := p.page.Ask(ctx, http.MethodGet, "/ui-settings", nil, &settings); err != nil {
		return "", err
	}
	if address, err := url.Parse(settings.API); err != nil || address.Hostname() == "0.0.0.0" || settings.API == "" {
		return "", fmt.Errorf("a browser cannot reach the API at %q: set PREFECT_UI_API_URL", settings.API)
	}
	return p.root + ", API at " + settings.API, nil
}

// of is a filter by name.
func of(names ...string) map[string]any {
	return map[string]any{"deployments": map[string]any{"name": map[string]any{"any_": names}}}
}

type prefectDeployment struct {
	Name   string `json:"name"`
	Paused bool   `json:"paused"`
	Pool   string `json:"work_pool_name"`
}

func (p prefectAPI) deployments(ctx context.Context) (string, error) {
	var found []prefectDeployment
	if err := p.post(ctx, "/deployments/filter", of(deployed...), &found); err != nil {
		return "", err
	}
	missing := slices.Clone(deployed)
	var problems []string
	for _, d := range found {
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == d.Name })
		if d.Paused {
			problems = append(problems, d.Name+" is paused: resume it in the UI")
		}
	}
	for _, name := range missing {
		problems = append(problems, name+" is not deployed: python deployments/prefect/prepare.py")
	}
	return strings.Join(deployed, ", "), problem(problems)
}

func (p prefectAPI) workers(ctx context.Context) (string, error) {
	var found []prefectDeployment
	if err := p.post(ctx, "/deployments/filter", of(deployed...), &found); err != nil {
		return "", err
	}
	var pools, alive, problems []string
	for _, d := range found {
		if !slices.Contains(pools, d.Pool) {
			pools = append(pools, d.Pool)
		}
	}
	for _, pool := range pools {
		names, err := p.alive(ctx, pool)
		if err != nil {
			return "", err
		}
		if len(names) == 0 {
			problems = append(problems, "no worker of "+pool+" lives: prefect worker start --pool "+pool)
		}
		alive = append(alive, names...)
	}
	return strings.Join(alive, ", "), problem(problems)
}

// alive names the workers of a pool that spoke lately.
func (p prefectAPI) alive(ctx context.Context, pool string) (names []string, err error) {
	var workers []struct {
		Name   string    `json:"name"`
		Status string    `json:"status"`
		Last   time.Time `json:"last_heartbeat_time"`
	}
	if err := p.post(ctx, "/work_pools/"+url.PathEscape(pool)+"/workers/filter", map[string]any{}, &workers); err != nil {
		return nil, err
	}
	for _, w := range workers {
		if w.Status == "ONLINE" && time.Since(w.Last) < silentFor {
			names = append(names, fmt.Sprintf("%s of %s", w.Name, pool))
		}
	}
	return names, nil
}

type prefectRun struct {
	Name     string    `json:"name"`
	Type     string    `json:"state_type"`
	State    string    `json:"state_name"`
	Expected time.Time `json:"expected_start_time"`
}

// runs returns flow runs of a deployment in states of these types.
func (p prefectAPI) runs(ctx context.Context, name, sort string, limit int, types []string, expected map[string]any) (found []prefectRun, err error) {
	question := of(name)
	filter := map[string]any{"state": map[string]any{"type": map[string]any{"any_": types}}}
	if expected != nil {
		filter["expected_start_time"] = expected
	}
	question["flow_runs"], question["sort"], question["limit"] = filter, sort, limit
	err = p.post(ctx, "/flow_runs/filter", question, &found)
	return found, err
}

func (p prefectAPI) planned(ctx context.Context) (string, error) {
	var seen, problems []string
	for _, name := range scheduled {
		runs, err := p.runs(ctx, name, "EXPECTED_START_TIME_ASC", 1, []string{"SCHEDULED"}, map[string]any{"after_": time.Now().UTC()})
		if err != nil {
			return "", err
		}
		if len(runs) == 0 {
			problems = append(problems, "no run of "+name+" is planned: the server's scheduler does not work, or its schedule is off")
			continue
		}
		seen = append(seen, fmt.Sprintf("%s next at %s", name, runs[0].Expected.UTC().Format(time.RFC3339)))
	}
	return strings.Join(seen, ", "), problem(problems)
}

func (p prefectAPI) late(ctx context.Context) (string, error) {
	var problems []string
	for _, name := range scheduled {
		runs, err := p.runs(ctx, name, "EXPECTED_START_TIME_ASC", 10, []string{"SCHEDULED"}, map[string]any{"before_": time.Now().UTC().Add(-lateAfter)})
		if err != nil {
			return "", err
		}
		// One that waits for its turn behind another is not late.
		runs = slices.DeleteFunc(runs, func(r prefectRun) bool { return r.State != "Late" && r.State != "Scheduled" })
		if len(runs) > 0 {
			problems = append(problems, fmt.Sprintf("a run of %s waits since %s: is a worker there, and does it keep up?", name, runs[0].Expected.UTC().Format(time.RFC3339)))
		}
	}
	return fmt.Sprintf("none for more than %s", lateAfter), problem(problems)
}

func (p prefectAPI) last(ctx context.Context) (string, error) {
	runs, err := p.runs(ctx, "drain-window", "END_TIME_DESC", 1, []string{"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}, nil)
	switch {
	case err != nil:
		return "", err
	case len(runs) == 0:
		return "", errors.New("no run of drain-window has finished yet: wait for the next one")
	case runs[0].Type != "COMPLETED":
		return "", fmt.Errorf("%s is %s: its log in the UI says why", runs[0].Name, runs[0].State)
	}
	return fmt.Sprintf("%s is %s", runs[0].Name, runs[0].State), nil
}

func (p prefectAPI) automation(ctx context.Context) (string, error) {
	var found []struct {
		Name    string `json:"name"`
		Enabled bool   `json:"enabled"`
	}
	if err := p.post(ctx, "/automations/filter", map[string]any{}, &found); err != nil {
		return "", err
	}
	for _, a := range found {
		if a.Name == clearsDead && a.Enabled {
			return "automation " + clearsDead, nil
		}
	}
	return "", fmt.Errorf("no automation %q is at work, so a killed run blocks the next ones: python deployments/prefect/prepare.py", clearsDead)
}

func flowRunSeries(ctx context.Context, p monitor.Prometheus) (string, error) {
	var problems []string
	for _, name := range runSeries {
		found, err := p.Query(ctx, name, time.Time{})
		if err != nil {
			return "", err
		}
		if len(found) == 0 {
			problems = append(problems, name+" is missing: does `datawriter exporter` know --prefect-url?")
		}
	}
	return strings.Join(runSeries, ", "), problem(problems)
}

// get and post ask within answerTime.
func (p prefectAPI) get(ctx context.Context, path string, answer any) error {
	return p.within(ctx, http.MethodGet, path, nil, answer)
}

func (p prefectAPI) post(ctx context.Context, path string, question, answer any) error {
	return p.within(ctx, http.MethodPost, path, question, answer)
}

func (p prefectAPI) within(ctx context.Context, method, path string, question, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return p.api.Ask(ctx, method, path, question, answer)
}
