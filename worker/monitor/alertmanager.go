package monitor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Alertmanager is the address of one: http://127.0.0.1:9093, with USER:PASSWORD@
// where it asks for a login.
type Alertmanager string

// String is the address without its password.
func (a Alertmanager) String() string { return redacted(string(a)) }

// Alert is an alert as Alertmanager holds it.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	Status      struct {
		State      string   `json:"state"` // active, suppressed or unprocessed
		SilencedBy []string `json:"silencedBy"`
	} `json:"status"`
}

// Name returns the alert's name.
func (a Alert) Name() string { return a.Labels["alertname"] }

// Matcher compares a label with a value.
type Matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual bool   `json:"isEqual"`
}

// Silence holds back the messages of alerts that match.
type Silence struct {
	ID        string    `json:"id,omitempty"`
	Matchers  []Matcher `json:"matchers"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`
}

// Alerts returns the alerts that are firing, silenced ones included.
func (a Alertmanager) Alerts(ctx context.Context) ([]Alert, error) {
	text, err := Get(ctx, join(string(a), "/api/v2/alerts"))
	if err != nil {
		return nil, err
	}
	var alerts []Alert
	return alerts, decode(text, &alerts)
}

// Silence creates a silence and returns its ID.
func (a Alertmanager) Silence(ctx context.Context, s Silence) (string, error) {
	address := join(string(a), "/api/v2/silences")
	text, err := call(ctx, http.MethodPost, address, redacted(address), s)
	if err != nil {
		return "", err
	}
	var created struct {
		ID string `json:"silenceID"`
	}
	if err := decode(text, &created); err != nil {
		return "", err
	}
	if created.ID == "" {
		return "", fmt.Errorf("%w: the silence has no ID", ErrRefused)
	}
	return created.ID, nil
}

// Expire ends a silence.
func (a Alertmanager) Expire(ctx context.Context, id string) error {
	address := join(string(a), "/api/v2/silence/"+url.PathEscape(id))
	_, err := call(ctx, http.MethodDelete, address, redacted(address), nil)
	return err
}

// Ready returns nil if it is up.
func (a Alertmanager) Ready(ctx context.Context) error {
	_, err := Get(ctx, join(string(a), "/-/ready"))
	return err
}
