package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func TestHealthAsksOnceAndTellsByItsExitCode(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case r.URL.Path == "/locked" && (user != "prometheus" || password != "secret"):
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/waiting":
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/hung":
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct {
		name string
		args []string
		code int
	}{
		{"an address that is ready", []string{server.URL + "/"}, exitOK},
		{"one that is not ready yet", []string{server.URL + "/waiting"}, exitUnavailable},
		{"one that asks for a password", []string{server.URL + "/locked"}, exitUnavailable},
		{"one that gets its password", []string{"--user", "prometheus", "--password-file", file, server.URL + "/locked"}, exitOK},
		{"one that never answers", []string{"--timeout", "100ms", server.URL + "/hung"}, exitUnavailable},
		{"one where nobody listens", []string{"http://127.0.0.1:1/"}, exitUnavailable},
		{"a password file that is not there", []string{"--user", "p", "--password-file", file + "x", server.URL}, exitUsage},
		{"no address", nil, exitUsage},
	} {
		if got := run(t, nil, append([]string{"health"}, of.args...)...); got.code != of.code {
			t.Errorf("%s: exit %d, want %d: %s", of.name, got.code, of.code, got.stderr)
		}
	}
}
