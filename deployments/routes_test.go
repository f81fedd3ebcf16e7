package deployments_test

import (
	"strings"
	"testing"
)

func TestAlertmanagerTakesItsConfiguration(t *testing.T) {
	ask(t, "alertmanager", amtool, "check-config", "alertmanager.yml")
}

func TestRoutes(t *testing.T) {
	cases := []struct {
		name, labels, receivers string
	}{
		{"a critical alert goes to the first channel", "alertname=RedisDown severity=critical area=redis", "slack-critical"},
		{"its escalation goes to the second", "alertname=RedisDown severity=critical area=redis escalated=true", "slack-escalation"},
		{"a warning", "alertname=BacklogGrowing severity=warning area=datawriter", "slack-warning"},
		{"information", "alertname=RedisMemoryElevated severity=info area=redis", "slack-info"},
		{"failing messages go to both channels", "alertname=NotificationsFailing severity=critical area=meta", "slack-escalation,slack-critical"},
		{"the heartbeat goes to nobody's channel", "alertname=Watchdog severity=none area=meta", "deadman"},
		{"a severity that nobody knows reaches a person", "alertname=Odd severity=disaster", "slack-warning"},
		{"no severity reaches a person", "alertname=Odd", "slack-warning"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"config", "routes", "test", "--config.file=alertmanager.yml"}, strings.Fields(c.labels)...)
			lines := strings.Split(strings.TrimSpace(ask(t, "alertmanager", amtool, args...)), "\n")
			got := lines[len(lines)-1]
			if strings.Contains(got, "Warning") {
				got = lines[0]
			}
			if got != c.receivers {
				t.Errorf("%s goes to %q, not %q", c.labels, got, c.receivers)
			}
		})
	}
}
