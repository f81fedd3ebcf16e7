package deployments_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"datawriter/deployments"
)

// most is the number of messages a minute that a storm of 50 alerts may cause.
const most = 10

// Fifty alerts of all areas and severities, one after the other within half a
// minute, with the shipped intervals.
func TestStormStaysReadable(t *testing.T) {
	t.Parallel()
	r := startAlertmanagerAlone(t)
	began := time.Now()
	for i := range 50 {
		r.raise(t, fmt.Sprintf("Storm%02d", i), []string{"critical", "warning", "info"}[i%3], []string{"redis", "datawriter", "prefect", "meta"}[i%4])
		time.Sleep(600 * time.Millisecond)
	}
	time.Sleep(time.Until(began.Add(time.Minute)))
	minute := r.slack.since(first, began)
	t.Logf("50 alerts within 30 s, %d messages in the first minute", len(minute))
	if len(minute) == 0 || len(minute) >= most {
		t.Errorf("%d messages in a minute, want some and fewer than %d", len(minute), most)
	}
	r.slack.await(t, "the first and the last critical alert of a storm", first, began, patience, func(d delivery) bool {
		return d.fires("Storm00") && bytes.Contains(d.Body, []byte("(17)"))
	})
}

// What follows from an outage is held back while the outage is told.
func TestOutageSilencesItsConsequences(t *testing.T) {
	t.Parallel()
	r := startAlertmanagerAlone(t)
	began := time.Now()
	r.raise(t, "RedisDown", "critical", "redis")
	r.raise(t, "NoWindowCommitted", "critical", "datawriter", "needs", "redis")
	r.raise(t, "NoWindowKnown", "critical", "datawriter", "needs", "exporter,redis")
	r.raise(t, "IntegrityViolation", "critical", "datawriter")
	d := r.slack.await(t, "an outage", first, began, patience, func(d delivery) bool { return d.fires("RedisDown") })
	if d.fires("NoWindowCommitted") || d.fires("NoWindowKnown") {
		t.Errorf("the consequences of an outage are told beside it: %s", d.text())
	}
	r.slack.await(t, "an alert that does not follow from the outage", first, began, patience, func(d delivery) bool { return d.fires("IntegrityViolation") })
}

// Of one measure only its highest threshold speaks.
func TestHighestThresholdSpeaks(t *testing.T) {
	t.Parallel()
	r := startAlertmanagerAlone(t)
	began := time.Now()
	for severity, alert := range map[string]string{"critical": "RedisMemoryCritical", "warning": "RedisMemoryHigh", "info": "RedisMemoryElevated"} {
		r.raise(t, alert, severity, "redis", "condition", "redis_memory")
	}
	r.raise(t, "RedisConnectionsHigh", "warning", "redis")
	d := r.slack.await(t, "a warning of another measure", first, began, patience, func(d delivery) bool { return d.fires("RedisConnectionsHigh") })
	if d.fires("RedisMemoryHigh") {
		t.Errorf("the lower threshold is told beside the higher one: %s", d.text())
	}
}

// startAlertmanagerAlone starts Alertmanager as shipped, and Slack, with nothing
// in front of it.
func startAlertmanagerAlone(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, folder: t.TempDir(), faster: 1, slack: startSlack(t), addresses: map[string]string{"alertmanager": freeAddress(t)}}
	rehearsal := deployments.Rehearsal{Faster: 1, Targets: r.addresses, Channel: r.slack.URL + first, Escalation: r.slack.URL + second}
	if err := rehearsal.Write(filepath.Clean(r.folder)); err != nil {
		t.Fatal(err)
	}
	r.alertmanagerURL = "http://" + r.addresses["alertmanager"]
	r.startAlertmanager()
	return r
}

// raise hands an alert to Alertmanager, as Prometheus does. Labels come in pairs.
func (r *rig) raise(t *testing.T, name, severity, area string, labels ...string) {
	t.Helper()
	set := map[string]string{"alertname": name, "severity": severity, "area": area}
	for i := 0; i+1 < len(labels); i += 2 {
		set[labels[i]] = labels[i+1]
	}
	body, err := json.Marshal([]any{map[string]any{"labels": set, "startsAt": time.Now(), "endsAt": time.Now().Add(time.Hour),
		"annotations": map[string]string{"summary": "a rehearsal", "description": "a < b & c", "value": "1", "action": "nothing", "runbook_url": "https://runbook.example/#x", "dashboard_url": "https://grafana.example/d/x"}}})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(r.alertmanagerURL+"/api/v2/alerts", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("Alertmanager answers %s to an alert", response.Status)
	}
}
