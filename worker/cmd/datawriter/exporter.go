package main

import (
	"net"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"
	"go.uber.org/zap"

	"datawriter/worker/account"
	"datawriter/worker/exporter"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

const prefectCategory = "Prefect:"

func exporterCommand() *cli.Command {
	return &cli.Command{
		Name:  "exporter",
		Usage: "serve metrics of runs, files, Redis and Prefect for Prometheus",
		Description: `Follows the run log, looks at Redis and asks the Prefect API, each in the background,
and answers /metrics with what they last said. A source that does not answer is
datawriter_source_up 0 and takes only its own metrics away. Counters begin with the
archive: a restart continues them from a checkpoint, or from the whole run log.

/healthz answers while the process lives, /readyz once every source was looked at.

Exit codes: 0 stopped by a signal · 2 usage or configuration.

Examples:
   datawriter exporter --data /data
   datawriter exporter --data /data --prefect-url http://127.0.0.1:4200/api --listen :9402
   datawriter exporter --list                       # every metric with its meaning`,
		Flags: flags([]cli.Flag{
			&cli.StringFlag{Name: "listen", EnvVars: env("listen"), Value: "127.0.0.1:9402", Usage: "`ADDRESS` to answer on; without a host it is every interface"},
			&cli.StringFlag{Name: "web-config-file", EnvVars: env("web-config-file"), Usage: "`FILE` that asks for TLS or passwords, as every Prometheus exporter reads it"},
			&cli.StringFlag{Name: "checkpoint", Category: filesCategory, EnvVars: env("checkpoint"), Usage: "`FILE` that lets counters survive a restart without reading everything again (default: exporter.json in --state-dir)"},
			&cli.StringFlag{Name: "window-length", EnvVars: env("window-length"), Value: "5m", Usage: "`LENGTH` of windows until there is an archive, which tells its own"},
			&cli.StringFlag{Name: "prefect-url", Category: prefectCategory, EnvVars: append(env("prefect-url"), "PREFECT_API_URL"), Value: "http://127.0.0.1:4200/api", Usage: "`URL` of the Prefect API; empty for none"},
			&cli.StringFlag{Name: "prefect-auth-file", Category: prefectCategory, EnvVars: env("prefect-auth-file"), Usage: "`FILE` that holds USER:PASSWORD or an API key"},
			&cli.BoolFlag{Name: "list", Usage: "print the table of metrics and end"},
			stateFlag(),
		}, connectionFlags(), dataFlags(), logFlags()),
		Action: exporterAction,
	}
}

func exporterAction(c *cli.Context) error {
	if c.Bool("list") {
		return exporter.WriteList(c.App.Writer)
	}
	log, err := newLogger(c)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	cfg, closer, err := exporterConfig(c)
	if err != nil {
		return err
	}
	defer closer()
	listener, err := (&net.ListenConfig{}).Listen(c.Context, "tcp", c.String("listen"))
	if err != nil {
		return usage("--listen: %w", err)
	}
	log.Info("serving metrics", zap.String("address", listener.Addr().String()))
	return exporter.New(cfg, log).Run(c.Context, listener)
}

func exporterConfig(c *cli.Context) (cfg exporter.Config, closer func(), err error) {
	cfg = exporter.Config{
		Runs: runlog.Open(stateDir(c)), Book: account.OpenBook(stateDir(c)), Checkpoint: c.String("checkpoint"),
		PrefectURL: c.String("prefect-url"), WebConfig: c.String("web-config-file"), Version: version,
	}
	if cfg.Checkpoint == "" {
		cfg.Checkpoint = filepath.Join(stateDir(c), "exporter.json")
	}
	if cfg.WindowLength, err = parseLength(c.String("window-length")); err != nil {
		return cfg, nil, err
	}
	if err := exporter.CheckWebConfig(cfg.WebConfig); err != nil {
		return cfg, nil, usage("--web-config-file: %w", err)
	}
	if cfg.PrefectAuth, err = readSecret(c.String("prefect-auth-file")); err != nil {
		return cfg, nil, err
	}
	if cfg.Archive, err = sink.OpenURL(c.String("data"), nil); err != nil {
		return cfg, nil, err
	}
	if cfg.Redis, err = openStream(c); err != nil {
		return cfg, nil, err
	}
	return cfg, func() { _ = cfg.Redis.Close() }, nil
}

func parseLength(text string) (time.Duration, error) {
	length, err := window.ParseLength(text)
	if err != nil {
		return 0, usage("--window-length: %w", err)
	}
	return length, nil
}
