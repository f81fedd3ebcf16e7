package validate

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"datawriter/worker/stream/streamtest"
)

func TestMetricsOf(t *testing.T) {
	tests := []struct {
		name       string
		expression string
		want       []string
	}{
		{"a plain name", `redis_up`, []string{"redis_up"}},
		{"functions, matchers and ranges are none", `rate(datawriter_rows_total{kind="likes", instance!~"a(b)"}[5m:30s])`, []string{"datawriter_rows_total"}},
		{"labels of an aggregation are none", `sum by (kind, instance) (a_total) / on (kind) group_left (x) b:c`, []string{"a_total", "b:c"}},
		{"an aggregation may say its labels behind", `sum(a) by (kind) unless b`, []string{"a", "b"}},
		{"words of the language are none", `a offset 1h > bool 0 or vector(1) and time() - 1e3 == Inf`, []string{"a"}},
		{"each is named once", `a + a`, []string{"a"}},
		{"a name in a string is none", `label_replace(a, "x", "redis_up", "y", "(b)")`, []string{"a"}},
		{"quantiles are numbers", `histogram_quantile(0.95, sum by (le) (rate(a_bucket[1h])))`, []string{"a_bucket"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := metricsOf(test.expression); !slices.Equal(got, test.want) {
				t.Errorf("%s: %q, want %q", test.expression, got, test.want)
			}
		})
	}
}

func TestVariablesOfGrafanaAreFilled(t *testing.T) {
	got := filled(`rate(a{kind=~"$kind",x="${name:regex}"}[$__rate_interval]) + b[$__range]`)
	if want := `rate(a{kind=~".*",x=".*"}[5m]) + b[1h]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTheReceiverIsAsStrictAsSlack(t *testing.T) {
	tests := []struct {
		name string
		text string
		good bool
	}{
		{"a message as it should be", `{"attachments":[{"text":"a","fallback":"b","color":"#e01e5a"}]}`, true},
		{"a colour with a name", `{"attachments":[{"text":"a","fallback":"b","color":"danger"}]}`, true},
		{"no JSON", `payload=x`, false},
		{"no attachments", `{"text":"a"}`, false},
		{"no text", `{"attachments":[{"fallback":"b","color":"#e01e5a"}]}`, false},
		{"no fallback", `{"attachments":[{"text":"a","color":"#e01e5a"}]}`, false},
		{"a colour that is none", `{"attachments":[{"text":"a","fallback":"b","color":"red"}]}`, false},
		{"a text that is cut", `{"attachments":[{"text":"` + strings.Repeat("a", maxText+1) + `","fallback":"b","color":"good"}]}`, false},
	}
	r, err := startReceiver(t.Context(), "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			response, err := http.Post(r.url+firstChannel, "application/json", strings.NewReader(test.text))
			if err != nil || (response.StatusCode == http.StatusOK) != test.good {
				t.Errorf("%v, %v", response, err)
			}
			_ = response.Body.Close()
		})
	}
}

func TestAFailedCheckFailsTheStep(t *testing.T) {
	step := Step{Name: "trial", Run: func(_ context.Context, s *Session) error {
		s.check("good", func() (string, error) { return "seen", nil })
		s.check("bad", func() (string, error) { return "", errors.New("because") })
		s.skip("other", "not given")
		return nil
	}}
	report, err := Execute(t.Context(), step, Config{Log: zaptest.NewLogger(t)})
	if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "1 of 3") {
		t.Errorf("got %v", err)
	}
	var table strings.Builder
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"ok       good", "failed   bad", "because", "skipped  other", "not given"} {
		if !strings.Contains(table.String(), line) {
			t.Errorf("the table lacks %q:\n%s", line, table.String())
		}
	}
}

// rehearse brings up a rehearsal that ends with the test.
func rehearse(t *testing.T) (*Session, *rehearsal) {
	t.Helper()
	// Ten times faster a scrape may take half a second.
	s := newSession(Step{}, Config{Faster: 10, RedisServer: os.Getenv(streamtest.BinaryEnv), Log: zaptest.NewLogger(t)})
	r, err := startRehearsal(t.Context(), s.cfg)
	t.Cleanup(r.close)
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

// TestARehearsal breaks two things for real; `datawriter validate alerts` breaks
// all of them, which takes minutes.
func TestARehearsal(t *testing.T) {
	s, r := rehearse(t)
	for _, sc := range scenarios() {
		if sc.alert == "NoWindowCommitted" || sc.alert == "RedisRefusingAdds" {
			s.rehearse(t.Context(), r, sc)
		}
	}
	if err := s.report.err(); err != nil || len(s.report.Checks) != 8 {
		t.Errorf("%v: %+v", err, s.report.Checks)
	}
	s.report = Report{}
	s.rehearse(t.Context(), r, scenario{"nothing", "NoSuchAlert", time.Second, time.Second, nothing, nothing})
	if err := s.report.err(); !errors.Is(err, ErrFailed) {
		t.Errorf("an alert that nobody tells: %v, %+v", err, s.report.Checks)
	}
}

func TestMonitoring(t *testing.T) {
	_, r := rehearse(t)
	if err := drainNext(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	dashboards := filepath.Join("..", "..", "deployments", "grafana", "dashboards")
	cfg := Config{
		Prometheus: string(r.prometheus), Alertmanager: string(r.alertmanager), Exporter: "http://" + r.address["datawriter"],
		Dashboards: dashboards, Log: zaptest.NewLogger(t),
	}
	report := settled(t, cfg)
	for _, c := range report.Checks {
		// Nobody runs Prefect here, and that must be seen.
		aboutPrefect := c.Name == "every target is scraped" || strings.HasPrefix(c.Name, "every panel")
		if c.Status != OK && (!aboutPrefect || !onlyPrefect(c.Detail)) {
			t.Errorf("%s: %s: %s", c.Name, c.Status, c.Detail)
		}
		if c.Name == "every target is scraped" && !strings.Contains(c.Detail, "job prefect has no target") {
			t.Errorf("%s: %s: %s", c.Name, c.Status, c.Detail)
		}
	}

	t.Run("a typo in a panel is found, in Grafana too", func(t *testing.T) {
		cfg.Dashboards, cfg.Grafana = "", grafana(t, `{"title":"typo","panels":[{"title":"row","panels":[{"title":"rows","targets":[{"expr":"rate(datawriter_rows_totl[5m])"}]}]}]}`)
		report, err := Execute(t.Context(), Step{Name: "monitoring", Run: monitoring}, cfg)
		last := report.Checks[len(report.Checks)-1]
		if !errors.Is(err, ErrFailed) || last.Status != Failed || !strings.Contains(last.Detail, "rows: nobody has a metric datawriter_rows_totl") {
			t.Errorf("%v: %+v", err, last)
		}
	})
	t.Run("an exporter that is gone is found", func(t *testing.T) {
		cfg.Grafana, cfg.Exporter = "", "http://"+r.address["datawriter"]
		r.stop()
		report, err := Execute(t.Context(), Step{Name: "monitoring", Run: monitoring}, cfg)
		if !errors.Is(err, ErrFailed) || status(report, "the exporter is healthy and ready") != Failed {
			t.Errorf("%v: %+v", err, report.Checks)
		}
	})
}

// settled asks until Prometheus has seen everything once.
func settled(t *testing.T, cfg Config) Report {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Second) {
		report, _ := Execute(t.Context(), Step{Name: "monitoring", Run: monitoring}, cfg)
		if status(report, "every series is there") == OK && status(report, "the dead man's switch reaches Alertmanager") == OK || time.Now().After(deadline) {
			return report
		}
	}
}

func status(r Report, check string) Status {
	for _, c := range r.Checks {
		if c.Name == check {
			return c.Status
		}
	}
	return ""
}

// onlyPrefect reports whether all that is missing is Prefect's.
func onlyPrefect(detail string) bool {
	for problem := range strings.SplitSeq(detail, "; ") {
		if !strings.Contains(problem, "prefect") {
			return false
		}
	}
	return true
}

// grafana answers with one dashboard.
func grafana(t *testing.T, dashboard string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		switch request.URL.Path {
		case "/api/search":
			_, _ = w.Write([]byte(`[{"uid":"one","title":"typo"}]`))
		case "/api/dashboards/uid/one":
			_ = json.NewEncoder(w).Encode(map[string]any{"dashboard": json.RawMessage(dashboard)})
		default:
			http.NotFound(w, request)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}
