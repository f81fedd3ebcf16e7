package validate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Paths of the receiver's two channels.
const (
	firstChannel      = "/first"
	escalationChannel = "/escalation"
)

// message is what an incoming webhook of Slack takes, as far as attachments go.
type message struct {
	Text        string       `json:"text"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	Title    string `json:"title"`
	Text     string `json:"text"`
	Pretext  string `json:"pretext"`
	Fallback string `json:"fallback"`
	Color    string `json:"color"`
}

// delivery is a message that arrived.
type delivery struct {
	at      time.Time
	channel string
	message
}

// receiver stands in Slack's place.
type receiver struct {
	url    string
	server *http.Server
	keep   string // folder for the messages; empty keeps none

	mu      sync.Mutex
	all     []delivery
	refused []error
	arrived chan struct{} // closed and renewed with each message
}

func startReceiver(ctx context.Context, address, keep string) (*receiver, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w: the receiver of messages: %w", ErrUnready, err)
	}
	r := &receiver{url: "http://" + listener.Addr().String(), keep: keep, arrived: make(chan struct{})}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

func (r *receiver) close() { _ = r.server.Close() }

// ServeHTTP takes a message, or refuses one that Slack would refuse.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	text, err := io.ReadAll(io.LimitReader(request.Body, 1<<20))
	d := delivery{at: time.Now(), channel: request.URL.Path}
	if err == nil {
		err = json.Unmarshal(text, &d.message)
	}
	if err == nil {
		err = d.acceptable()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.refused = append(r.refused, err)
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	r.all = append(r.all, d)
	if r.keep != "" {
		name := fmt.Sprintf("%03d-%s.json", len(r.all), strings.Trim(d.channel, "/"))
		_ = os.WriteFile(filepath.Join(r.keep, name), text, 0o600)
	}
	close(r.arrived)
	r.arrived = make(chan struct{})
	_, _ = io.WriteString(w, "ok")
}

// colours that Slack takes.
var colours = regexp.MustCompile(`^(#[0-9a-fA-F]{6}|good|warning|danger)$`)

// maxText is where Slack cuts a text.
const maxText = 8000

func (m message) acceptable() error {
	if len(m.Attachments) == 0 {
		return fmt.Errorf("a message without attachments: %.100q", m.Text)
	}
	for _, a := range m.Attachments {
		switch {
		case a.Text == "" || a.Fallback == "":
			return fmt.Errorf("%.60q has no text or no fallback", a.Title)
		case !colours.MatchString(a.Color):
			return fmt.Errorf("%.60q has the colour %q", a.Title, a.Color)
		case len(a.Text) > maxText:
			return fmt.Errorf("%.60q has a text of %d bytes", a.Title, len(a.Text))
		}
	}
	return nil
}

// says reports whether a message holds a text.
func (m message) says(text string) bool {
	for _, a := range m.Attachments {
		if strings.Contains(a.Title+"\n"+a.Pretext+"\n"+a.Text, text) {
			return true
		}
	}
	return false
}

// fires and resolves report what a message says of an alert, in the words of the
// shipped templates.
func (m message) fires(alert string) bool    { return m.says("*" + alert + "*: ") }
func (m message) resolves(alert string) bool { return m.says("*" + alert + "* resolved") }

// since returns the messages to a channel after a time.
func (r *receiver) since(channel string, after time.Time) (found []delivery, next <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.all {
		if d.channel == channel && d.at.After(after) {
			found = append(found, d)
		}
	}
	return found, r.arrived
}

// await returns how long after a time the first message to a channel came that is
// wanted.
func (r *receiver) await(ctx context.Context, channel string, after time.Time, limit time.Duration, wanted func(message) bool) (time.Duration, error) {
	deadline := time.NewTimer(time.Until(after.Add(limit)))
	defer deadline.Stop()
	for {
		found, next := r.since(channel, after)
		for _, d := range found {
			if wanted(d.message) {
				return d.at.Sub(after), nil
			}
		}
		select {
		case <-next:
		case <-deadline.C:
			return 0, fmt.Errorf("no message within %s; what came to %s: %s", limit.Round(time.Second), channel, titles(found))
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

func titles(found []delivery) string {
	var all []string
	for _, d := range found {
		all = append(all, d.Attachments[0].Title)
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, " | ")
}
