package monitor_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"datawriter/worker/monitor"
)

// server answers everything with one status and one text.
func server(t *testing.T, status int, text string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestQueryReadsWhatPrometheusAnswers(t *testing.T) {
	tests := []struct {
		name string
		text string
		want []monitor.Sample
		bad  bool
	}{
		{"a vector", `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"a"},"value":[1795428300,"1.5"]}]}}`,
			[]monitor.Sample{{Labels: map[string]string{"job": "a"}, Value: 1.5}}, false},
		{"nothing", `{"data":{"resultType":"vector","result":[]}}`, []monitor.Sample{}, false},
		{"a number", `{"data":{"resultType":"scalar","result":[1795428300,"7"]}}`, []monitor.Sample{{Labels: map[string]string{}, Value: 7}}, false},
		{"a series without a value", `{"data":{"resultType":"vector","result":[{"metric":{}}]}}`, nil, true},
		{"a value that is none", `{"data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}`, nil, true},
		{"another document", `{"data":7}`, nil, true},
		{"no document", `<html>`, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := monitor.Prometheus(server(t, http.StatusOK, test.text)).Query(t.Context(), "x", time.Time{})
			if (err != nil) != test.bad || !test.bad && !reflect.DeepEqual(got, test.want) {
				t.Errorf("%v, %v; want %v", got, err, test.want)
			}
		})
	}
}

func TestErrorsSayWhetherToTryAgain(t *testing.T) {
	for status, want := range map[int]error{
		http.StatusBadRequest: monitor.ErrRefused, http.StatusUnauthorized: monitor.ErrRefused, http.StatusNotFound: monitor.ErrRefused,
		http.StatusTooManyRequests: monitor.ErrUnavailable, http.StatusInternalServerError: monitor.ErrUnavailable, http.StatusServiceUnavailable: monitor.ErrUnavailable,
	} {
		if _, err := monitor.Get(t.Context(), server(t, status, "why")); !errors.Is(err, want) || !strings.Contains(err.Error(), "why") {
			t.Errorf("%d: %v, want %v", status, err, want)
		}
	}
	if _, err := monitor.Get(t.Context(), "http://127.0.0.1:1/x"); !errors.Is(err, monitor.ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
	plain := server(t, http.StatusOK, "{}")
	for name, address := range map[string]string{
		"no scheme": "127.0.0.1:9090", "another scheme": "redis://127.0.0.1:6379", "TLS to a port without it": strings.Replace(plain, "http", "https", 1), "a path alone": "/x",
	} {
		if _, err := monitor.Get(t.Context(), address); !errors.Is(err, monitor.ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", name, err)
		}
	}
}

func TestErrorsKeepSecrets(t *testing.T) {
	url := server(t, http.StatusForbidden, "no")
	for _, err := range []error{
		monitor.Post(t.Context(), url+"/services/SECRET", struct{}{}),
		monitor.Post(t.Context(), "http://127.0.0.1:1/SECRET", struct{}{}),
		monitor.Post(t.Context(), "http://[SECRET", struct{}{}),
		monitor.Alertmanager(withLogin(t, url, "user:SECRET")).Ready(t.Context()),
		monitor.Alertmanager(withLogin(t, server(t, http.StatusUnauthorized, "no"), "user:SECRET")).Ready(t.Context()),
		errors.New(monitor.Alertmanager(withLogin(t, url, "user:SECRET")).String()),
	} {
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := monitor.WithLogin("http://[SECRET", "user:SECRET"); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("an address that is none: %v", err)
	}
}

func withLogin(t *testing.T, address, login string) string {
	t.Helper()
	with, err := monitor.WithLogin(address, login)
	if err != nil {
		t.Fatal(err)
	}
	return with
}

func TestALoginGoesWithEveryQuestion(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "admin" || password != "a:b/c@d%" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte("[]"))
	}))
	t.Cleanup(s.Close)
	if _, err := monitor.Alertmanager(withLogin(t, s.URL, "admin:a:b/c@d%")).Alerts(t.Context()); err != nil {
		t.Error(err)
	}
	for _, login := range []string{"", "admin:", "admin:other"} {
		_, err := monitor.Alertmanager(withLogin(t, s.URL, login)).Alerts(t.Context())
		if !errors.Is(err, monitor.ErrLogin) || !errors.Is(err, monitor.ErrRefused) {
			t.Errorf("with %q: %v", login, err)
		}
	}
	if with := withLogin(t, "", "admin:x"); with != "" {
		t.Errorf("no address became %q", with)
	}
}
