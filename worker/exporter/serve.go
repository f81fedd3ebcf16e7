package exporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"
)

// shutdownTime is how long open requests may take when the exporter is stopped.
const shutdownTime = 3 * time.Second

// serve answers on the listener until ctx ends. webConfig is a file of
// exporter-toolkit that asks for TLS or passwords; empty is plain HTTP.
func serve(ctx context.Context, listener net.Listener, webConfig string, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	stopped := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		_ = server.Shutdown(limited)
	})
	defer stopped()
	none := false
	flags := &web.FlagConfig{WebSystemdSocket: &none, WebConfigFile: &webConfig}
	err := web.Serve(listener, server, flags, slog.New(slog.DiscardHandler))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve metrics: %w", err)
}

// routes are the paths that the exporter answers. ready names what is not read
// yet; an empty string is ready.
func routes(registry *prometheus.Registry, ready func() string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if waiting := ready(); waiting != "" {
			http.Error(w, waiting, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintln(w, `<h1>datawriter exporter</h1><p><a href="/metrics">metrics</a> · <a href="/healthz">healthz</a> · <a href="/readyz">readyz</a></p>`)
	})
	return mux
}

// CheckWebConfig returns an error if exporter-toolkit cannot read the file; an
// empty name is none.
func CheckWebConfig(name string) error { return web.Validate(name) }
