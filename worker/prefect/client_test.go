package prefect_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"datawriter/worker/prefect"
)

const login = "admin:secret"

// server answers as Prefect 3.8.8 does with a password: 401 without the login,
// and, where it protects against forged requests, 403 for a POST without the
// token that it gave to that client.
type server struct {
	protected bool
	tokens    map[string]string
	given     int // tokens so far
	login     string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, text string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"detail":%q}`, text)
	}
	if s.protected && r.Method == http.MethodPost { // it looks at the token before the login
		client, token := r.Header.Get("Prefect-Csrf-Client"), r.Header.Get("Prefect-Csrf-Token")
		switch {
		case token == "":
			refuse(http.StatusForbidden, "Missing CSRF token.")
			return
		case s.tokens[client] != token:
			refuse(http.StatusForbidden, "Invalid CSRF token or client identifier.")
			return
		}
	}
	if s.login != "" && r.Header.Get("Authorization") != s.login {
		refuse(http.StatusUnauthorized, "Unauthorized")
		return
	}
	switch r.URL.Path {
	case "/api/csrf-token":
		s.given++
		s.tokens[r.URL.Query().Get("client")] = fmt.Sprint("token", s.given)
		_ = json.NewEncoder(w).Encode(map[string]string{"token": fmt.Sprint("token", s.given)})
	case "/api/flow_runs/filter":
		_ = json.NewEncoder(w).Encode([]string{"a run"})
	case "/api/health":
		fmt.Fprint(w, "true")
	case "/api/busy":
		refuse(http.StatusServiceUnavailable, "Service Unavailable")
	case "/api/forbidden":
		refuse(http.StatusForbidden, "not yours")
	default:
		fmt.Fprint(w, "<html>")
	}
}

func start(t *testing.T, s *server) string {
	t.Helper()
	s.tokens = make(map[string]string)
	listening := httptest.NewServer(s)
	t.Cleanup(listening.Close)
	return listening.URL + "/api"
}

const basic = "Basic YWRtaW46c2VjcmV0" // admin:secret

func TestAsking(t *testing.T) {
	for _, c := range []struct {
		name   string
		server server
		auth   string
		path   string
		want   string // in the error; empty for an answer
	}{
		{"no password, no protection", server{}, "", "/flow_runs/filter", ""},
		{"a password", server{login: basic}, login, "/flow_runs/filter", ""},
		{"a password and protection", server{login: basic, protected: true}, login, "/flow_runs/filter", ""},
		{"protection alone", server{protected: true}, "", "/flow_runs/filter", ""},
		{"an API key", server{login: "Bearer key", protected: true}, "key", "/flow_runs/filter", ""},
		{"no login where one is wanted", server{login: basic}, "", "/flow_runs/filter", "401"},
		{"no login where one is wanted, with protection", server{login: basic, protected: true}, "", "/flow_runs/filter", "401"},
		{"another password", server{login: basic, protected: true}, "admin:older", "/flow_runs/filter", "--prefect-auth-file"},
		{"a server that is busy", server{}, "", "/busy", "503 Service Unavailable"},
		{"a refusal that no token mends", server{}, "", "/forbidden", "not yours"},
		{"something that is no Prefect", server{}, "", "/page", "not what Prefect 3 gives"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var answer []string
			err := prefect.New(start(t, &c.server)+"/", c.auth).Ask(t.Context(), http.MethodPost, c.path, map[string]any{}, &answer)
			if c.want == "" {
				if err != nil || len(answer) != 1 {
					t.Errorf("%v, %v", answer, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("got %v, want %q and the path in it", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "older")) {
				t.Errorf("the error repeats the password: %v", err)
			}
			if errors.Is(err, prefect.ErrLogin) != (c.server.login != "") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestATokenIsKeptUntilItExpires(t *testing.T) {
	s := &server{login: basic, protected: true}
	client := prefect.New(start(t, s), login)
	ask := func() {
		t.Helper()
		var answer []string
		if err := client.Ask(t.Context(), http.MethodPost, "/flow_runs/filter", nil, &answer); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	ask()
	if s.given != 1 {
		t.Errorf("%d tokens for two questions", s.given)
	}
	clear(s.tokens) // an hour later, or with another database
	ask()
	if s.given != 2 {
		t.Errorf("%d tokens, want a second one after the first expired", s.given)
	}
	var healthy bool
	if err := client.Ask(t.Context(), http.MethodGet, "/health", nil, &healthy); err != nil || !healthy {
		t.Errorf("%v, %v", healthy, err)
	}
}
