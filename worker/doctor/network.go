package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/ingest"
	"datawriter/worker/prefect"
	"datawriter/worker/stream"
)

func prefectReachable(ctx context.Context, l *looking) Finding {
	if l.PrefectURL == "" {
		return Finding{}
	}
	var version string // unlike /health, it needs the login
	err := l.prefect().Ask(ctx, http.MethodGet, "/admin/version", nil, &version)
	switch {
	case errors.Is(err, prefect.ErrLogin):
		return fail(err.Error(), "give --prefect-auth-file: below the folder STATE of `make up` it is secrets/prefect_auth")
	case err != nil:
		return fail(err.Error(), "start it (make up), or give the right --prefect-url: it ends in /api; without it, give an empty one")
	}
	return ok("it answers, version %s", version)
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
	if err := l.prefect().Ask(ctx, http.MethodPost, "/flow_runs/filter", question, &next); err != nil {
		return fail("it is not known: "+err.Error(), "")
	}
	if len(next) == 0 {
		return fail("no run of drain-window is to come", "deploy it (make up, or deployments/prefect/prepare.py), resume its schedule, and look whether the server's scheduler runs")
	}
	return ok("the next run is due in %s", next[0].Expected.Sub(l.Now()).Round(time.Second))
}

func (l *looking) prefect() *prefect.Client { return prefect.New(l.PrefectURL, l.PrefectAuth) }

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
		server, err := ingest.Probe(ctx, host)
		if err != nil {
			bad = append(bad, err.Error())
			continue
		}
		good = append(good, fmt.Sprintf("%s (%s)", host, server))
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

// source looks at what the streams follow.
func source(ctx context.Context, l *looking) Finding {
	if !l.reached || len(l.Hosts) == 0 {
		return Finding{}
	}
	f, err := ingest.ReadFollowed(ctx, l.Redis.Intake(l.Redis.Name(event.Posts), 0))
	switch {
	case errors.Is(err, stream.ErrMisconfigured): // the drainer's user may not
		return ok("this user may not see what is followed; that of the ingest may")
	case err != nil:
		return warn(err.Error(), "")
	case f.Time.IsZero():
		return ok("nothing was ingested yet")
	}
	says := fmt.Sprintf("%s by %s up to %s", f.Host, f.Wire, f.Time.Format(time.DateTime))
	if f.Host == "" {
		says = "no host's numbers, up to " + f.Time.Format(time.DateTime)
	}
	if f.Seq > 0 {
		says += fmt.Sprintf(", number %d", f.Seq)
	}
	switch {
	case f.Doubt:
		return warn(says+"; what comes has not shown yet that it continues there", "wait: within a minute it has, or a gap is recorded")
	case f.WentBack.IsZero():
		return ok("%s", says)
	case l.Now().Sub(f.WentBack) > 7*24*time.Hour:
		return ok("%s; its numbers went back on %s", says, f.WentBack.Format(time.DateTime))
	}
	return warn(fmt.Sprintf("%s; its numbers went back at %s", says, f.WentBack.Format(time.DateTime)),
		"that host was killed and gave numbers again; nothing is lost here. Runbook: IngestHostWentBack")
}
