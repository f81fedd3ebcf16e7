package monitor

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// Prometheus is the address of one: http://127.0.0.1:9090.
type Prometheus string

// Sample is one series of an answer.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Target is what Prometheus scrapes.
type Target struct {
	Labels    map[string]string `json:"labels"`
	Health    string            `json:"health"` // up, down or unknown
	LastError string            `json:"lastError"`
	Seconds   float64           `json:"lastScrapeDuration"`
}

// Rule is one rule of Prometheus.
type Rule struct {
	Group       string
	Name        string            `json:"name"`
	Type        string            `json:"type"`   // alerting or recording
	Health      string            `json:"health"` // ok, err or unknown
	LastError   string            `json:"lastError"`
	State       string            `json:"state"` // of an alert: inactive, pending or firing
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Query asks an instant query; the zero time is now. A scalar is one sample
// without labels.
func (p Prometheus) Query(ctx context.Context, expression string, at time.Time) ([]Sample, error) {
	values := url.Values{"query": {expression}}
	if !at.IsZero() {
		values.Set("time", strconv.FormatFloat(float64(at.UnixMilli())/1e3, 'f', 3, 64))
	}
	var data struct {
		Type   string `json:"resultType"`
		Result any    `json:"result"`
	}
	if err := p.get(ctx, "/api/v1/query?"+values.Encode(), &data); err != nil {
		return nil, err
	}
	result, ok := data.Result.([]any)
	if !ok {
		return nil, fmt.Errorf("%w: an answer of type %s", ErrRefused, data.Type)
	}
	if data.Type == "scalar" {
		result = []any{map[string]any{"value": result}}
	}
	return samples(result)
}

func samples(result []any) ([]Sample, error) {
	found := make([]Sample, 0, len(result))
	for _, one := range result {
		series, _ := one.(map[string]any)
		pair, _ := series["value"].([]any)
		if len(pair) != 2 {
			return nil, fmt.Errorf("%w: a series has no value", ErrRefused)
		}
		text, _ := pair[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: the value of a series: %w", ErrRefused, err)
		}
		s := Sample{Labels: make(map[string]string), Value: value}
		labels, _ := series["metric"].(map[string]any)
		for name, value := range labels {
			s.Labels[name], _ = value.(string)
		}
		found = append(found, s)
	}
	return found, nil
}

// Targets returns what is scraped.
func (p Prometheus) Targets(ctx context.Context) ([]Target, error) {
	var data struct {
		Active []Target `json:"activeTargets"`
	}
	err := p.get(ctx, "/api/v1/targets?state=active", &data)
	return data.Active, err
}

// Rules returns the rules of all groups.
func (p Prometheus) Rules(ctx context.Context) ([]Rule, error) {
	var data struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []Rule `json:"rules"`
		} `json:"groups"`
	}
	if err := p.get(ctx, "/api/v1/rules", &data); err != nil {
		return nil, err
	}
	var rules []Rule
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			rule.Group = group.Name
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

// Names returns the names of all series of the last hour.
func (p Prometheus) Names(ctx context.Context) ([]string, error) {
	var names []string
	since := strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
	err := p.get(ctx, "/api/v1/label/__name__/values?start="+since, &names)
	return names, err
}

// Alertmanagers returns the addresses to which Prometheus hands its alerts.
func (p Prometheus) Alertmanagers(ctx context.Context) ([]string, error) {
	var data struct {
		Active []struct {
			URL string `json:"url"`
		} `json:"activeAlertmanagers"`
	}
	err := p.get(ctx, "/api/v1/alertmanagers", &data)
	var addresses []string
	for _, one := range data.Active {
		addresses = append(addresses, one.URL)
	}
	return addresses, err
}

// Ready returns nil if it is up.
func (p Prometheus) Ready(ctx context.Context) error {
	_, err := Get(ctx, join(string(p), "/-/ready"))
	return err
}

// get reads the data of an answer.
func (p Prometheus) get(ctx context.Context, path string, data any) error {
	text, err := Get(ctx, join(string(p), path))
	if err != nil {
		return err
	}
	return decode(text, &struct {
		Data any `json:"data"`
	}{data})
}
