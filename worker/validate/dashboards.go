package validate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"datawriter/worker/exporter"
	"datawriter/worker/ingest"
	"datawriter/worker/monitor"
)

// dashboard is a dashboard of Grafana, as far as it asks Prometheus.
type dashboard struct {
	Title  string  `json:"title"`
	Panels []panel `json:"panels"`
}

type panel struct {
	Title   string  `json:"title"`
	Panels  []panel `json:"panels"` // of a collapsed row
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

// checkDashboards asks every query of every panel. Grafana is asked for its
// dashboards where it is there, else the folder is.
func (s *Session) checkDashboards(ctx context.Context, p monitor.Prometheus) error {
	var found []dashboard
	var read func() (string, error)
	name := "Grafana has its dashboards"
	switch {
	case s.cfg.Grafana != "":
		read = func() (detail string, err error) { found, detail, err = s.provisioned(ctx); return detail, err }
	case s.cfg.Dashboards != "":
		name = "dashboards can be read"
		read = func() (detail string, err error) {
			found, detail, err = dashboardFiles(s.cfg.Dashboards)
			return detail, err
		}
	default:
		s.skip(name, "neither Grafana nor a folder of dashboards was given")
		return nil
	}
	if !s.check(name, read) {
		return nil
	}
	names, err := known(ctx, p)
	if err != nil {
		return err
	}
	for _, d := range found {
		s.check("every panel's query answers: "+d.Title, func() (string, error) { return d.ask(ctx, p, names) })
	}
	return nil
}

// known are the names that a panel may ask for: what Prometheus has, what it
// records, what the exporter tells when there is something to tell, and what an
// ingest tells where there is one.
func known(ctx context.Context, p monitor.Prometheus) ([]string, error) {
	names, err := p.Names(ctx)
	if err != nil {
		return nil, err
	}
	rules, err := p.Rules(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		names = append(names, r.Name)
	}
	return slices.Concat(names, exporter.Names(), ingest.Names()), nil
}

// provisioned reads the dashboards from Grafana.
func (s *Session) provisioned(ctx context.Context) ([]dashboard, string, error) {
	base := strings.TrimSuffix(s.cfg.Grafana, "/")
	text, err := monitor.Get(ctx, base+"/api/search?type=dash-db")
	if err != nil {
		return nil, "", err
	}
	var list []struct {
		UID string `json:"uid"`
	}
	if err := decode(text, &list); err != nil {
		return nil, "", err
	}
	var found []dashboard
	for _, one := range list {
		text, err := monitor.Get(ctx, base+"/api/dashboards/uid/"+one.UID)
		if err != nil {
			return nil, "", err
		}
		var document struct {
			Dashboard dashboard `json:"dashboard"`
		}
		if err := decode(text, &document); err != nil {
			return nil, "", err
		}
		found = append(found, document.Dashboard)
	}
	return titled(found)
}

func dashboardFiles(folder string) ([]dashboard, string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, "", err
	}
	var found []dashboard
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, "", err
		}
		var d dashboard
		if err := decode(text, &d); err != nil {
			return nil, "", fmt.Errorf("%s: %w", file, err)
		}
		found = append(found, d)
	}
	return titled(found)
}

func titled(found []dashboard) ([]dashboard, string, error) {
	var titles []string
	for _, d := range found {
		titles = append(titles, d.Title)
	}
	if len(found) == 0 {
		return nil, "", errors.New("there is none")
	}
	return found, strings.Join(titles, ", "), nil
}

// ask asks every query, and looks for every metric that it names: a query with a
// typo in a name is good grammar and has no answer, for ever.
func (d dashboard) ask(ctx context.Context, p monitor.Prometheus, names []string) (string, error) {
	var problems []string
	queries := 0
	for _, panel := range flat(d.Panels) {
		for _, target := range panel.Targets {
			if target.Expr == "" {
				continue
			}
			queries++
			expression := filled(target.Expr)
			if _, err := p.Query(ctx, expression, time.Time{}); err != nil {
				problems = append(problems, fmt.Sprintf("%s: %v", panel.Title, err))
			}
			for _, metric := range metricsOf(expression) {
				if !slices.Contains(names, metric) {
					problems = append(problems, fmt.Sprintf("%s: nobody has a metric %s", panel.Title, metric))
				}
			}
		}
	}
	if queries == 0 {
		problems = append(problems, "it asks nothing")
	}
	return fmt.Sprintf("%d queries", queries), problem(problems)
}

// flat returns all panels, those of collapsed rows included.
func flat(panels []panel) (all []panel) {
	for _, p := range panels {
		all = append(all, p)
		all = append(all, flat(p.Panels)...)
	}
	return all
}

var (
	intervals = strings.NewReplacer("$__rate_interval", "5m", "$__interval", "1m", "$__range", "1h")
	variables = regexp.MustCompile(`\$\{?[A-Za-z_]\w*(:\w+)?\}?`)
)

// filled puts values in the place of Grafana's variables: every value of a label.
func filled(expression string) string {
	return variables.ReplaceAllString(intervals.Replace(expression), ".*")
}

// What of an expression is no metric: strings, matchers, ranges, numbers, and the
// lists of labels behind the words of aggregation.
var (
	nested   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`)
	matchers = regexp.MustCompile(`\{[^{}]*\}|\[[^\][]*\]`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)`)
	words    = regexp.MustCompile(`[A-Za-z_:][\w:]*\s*\(?`)
	numbers  = regexp.MustCompile(`\b\d[\w.]*`)
)

// keywords of PromQL that stand where a metric could.
var keywords = []string{"and", "or", "unless", "bool", "offset", "inf", "nan", "by", "without", "on", "ignoring", "group_left", "group_right", "start", "end"}

// metricsOf returns the names of the metrics in an expression, each once.
func metricsOf(expression string) []string {
	for _, not := range []*regexp.Regexp{nested, matchers, grouping, numbers} {
		expression = not.ReplaceAllString(expression, " ")
	}
	var found []string
	for _, word := range words.FindAllString(expression, -1) {
		name, function := strings.CutSuffix(word, "(")
		name = strings.TrimSpace(name)
		if !function && !slices.Contains(keywords, strings.ToLower(name)) && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}
