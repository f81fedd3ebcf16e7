package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/monitor"
)

// startAlertmanager starts a real one that tells nobody, with these options, and
// returns its address.
func startAlertmanager(t *testing.T, options ...string) string {
	t.Helper()
	folder, address := t.TempDir(), freeAddress(t)
	config := filepath.Join(folder, "alertmanager.yml")
	if err := os.WriteFile(config, []byte("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(programPath(t, "alertmanager", "prometheus-alertmanager"), append(options, "--config.file="+config,
		"--storage.path="+folder, "--web.listen-address="+address, "--cluster.listen-address=")...)
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	url := "http://" + address
	awaitAnswer(t, url+"/-/ready")
	return url
}

// passwordSecret asks admin for the password "secret".
const passwordSecret = `basic_auth_users: {admin: "$2b$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u"}`

// programPath returns the path of the first program that is there.
func programPath(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("no %s on the PATH: apt-get install prometheus prometheus-alertmanager prometheus-redis-exporter", strings.Join(names, " or "))
	return ""
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func awaitAnswer(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		_, err := monitor.Get(t.Context(), url)
		if err == nil || errors.Is(err, monitor.ErrLogin) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// fire makes an alert fire in Alertmanager.
func fire(t *testing.T, url string, labels map[string]string) {
	t.Helper()
	text, err := json.Marshal([]map[string]any{{"labels": labels, "annotations": map[string]string{"summary": "The buffer is full"}}})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(url+"/api/v2/alerts", "application/json", bytes.NewReader(text))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	_ = response.Body.Close()
}

// states returns the states of the alerts in Alertmanager, by name and kind.
func states(t *testing.T, url string) map[string]string {
	t.Helper()
	alerts, err := monitor.Alertmanager(url).Alerts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, a := range alerts {
		found[strings.TrimSpace(a.Name()+" "+a.Labels["kind"])] = a.Status.State
	}
	return found
}

// awaitStates waits until Alertmanager has judged its alerts so.
func awaitStates(t *testing.T, what, url string, want map[string]string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); fmt.Sprint(states(t, url)) != fmt.Sprint(want); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v, want %v", what, states(t, url), want)
		}
	}
}

func TestAck(t *testing.T) {
	url := startAlertmanager(t)
	at := "--alertmanager-url=" + url
	fire(t, url, map[string]string{"alertname": "RedisMemoryCritical", "severity": "critical"})
	fire(t, url, map[string]string{"alertname": "RedisMemoryCritical", "severity": "critical", "escalated": "true", "kind": "escalation"})
	fire(t, url, map[string]string{"alertname": "LateEntries", "kind": "likes"})
	fire(t, url, map[string]string{"alertname": "LateEntries", "kind": "posts"})
	awaitStates(t, "before", url, map[string]string{"RedisMemoryCritical": "active", "RedisMemoryCritical escalation": "active", "LateEntries likes": "active", "LateEntries posts": "active"})

	if r := run(t, nil, "ack", at); r.code != 0 || !strings.Contains(r.stdout, "RedisMemoryCritical") || !strings.Contains(r.stdout, "The buffer is full") {
		t.Errorf("the list: %+v", r)
	}
	if r := run(t, nil, "ack", at, "RedisMemoryCrtical"); r.code != 2 || !strings.Contains(r.stderr, "LateEntries, RedisMemoryCritical") {
		t.Errorf("a typo must be refused with the names that fire: %+v", r)
	}
	acked := run(t, nil, "ack", "RedisMemoryCritical", "--for", "2h", "--comment", "watching it", "--by=ann", at)
	if acked.code != 0 {
		t.Fatalf("ack: %+v", acked)
	}
	if r := run(t, nil, "ack", at, "--label", "kind=likes", "LateEntries"); r.code != 0 {
		t.Fatalf("ack of one kind: %+v", r)
	}
	awaitStates(t, "acknowledged, the escalation with it", url, map[string]string{"RedisMemoryCritical": "suppressed", "RedisMemoryCritical escalation": "suppressed", "LateEntries likes": "suppressed", "LateEntries posts": "active"})
	text, err := monitor.Get(context.Background(), url+"/api/v2/silences")
	if err != nil || !strings.Contains(string(text), `"comment":"watching it"`) || !strings.Contains(string(text), `"createdBy":"ann"`) {
		t.Errorf("the silence does not say who and why: %s, %v", text, err)
	}
	id := regexp.MustCompile(`--end ([0-9a-f-]+)`).FindStringSubmatch(acked.stdout)
	if len(id) != 2 {
		t.Fatalf("no ID to take it back: %q", acked.stdout)
	}
	if r := run(t, nil, "ack", at, "--end", id[1]); r.code != 0 {
		t.Fatalf("the end of a silence: %+v", r)
	}
	awaitStates(t, "taken back", url, map[string]string{"RedisMemoryCritical": "active", "RedisMemoryCritical escalation": "active", "LateEntries likes": "suppressed", "LateEntries posts": "active"})
}

func TestAckRefuses(t *testing.T) {
	away := "--alertmanager-url=http://" + freeAddress(t)
	url := "--alertmanager-url=" + startAlertmanager(t)
	for _, test := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"an Alertmanager that is away", []string{away, "X"}, 75, "refused"},
		{"two alerts at once", []string{url, "X", "Y"}, 2, `"Y"`},
		{"a flag that nobody knows", []string{url, "X", "--until", "2h"}, 2, "--until"},
		{"a flag without its value", []string{url, "X", "--for"}, 2, "--for needs a value"},
		{"a time that is none", []string{url, "X", "--for", "soon"}, 2, "soon"},
		{"a time in the past", []string{url, "X", "--anyway", "--for=-1h"}, 2, "not positive"},
		{"a label that is none", []string{url, "X", "--label", "kind"}, 2, "NAME=VALUE"},
		{"an alert that does not fire", []string{url, "X"}, 2, "Firing: none"},
		{"the end of no silence", []string{url, "--end", "nothing"}, 2, "nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if r := run(t, nil, append([]string{"ack"}, test.args...)...); r.code != test.code || !strings.Contains(r.stderr, test.says) {
				t.Errorf("%+v; want exit %d and %q", r, test.code, test.says)
			}
		})
	}
	if r := run(t, nil, "ack", url, "X", "--anyway"); r.code != 0 {
		t.Errorf("--anyway: %+v", r)
	}
}

func TestAckLogsIn(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	at := "--alertmanager-url=" + startAlertmanager(t, "--web.config.file="+file("web.yml", passwordSecret))
	right, wrong := file("right", "admin:secret\n"), file("wrong", "admin:older\n")
	if r := run(t, nil, "ack", at, "--alertmanager-auth-file", right, "X", "--anyway"); r.code != 0 {
		t.Errorf("with the password: %+v", r)
	}
	if r := run(t, []string{"DATAWRITER_ALERTMANAGER_AUTH_FILE=" + right}, "ack", at); r.code != 0 {
		t.Errorf("with the variable: %+v", r)
	}
	for name, args := range map[string][]string{"no login": {at}, "another login": {at, "--alertmanager-auth-file", wrong}, "no such file": {at, "--alertmanager-auth-file", folder + "/none"}} {
		r := run(t, nil, append([]string{"ack"}, args...)...)
		if r.code != 2 || !strings.Contains(r.stderr, "auth-file") && !strings.Contains(r.stderr, "none") {
			t.Errorf("%s: %+v; want exit 2 and the way out", name, r)
		}
		if strings.Contains(r.stderr+r.stdout, "older") {
			t.Errorf("%s: the password is repeated: %+v", name, r)
		}
	}
}
