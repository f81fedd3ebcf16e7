package validate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"datawriter/worker/exporter"
	"datawriter/worker/monitor"
)

// jobs are what Prometheus must scrape.
var jobs = []string{"prometheus", "alertmanager", "redis", "datawriter", "prefect"}

// elsewhere are series of other exporters that alerts and panels stand on.
var elsewhere = []string{
	"redis_up", "redis_memory_used_bytes", "redis_memory_max_bytes", "redis_evicted_keys_total", "redis_commands_total",
	"redis_connected_clients", "alertmanager_notifications_total", "prometheus_notifications_dropped_total",
}

// conditional are metrics that are rightly absent at times: before the first
// window, without a limit of memory, without a schedule.
var conditional = []string{
	"datawriter_last_", "datawriter_window_length_seconds", "datawriter_redis_memory_ratio", "datawriter_redis_seconds_until_full",
	"datawriter_prefect_",
}

// watchdog is the alert that always fires: the dead man's switch.
const watchdog = "Watchdog"

// monitoring asks a running stack whether everything is watched. It changes
// nothing.
func monitoring(ctx context.Context, s *Session) error {
	if s.cfg.Prometheus == "" {
		return fmt.Errorf("%w: it needs the address of Prometheus", ErrUnready)
	}
	p := monitor.Prometheus(s.cfg.Prometheus)
	if !s.check("Prometheus answers", func() (string, error) { return s.cfg.Prometheus, p.Ready(ctx) }) {
		return nil // nothing else can be asked
	}
	s.checkAlertmanager(ctx)
	s.checkExporter(ctx)
	s.check("every target is scraped", func() (string, error) { return targets(ctx, p) })
	s.check("targets were scraped within the last minute", func() (string, error) {
		return none(ctx, p, "time() - timestamp(up) > 60", "no target is older", "%s was last scraped %.0f s ago")
	})
	s.check("every source of the exporter answers", func() (string, error) { return sources(ctx, p) })
	s.check("every series is there", func() (string, error) { return series(ctx, p) })
	s.check("a scrape of the exporter takes less than a second", func() (string, error) { return scrapeTime(ctx, p) })
	s.check("every rule is evaluated", func() (string, error) { return rules(ctx, p) })
	s.check("every alert says what, where and what to do", func() (string, error) { return annotations(ctx, p) })
	s.check("alerts go to Alertmanager", func() (string, error) { return handover(ctx, p) })
	s.check("the dead man's switch reaches Alertmanager", func() (string, error) { return s.watchdog(ctx, p) })
	return s.checkDashboards(ctx, p)
}

func (s *Session) checkAlertmanager(ctx context.Context) {
	const name = "Alertmanager answers"
	if s.cfg.Alertmanager == "" {
		s.skip(name, "no address was given")
		return
	}
	s.check(name, func() (string, error) {
		server := monitor.Alertmanager(s.cfg.Alertmanager)
		return server.String(), server.Ready(ctx)
	})
}

func (s *Session) checkExporter(ctx context.Context) {
	const name = "the exporter is healthy and ready"
	if s.cfg.Exporter == "" {
		s.skip(name, "no address was given")
		return
	}
	s.check(name, func() (string, error) {
		for _, path := range []string{"/healthz", "/readyz"} {
			if _, err := monitor.Get(ctx, strings.TrimSuffix(s.cfg.Exporter, "/")+path); err != nil {
				return "", err
			}
		}
		return s.cfg.Exporter, nil
	})
}

func targets(ctx context.Context, p monitor.Prometheus) (string, error) {
	found, err := p.Targets(ctx)
	if err != nil {
		return "", err
	}
	var problems []string
	missing := slices.Clone(jobs)
	for _, t := range found {
		missing = slices.DeleteFunc(missing, func(job string) bool { return job == t.Labels["job"] })
		if t.Health != "up" {
			problems = append(problems, fmt.Sprintf("%s %s is %s: %s", t.Labels["job"], t.Labels["instance"], t.Health, t.LastError))
		}
	}
	for _, job := range missing {
		problems = append(problems, "job "+job+" has no target")
	}
	return fmt.Sprintf("%d targets up", len(found)), problem(problems)
}

// none expects an expression to give no series; detail describes each that it gives.
func none(ctx context.Context, p monitor.Prometheus, expression, good, detail string) (string, error) {
	found, err := p.Query(ctx, expression, time.Time{})
	if err != nil {
		return "", err
	}
	var problems []string
	for _, f := range found {
		problems = append(problems, fmt.Sprintf(detail, strings.TrimSpace(f.Labels["job"]+" "+f.Labels["instance"]), f.Value))
	}
	return good, problem(problems)
}

func sources(ctx context.Context, p monitor.Prometheus) (string, error) {
	found, err := p.Query(ctx, "datawriter_source_up", time.Time{})
	if err != nil {
		return "", err
	}
	var up, problems []string
	for _, f := range found {
		if f.Value == 1 {
			up = append(up, f.Labels["source"])
		} else {
			problems = append(problems, f.Labels["source"]+" does not answer")
		}
	}
	if len(found) == 0 {
		problems = append(problems, "Prometheus has no datawriter_source_up: is the exporter scraped?")
	}
	slices.Sort(up)
	return strings.Join(up, ", "), problem(problems)
}

// series looks for every metric of the exporter, and those of others that alerts
// stand on.
func series(ctx context.Context, p monitor.Prometheus) (string, error) {
	names, err := p.Names(ctx)
	if err != nil {
		return "", err
	}
	var problems []string
	wanted := slices.Concat(exporter.Names(), elsewhere)
	for _, name := range wanted {
		optional := slices.ContainsFunc(conditional, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if !slices.Contains(names, name) && !slices.Contains(names, name+"_bucket") && !optional {
			problems = append(problems, name+" is missing")
		}
	}
	return fmt.Sprintf("%d of %d, the others are rightly absent at times", len(wanted)-len(problems), len(wanted)), problem(problems)
}

func scrapeTime(ctx context.Context, p monitor.Prometheus) (string, error) {
	found, err := p.Query(ctx, `max(scrape_duration_seconds{job="datawriter"})`, time.Time{})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", errors.New("the exporter was never scraped")
	case found[0].Value >= 1:
		return "", fmt.Errorf("it took %.1f s", found[0].Value)
	}
	return fmt.Sprintf("%.0f ms", 1000*found[0].Value), nil
}

func rules(ctx context.Context, p monitor.Prometheus) (string, error) {
	found, err := p.Rules(ctx)
	if err != nil {
		return "", err
	}
	var problems []string
	count := make(map[string]int)
	for _, r := range found {
		count[r.Type]++
		if r.Health == "err" {
			problems = append(problems, fmt.Sprintf("%s: %s", r.Name, r.LastError))
		}
	}
	if count["alerting"] == 0 {
		problems = append(problems, "Prometheus has no alerting rule")
	}
	return fmt.Sprintf("%d alerts, %d recorded", count["alerting"], count["recording"]), problem(problems)
}

func annotations(ctx context.Context, p monitor.Prometheus) (string, error) {
	found, err := p.Rules(ctx)
	if err != nil {
		return "", err
	}
	var problems []string
	alerts := 0
	for _, r := range found {
		if r.Type != "alerting" || r.Name == watchdog {
			continue
		}
		alerts++
		for _, wanted := range []string{"summary", "description", "value", "action", "runbook_url"} {
			if r.Annotations[wanted] == "" {
				problems = append(problems, r.Name+" has no "+wanted)
			}
		}
		if r.Labels["severity"] == "" && r.Labels["escalated"] == "" { // an escalation has that of its alert
			problems = append(problems, r.Name+" has no severity")
		}
	}
	return fmt.Sprintf("%d alerts", alerts), problem(problems)
}

func handover(ctx context.Context, p monitor.Prometheus) (string, error) {
	addresses, err := p.Alertmanagers(ctx)
	if err == nil && len(addresses) == 0 {
		err = errors.New("no Alertmanager is known to Prometheus")
	}
	return strings.Join(addresses, ", "), err
}

func (s *Session) watchdog(ctx context.Context, p monitor.Prometheus) (string, error) {
	found, err := p.Query(ctx, `ALERTS{alertname="`+watchdog+`", alertstate="firing"}`, time.Time{})
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errors.New("it does not fire in Prometheus")
	}
	if s.cfg.Alertmanager == "" {
		return "it fires; Alertmanager was not asked", nil
	}
	alerts, err := monitor.Alertmanager(s.cfg.Alertmanager).Alerts(ctx)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(alerts, func(a monitor.Alert) bool { return a.Name() == watchdog }) {
		return "", errors.New("it fires in Prometheus, but Alertmanager has not got it")
	}
	return "it fires, and Alertmanager has it", nil
}

// problem returns an error that lists problems, each once.
func problem(problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	once := make(map[string]bool)
	for _, p := range problems {
		once[p] = true
	}
	return errors.New(strings.Join(slices.Sorted(maps.Keys(once)), "; "))
}

// decode reads a document of another program.
func decode(text []byte, to any) error {
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("the answer is not the document that was expected: %w", err)
	}
	return nil
}
