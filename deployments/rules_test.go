package deployments_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type rule struct {
	Alert       string            `yaml:"alert"`
	Record      string            `yaml:"record"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// alerts returns the alerts of all rule files, by the file that they stand in.
func alerts(t *testing.T) map[string][]rule {
	t.Helper()
	all := make(map[string][]rule)
	for _, name := range glob(t, "prometheus/rules/*.yml") {
		var file struct {
			Groups []struct {
				Rules []rule `yaml:"rules"`
			} `yaml:"groups"`
		}
		if err := yaml.Unmarshal([]byte(read(t, name)), &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		area := strings.TrimSuffix(filepath.Base(name), ".yml")
		for _, group := range file.Groups {
			for _, r := range group.Rules {
				if r.Alert != "" {
					all[area] = append(all[area], r)
				}
			}
		}
	}
	return all
}

func TestPrometheusTakesItsConfiguration(t *testing.T) {
	ask(t, ".", promtool, "check", "config", "prometheus/prometheus.yml")
}

// Thresholds: fires above, silent below, resolves. The cases stand in the files.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, name := range glob(t, "prometheus/tests/*_test.yml") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			ask(t, ".", promtool, "test", "rules", name)
		})
	}
}

func TestEveryAlertSaysWhatToDo(t *testing.T) {
	severities := []string{"critical", "warning", "info", "none"}
	for area, rules := range alerts(t) {
		for _, r := range rules {
			for _, name := range []string{"summary", "description", "value", "action", "runbook_url", "dashboard_url"} {
				if r.Annotations[name] == "" {
					t.Errorf("%s has no annotation %s", r.Alert, name)
				}
			}
			if escalation := r.Labels["escalated"] != ""; escalation {
				continue // it takes severity, area and links from the alert that it escalates
			}
			if !slices.Contains(severities, r.Labels["severity"]) {
				t.Errorf("%s has the severity %q, not one of %v", r.Alert, r.Labels["severity"], severities)
			}
			if r.Labels["area"] != area {
				t.Errorf("%s stands in %s.yml with the area %q", r.Alert, area, r.Labels["area"])
			}
			if want := "{{ $externalLabels.runbook }}#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
				t.Errorf("%s has the runbook_url %q, not %q", r.Alert, r.Annotations["runbook_url"], want)
			}
		}
	}
}

func TestEveryAlertHasItsUnitTestHeadingAndDashboard(t *testing.T) {
	var tests strings.Builder
	for _, name := range glob(t, "prometheus/tests/*_test.yml") {
		tests.WriteString(read(t, name))
	}
	runbook := read(t, "README.md")
	dashboard := regexp.MustCompile(`/d/([a-z-]+)$`)
	seen := 0
	for _, rules := range alerts(t) {
		for _, r := range rules {
			seen++
			fires := regexp.MustCompile(`exp_samples: .*alertname="` + r.Alert + `"|alertname="` + r.Alert + `".*exp_samples|&\w+ 'count by \(severity\) \(ALERTS\{alertname="` + r.Alert + `"`)
			if !fires.MatchString(tests.String()) {
				t.Errorf("no case in prometheus/tests says when %s fires", r.Alert)
			}
			if r.Labels["escalated"] == "" && !strings.Contains(runbook, "\n### "+r.Alert+"\n") {
				t.Errorf("README.md has no heading ### %s", r.Alert)
			}
			m := dashboard.FindStringSubmatch(r.Annotations["dashboard_url"])
			if m == nil || !dashboardExists(t, m[1]) {
				t.Errorf("%s links to %q, which is no dashboard of grafana/dashboards", r.Alert, r.Annotations["dashboard_url"])
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d alerts were looked at: the test looks in the wrong place", seen)
	}
}

func TestRunbookNamesNoAlertThatIsGone(t *testing.T) {
	known := make(map[string]bool)
	for _, rules := range alerts(t) {
		for _, r := range rules {
			known[r.Alert] = true
		}
	}
	_, section, found := strings.Cut(read(t, "README.md"), "\n## Alerts\n")
	if !found {
		t.Fatal("README.md has no section Alerts")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile(`(?m)^### (\w+)$`).FindAllStringSubmatch(section, -1) {
		if !known[m[1]] {
			t.Errorf("README.md has a heading for %s, which no rule raises", m[1])
		}
	}
}

func dashboardExists(t *testing.T, uid string) bool {
	t.Helper()
	return slices.ContainsFunc(glob(t, "grafana/dashboards/*.json"), func(name string) bool {
		return strings.Contains(read(t, name), `"uid": "`+uid+`"`)
	})
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no files %s (%v)", pattern, err)
	}
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
