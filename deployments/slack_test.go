package deployments_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// message is what an incoming webhook of Slack takes, as far as attachments go.
// Slack's reference: "Secondary message attachments", legacy fields.
type message struct {
	Channel     string       `json:"channel,omitempty"`
	Username    string       `json:"username,omitempty"`
	Text        string       `json:"text,omitempty"`
	LinkNames   bool         `json:"link_names,omitempty"`
	IconEmoji   string       `json:"icon_emoji,omitempty"`
	IconURL     string       `json:"icon_url,omitempty"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	Title      string           `json:"title,omitempty"`
	TitleLink  string           `json:"title_link,omitempty"`
	Pretext    string           `json:"pretext,omitempty"`
	Text       string           `json:"text"`
	Fallback   string           `json:"fallback"`
	CallbackID string           `json:"callback_id"`
	Color      string           `json:"color,omitempty"`
	Footer     string           `json:"footer,omitempty"`
	ImageURL   string           `json:"image_url,omitempty"`
	ThumbURL   string           `json:"thumb_url,omitempty"`
	MrkdwnIn   []string         `json:"mrkdwn_in,omitempty"`
	Fields     []map[string]any `json:"fields,omitempty"`
	Actions    []map[string]any `json:"actions,omitempty"`
}

// delivery is one message that arrived.
type delivery struct {
	At      time.Time
	Channel string // path of the webhook
	Body    []byte
	message
}

func (d delivery) text() string { return d.Attachments[0].Text }

// fires tells whether the message says that an alert fires.
func (d delivery) fires(alert string) bool { return strings.Contains(d.text(), "*"+alert+"*: ") }

// resolves tells whether the message says that an alert is over.
func (d delivery) resolves(alert string) bool {
	return strings.Contains(d.text(), ":white_check_mark: *"+alert+"* resolved")
}

// slack receives what Alertmanager sends to its webhooks, and can be as unkind
// as Slack is: answer 429 or 500, or not at all.
type slack struct {
	*httptest.Server
	t testing.TB

	mu         sync.Mutex
	status     int // of the answer; 0 means that it takes the message
	refusals   []time.Time
	deliveries []delivery
	arrived    chan struct{} // closed and renewed with each delivery and refusal
}

func startSlack(t testing.TB) *slack {
	s := &slack{t: t, arrived: make(chan struct{})}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// answer sets the status of all further answers; 0 takes messages again.
func (s *slack) answer(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func (s *slack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status != 0 || strings.HasPrefix(r.URL.Path, "/gone") {
		s.refusals = append(s.refusals, time.Now())
		close(s.arrived)
		s.arrived = make(chan struct{})
		if s.status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, "no_service", max(s.status, http.StatusNotFound))
		return
	}
	d := delivery{At: time.Now(), Channel: r.URL.Path, Body: body}
	if err := parseMessage(body, &d.message); err != nil {
		s.t.Errorf("Slack would refuse this message: %v\n%s", err, body)
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	s.deliveries = append(s.deliveries, d)
	close(s.arrived)
	s.arrived = make(chan struct{})
	_, _ = io.WriteString(w, "ok")
}

// since returns the messages to a channel after a time.
func (s *slack) since(channel string, after time.Time) []delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []delivery
	for _, d := range s.deliveries {
		if d.Channel == channel && d.At.After(after) {
			found = append(found, d)
		}
	}
	return found
}

// awaitRefusal returns when the first message after a time was not taken.
func (s *slack) awaitRefusal(t testing.TB, what string, after time.Time, limit time.Duration) time.Time {
	t.Helper()
	deadline := time.After(limit)
	for {
		s.mu.Lock()
		arrived, all := s.arrived, slices.Clone(s.refusals)
		s.mu.Unlock()
		if i := slices.IndexFunc(all, after.Before); i >= 0 {
			return all[i]
		}
		select {
		case <-arrived:
		case <-deadline:
			t.Fatalf("%s: no message came within %s", what, limit)
		}
	}
}

// firing returns the newest message of a channel that tells of an alert, if it
// says that the alert fires.
func (s *slack) firing(alert, channel string) (delivery, bool) {
	all := s.since(channel, time.Time{})
	for _, d := range slices.Backward(all) {
		if d.fires(alert) || d.resolves(alert) {
			return d, d.fires(alert)
		}
	}
	return delivery{}, false
}

// await returns the first message to a channel after a time that is wanted.
func (s *slack) await(t testing.TB, what, channel string, after time.Time, limit time.Duration, wanted func(delivery) bool) delivery {
	t.Helper()
	deadline := time.After(limit)
	for {
		s.mu.Lock()
		arrived := s.arrived
		s.mu.Unlock()
		all := s.since(channel, after)
		if i := slices.IndexFunc(all, wanted); i >= 0 {
			return all[i]
		}
		select {
		case <-arrived:
		case <-deadline:
			var titles []string
			for _, d := range all {
				titles = append(titles, d.Attachments[0].Title)
			}
			t.Fatalf("%s: no message to %s within %s; what came: %q", what, channel, limit, titles)
		}
	}
}

var (
	colour = regexp.MustCompile(`^(good|warning|danger|#[0-9a-f]{6})$`)
	link   = regexp.MustCompile(`<(https?://[^|<> ]+)\|[^<>|]+>|<!channel>`)
	broken = regexp.MustCompile(`<no value>|%!|\bnil\b|error calling`)
)

// parseMessage holds a payload against what Slack documents for attachments:
// unknown fields, missing texts, colours, links and marks that it would show raw.
func parseMessage(body []byte, m *message) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(m); err != nil {
		return err
	}
	if len(m.Attachments) != 1 {
		return fmt.Errorf("%d attachments, not 1", len(m.Attachments))
	}
	return m.Attachments[0].check()
}

func (a attachment) check() error {
	switch {
	case a.Title == "" || a.Fallback == "" || a.Text == "":
		return fmt.Errorf("title %q, fallback %q and text %q must all say something", a.Title, a.Fallback, a.Text)
	case !colour.MatchString(a.Color):
		return fmt.Errorf("colour %q", a.Color)
	case len(a.Text) > 8000:
		return fmt.Errorf("the text has %d bytes, and Slack cuts at 8000", len(a.Text))
	case len(a.Footer) > 300:
		return fmt.Errorf("the footer has %d bytes, and Slack cuts at 300", len(a.Footer))
	case broken.MatchString(a.Title + a.Text + a.Footer):
		return fmt.Errorf("a template went wrong")
	}
	if u, err := url.Parse(a.TitleLink); err != nil || u.Host == "" {
		return fmt.Errorf("title_link %q is no URL", a.TitleLink)
	}
	for _, text := range []string{a.Text, a.Pretext, a.Title} {
		if rest := link.ReplaceAllString(text, ""); strings.ContainsAny(rest, "<>") {
			return fmt.Errorf("< or > outside a link, which Slack does not show as it is: %q", rest)
		}
	}
	return nil
}

func TestReceiverIsAsStrictAsSlack(t *testing.T) {
	good := `{"attachments":[{"title":"t","title_link":"http://a/","text":"x","fallback":"t","callback_id":"","color":"#e01e5a"}]}`
	cases := []struct{ name, body string }{
		{"no JSON", `{`},
		{"no attachment", `{"attachments":[]}`},
		{"an unknown field", strings.Replace(good, `"color"`, `"colour"`, 1)},
		{"no text", strings.Replace(good, `"text":"x"`, `"text":""`, 1)},
		{"a colour by name", strings.Replace(good, "#e01e5a", "red", 1)},
		{"a raw angle bracket", strings.Replace(good, `"text":"x"`, `"text":"a < b"`, 1)},
		{"a link without address", strings.Replace(good, `"text":"x"`, `"text":"<README.md|Runbook>"`, 1)},
		{"a template that found nothing", strings.Replace(good, `"text":"x"`, `"text":"now %!s(int=3)"`, 1)},
	}
	if err := parseMessage([]byte(good), new(message)); err != nil {
		t.Errorf("a good message is refused: %v", err)
	}
	for _, c := range cases {
		if parseMessage([]byte(c.body), new(message)) == nil {
			t.Errorf("%s is taken: %s", c.name, c.body)
		}
	}
}
