package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"datawriter/worker/ingest"
)

func prefectReachable(ctx context.Context, l *looking) Finding {
	if l.PrefectURL == "" {
		return Finding{}
	}
	var healthy bool
	if err := l.prefect(ctx, http.MethodGet, "/health", nil, &healthy); err != nil {
		return fail(err.Error(), "start it (make up), or give the right --prefect-url: it ends in /api; without it, give an empty one")
	}
	return ok("it answers")
}

// prefectScheduled looks for what a healthy port does not show: a run that is to come.
func prefectScheduled(ctx context.Context, l *looking) Finding {
	if l.PrefectURL == "" {
		return Finding{}
	}
	question := map[string]any{
		"limit": 1, "sort": "EXPECTED_START_TIME_ASC",
		"deployments": map[string]any{"name": map[string]any{"any_": []string{"drain-window"}}},
		"flow_runs": map[string]any{
			"state":               map[string]any{"name": map[string]any{"any_": []string{"Scheduled"}}},
			"expected_start_time": map[string]any{"after_": l.Now().UTC()},
		},
	}
	var next []struct {
		Expected time.Time `json:"expected_start_time"`
	}
	if err := l.prefect(ctx, http.MethodPost, "/flow_runs/filter", question, &next); err != nil {
		return fail("it is not known: "+err.Error(), "")
	}
	if len(next) == 0 {
		return fail("no run of drain-window is to come", "deploy it (make up, or deployments/prefect/prepare.py), resume its schedule, and look whether the server's scheduler runs")
	}
	return ok("the next run is due in %s", next[0].Expected.Sub(l.Now()).Round(time.Second))
}

func (l *looking) prefect(ctx context.Context, method, path string, question, reply any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("ask prefect: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(l.PrefectURL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask prefect: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if user, password, found := strings.Cut(l.PrefectAuth, ":"); found {
		request.SetBasicAuth(user, password)
	} else if l.PrefectAuth != "" {
		request.Header.Set("Authorization", "Bearer "+l.PrefectAuth)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("prefect does not answer: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("prefect answers %s", response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(reply); err != nil {
		return fmt.Errorf("what answers there is no prefect: %w", err)
	}
	return nil
}

func exporterReady(ctx context.Context, l *looking) Finding {
	if l.ExporterURL == "" {
		return Finding{}
	}
	const fix = "start datawriter exporter, or give the right --exporter-url; without it, give an empty one"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.ExporterURL, nil)
	if err != nil {
		return warn(err.Error(), fix)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return warn("it does not answer: nothing is watched", fix)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return ok("it answers")
	case http.StatusUnauthorized:
		return ok("it answers, and asks for a password")
	}
	return warn("it answers "+response.Status, "its log says which source it cannot read")
}

func jetstream(ctx context.Context, l *looking) Finding {
	if len(l.Hosts) == 0 {
		return Finding{}
	}
	var good, bad []string
	for _, host := range l.Hosts {
		wire, err := ingest.Probe(ctx, host)
		if err != nil {
			bad = append(bad, err.Error())
			continue
		}
		good = append(good, fmt.Sprintf("%s (%s)", host, wire))
	}
	const fix = "look whether this machine reaches the internet (DNS, firewall, proxy); give other hosts with --host; none: --host ''"
	switch {
	case len(good) == 0:
		return fail("no host answers: "+strings.Join(bad, "; "), fix)
	case len(bad) > 0:
		return warn(fmt.Sprintf("%s; not: %s", strings.Join(good, ", "), strings.Join(bad, "; ")), fix)
	}
	return ok("%s", strings.Join(good, ", "))
}
