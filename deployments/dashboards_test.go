package deployments_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

type dashboard struct {
	UID    string  `json:"uid"`
	Title  string  `json:"title"`
	Panels []panel `json:"panels"`
	Links  []struct {
		URL string `json:"url"`
	} `json:"links"`
	Templating struct {
		List []struct {
			Name string `json:"name"`
		} `json:"list"`
	} `json:"templating"`
}

type panel struct {
	ID      int     `json:"id"`
	Type    string  `json:"type"`
	Title   string  `json:"title"`
	Panels  []panel `json:"panels"`
	Targets []struct {
		Expr    string `json:"expr"`
		Instant bool   `json:"instant"`
	} `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	all := make(map[string]dashboard)
	for _, name := range glob(t, "grafana/dashboards/*.json") {
		var d dashboard
		if err := json.Unmarshal([]byte(read(t, name)), &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[filepath.Base(name)] = d
	}
	return all
}

// Grafana's types, by the TypeScript compiler, and that it finds a slip at all.
func TestDashboardsConformToGrafanasSchema(t *testing.T) {
	t.Parallel()
	cache, err := filepath.Abs("../.cache/grafana-schema")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "grafana/schema/check.sh", cache).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	good := read(t, "grafana/dashboards/redis.json")
	slips := map[string]string{
		"an-option-that-no-panel-has": strings.Replace(good, `"graphMode"`, `"grafMode"`, 1),
		"a-value-that-no-option-has":  strings.Replace(good, `"colorMode": "background"`, `"colorMode": "backdrop"`, 1),
		"a-panel-without-a-title":     strings.Replace(good, `"title": "PING"`, `"heading": "PING"`, 1),
		"another-data-source":         strings.Replace(good, `"uid": "prometheus"`, `"uid": "loki"`, 2),
		"no-slip":                     good,
	}
	folder, args := t.TempDir(), []string{cache}
	for slip, content := range slips {
		name := filepath.Join(folder, slip+".json")
		write(t, name, content)
		args = append(args, name)
	}
	out, _ := exec.CommandContext(t.Context(), "grafana/schema/check.sh", args...).CombinedOutput()
	for slip := range slips {
		if found, want := strings.Contains(string(out), slip+".ts("), slip != "no-slip"; found != want {
			t.Errorf("%s is found: %t, want %t\n%s", slip, found, want, out)
		}
	}
}

func TestDashboardsCanBeProvisioned(t *testing.T) {
	uids := make(map[string]string)
	for name, d := range dashboards(t) {
		if other := uids[d.UID]; d.UID == "" || other != "" {
			t.Errorf("%s has the uid %q, as %s", name, d.UID, other)
		}
		uids[d.UID] = name
		ids := make(map[int]bool)
		for _, p := range d.Panels {
			if ids[p.ID] {
				t.Errorf("%s has two panels with the id %d", name, p.ID)
			}
			ids[p.ID] = true
			if p.Type != "row" && p.Type != "table" && p.FieldConfig.Defaults.Unit == "" {
				t.Errorf("%s: the panel %q has no unit", name, p.Title)
			}
		}
		if !slices.ContainsFunc(d.Links, func(l struct {
			URL string `json:"url"`
		}) bool {
			return l.URL == "${runbook}"
		}) {
			t.Errorf("%s does not link to the runbook", name)
		}
	}
	var sources struct {
		Datasources []struct{ Name, UID, Type, URL string }
	}
	if err := yaml.Unmarshal([]byte(read(t, "grafana/provisioning/datasources/prometheus.yml")), &sources); err != nil {
		t.Fatal(err)
	}
	if len(sources.Datasources) != 1 || sources.Datasources[0].UID != "prometheus" {
		t.Errorf("the panels ask the data source with the uid prometheus; provisioned are %+v", sources.Datasources)
	}
}

// A running stack in good health: every panel has an answer, every rule finds
// its series, every command of the runbook works.
func TestHealthyStack(t *testing.T) {
	t.Parallel()
	r := startRig(t, 20, "--appendonly", "yes", "--maxmemory", "256mb")
	r.startIngest()
	stop := r.feed()
	t.Run("every panel has an answer", func(t *testing.T) {
		n := 0
		for name, d := range dashboards(t) {
			for _, p := range d.Panels {
				for _, target := range p.Targets {
					n++
					r.answers(t, fmt.Sprintf("%s, %s", name, p.Title), target.Expr, target.Instant)
				}
			}
		}
		t.Logf("%d queries answered", n)
	})
	t.Run("a misspelt series has none", func(t *testing.T) {
		for _, typo := range []string{"datawriter_undrained_window", "sum(redis:memory_use:ratio)"} {
			if got, err := r.query(typo, true); err != nil || got > 0 {
				t.Errorf("%s gives %d series (%v): the check above sees no slips", typo, got, err)
			}
		}
	})
	t.Run("every rule finds its series", func(t *testing.T) { r.rulesFind(t) })
	stop() // two drains at once would hold each other up
	t.Run("the commands of the runbook work", func(t *testing.T) { r.runbook(t) })
}

// feed adds mock events and drains them, so that everything that counts goes on
// increasing, until the function that it returns is called.
func (r *rig) feed() (stop func()) {
	producer := r.start("simulate", r.folder, r.binary, "simulate", "--rate=200", "--redis-url="+r.redis.URL())
	ctx, cancel := context.WithCancel(r.t.Context())
	var drained sync.WaitGroup
	drained.Go(func() {
		for ctx.Err() == nil {
			cmd := exec.CommandContext(r.t.Context(), r.binary, "run", "--window=10s", "--data="+r.data, "--redis-url="+r.redis.URL(), "--wait=30s")
			if out, err := cmd.CombinedOutput(); err != nil && r.t.Context().Err() == nil {
				r.t.Errorf("datawriter run: %v\n%s", err, out)
			}
			select {
			case <-time.After(5 * time.Second):
			case <-ctx.Done():
			}
		}
	})
	return func() { cancel(); drained.Wait(); producer.stop() }
}

// answers holds that a query gives at least one series; a stack that has just
// started needs some scrapes for it, and drained windows between them.
func (r *rig) answers(t *testing.T, where, expr string, instant bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		n, err := r.query(expr, instant)
		if err == nil && n > 0 {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Errorf("%s: %s gives %d series (%v)", where, expr, n, err)
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// query asks Prometheus and returns the number of series.
func (r *rig) query(expr string, instant bool) (int, error) {
	now := time.Now()
	path, values := "query", url.Values{"query": {expr}, "time": {fmt.Sprint(now.Unix())}}
	if !instant {
		path, values = "query_range", url.Values{"query": {expr}, "start": {fmt.Sprint(now.Add(-30 * time.Second).Unix())}, "end": {fmt.Sprint(now.Unix())}, "step": {"1"}}
	}
	response, err := http.PostForm(r.apiURL+"/api/v1/"+path, values)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var document struct {
		Error string `json:"error"`
		Data  struct {
			Result []json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
		return 0, err
	}
	if document.Error != "" {
		return 0, fmt.Errorf("%s", document.Error)
	}
	return len(document.Data.Result), nil
}

var (
	strung = regexp.MustCompile(`"[^"]*"`)
	series = regexp.MustCompile(`\b(?:redis|datawriter|prometheus|alertmanager)(?:_[a-z0-9_]+|:[a-z0-9_:]+)`)
)

// rulesFind asks for every series that a rule names: an alert on a name that
// nobody exports never fires.
func (r *rig) rulesFind(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range glob(t, "prometheus/rules/*.yml") {
		var file struct {
			Groups []struct{ Rules []rule }
		}
		if err := yaml.Unmarshal([]byte(read(t, name)), &file); err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Groups {
			for _, of := range group.Rules {
				for _, s := range series.FindAllString(strung.ReplaceAllString(of.Expr, ""), -1) {
					if !seen[s] {
						seen[s] = true
						r.answers(t, filepath.Base(name)+", "+of.Alert+of.Record, s, true)
					}
				}
			}
		}
	}
	if len(seen) < 35 {
		t.Errorf("only %d series were looked for", len(seen))
	}
}
