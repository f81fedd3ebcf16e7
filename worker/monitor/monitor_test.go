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
}

func TestErrorsKeepSecrets(t *testing.T) {
	url := server(t, http.StatusForbidden, "no")
	for _, err := range []error{
		monitor.Post(t.Context(), url+"/services/SECRET", struct{}{}),
		monitor.Post(t.Context(), "http://127.0.0.1:1/SECRET", struct{}{}),
		monitor.Post(t.Context(), "http://[SECRET", struct{}{}),
		monitor.Alertmanager(strings.Replace(url, "http://", "http://user:SECRET@", 1)).Ready(t.Context()),
	} {
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("got %v", err)
		}
	}
}
