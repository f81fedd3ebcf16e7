package main

import (
	"encoding/json"
	"errors"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"datawriter/worker/validate"
)

func validateCommand() *cli.Command {
	command := &cli.Command{
		Name:  "validate",
		Usage: "try a running stack, or one brought up for the test, and say which checks it passes",
		Description: `Each step prints a table of checks, or one JSON document.

Exit codes: 0 every check passed · 2 usage, or the step cannot begin · 4 a check failed ·
130, 143 stopped by a signal.

Examples:
   datawriter validate monitoring --grafana-url http://admin:admin@127.0.0.1:3000
   datawriter validate monitoring --dashboards deployments/grafana/dashboards --output json
   datawriter validate alerts --faster 20 --keep ./rehearsal`,
		Action: func(c *cli.Context) error {
			return usage("validate needs one of the steps %s, not %q", strings.Join(stepNames(), ", "), c.Args().First())
		},
	}
	for _, step := range validate.Steps() {
		command.Subcommands = append(command.Subcommands, &cli.Command{
			Name: step.Name, Usage: step.Usage, Flags: stepFlags[step.Name],
			Action: func(c *cli.Context) error { return validateAction(c, step) },
			OnUsageError: func(_ *cli.Context, err error, _ bool) error {
				return usage("%w (see `datawriter validate %s --help`)", err, step.Name)
			},
		})
	}
	return command
}

func stepNames() (names []string) {
	for _, step := range validate.Steps() {
		names = append(names, step.Name)
	}
	return names
}

// stepFlags lists what each step can be told.
var stepFlags = map[string][]cli.Flag{
	"monitoring": flags([]cli.Flag{
		&cli.StringFlag{Name: "prometheus-url", Value: "http://127.0.0.1:9090", Usage: "`URL` of Prometheus"},
		&cli.StringFlag{Name: "alertmanager-url", Value: "http://127.0.0.1:9093", Usage: "`URL` of Alertmanager; empty skips it"},
		&cli.StringFlag{Name: "exporter-url", Value: "http://127.0.0.1:9402", Usage: "`URL` of the datawriter exporter; empty skips it"},
		&cli.StringFlag{Name: "grafana-url", Usage: "`URL` of Grafana, with USER:PASSWORD@ where it asks for them"},
		&cli.StringFlag{Name: "dashboards", Usage: "`FOLDER` of dashboards, where there is no Grafana to ask"},
	}, validateFlags()),
	"prefect": flags([]cli.Flag{
		&cli.StringFlag{Name: "prefect-url", Value: "http://127.0.0.1:4200/api", Usage: "`URL` of the Prefect API"},
		&cli.StringFlag{Name: "prefect-auth-file", Usage: "`FILE` that holds USER:PASSWORD or an API key"},
		&cli.StringFlag{Name: "prometheus-url", Usage: "`URL` of Prometheus; empty skips it"},
	}, validateFlags()),
	"alerts": flags([]cli.Flag{
		&cli.IntFlag{Name: "faster", Value: 10, Usage: "`N` times faster than in production the rehearsal's time runs; scrapes may then take 5s/N, which a busy machine needs"},
		&cli.StringFlag{Name: "redis-server", Usage: "`PROGRAM` of Redis or Valkey (default: the one on the PATH)"},
		&cli.StringFlag{Name: "keep", Usage: "empty `FOLDER` in which to leave logs, configuration and the messages"},
	}, validateFlags()),
}

func validateFlags() []cli.Flag {
	return flags([]cli.Flag{
		&cli.StringFlag{Name: "output", Value: "table", Usage: "`FORM` of the result: table or json"},
	}, plainLogFlags())
}

// plainLogFlags are the log flags without variables, which belong to the commands
// that run for long.
func plainLogFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "log-level", Category: logCategory, Value: "warn", Usage: "least `LEVEL` to log; info tells of each check as it ends"},
		&cli.StringFlag{Name: "log-format", Category: logCategory, Value: "auto", Usage: "`FORMAT`: json, console, or auto (console on a terminal)"},
	}
}

func validateAction(c *cli.Context, step validate.Step) error {
	if c.Args().Present() {
		return usage("validate %s takes flags only, not %q", step.Name, c.Args().First())
	}
	if o := c.String("output"); o != "table" && o != "json" {
		return usage("--output %q is neither table nor json", o)
	}
	log, err := newLogger(c)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	auth, err := readSecret(c.String("prefect-auth-file"))
	if err != nil {
		return err
	}
	cfg := validate.Config{
		Prefect: c.String("prefect-url"), PrefectAuth: auth,
		Prometheus: c.String("prometheus-url"), Alertmanager: c.String("alertmanager-url"), Exporter: c.String("exporter-url"),
		Grafana: c.String("grafana-url"), Dashboards: c.String("dashboards"),
		Faster: c.Int("faster"), RedisServer: c.String("redis-server"), Keep: c.String("keep"), Log: log,
	}
	if cfg.Keep != "" {
		if err := os.MkdirAll(cfg.Keep, 0o755); err != nil {
			return usage("--keep: %w", err)
		}
	}
	report, err := validate.Execute(c.Context, step, cfg)
	if errors.Is(err, validate.ErrUnready) {
		err = usage("%w", err)
	}
	return errors.Join(err, printChecks(c, report))
}

func printChecks(c *cli.Context, report validate.Report) error {
	if c.String("output") == "json" {
		encoder := json.NewEncoder(c.App.Writer)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(report)
	}
	return report.WriteTable(c.App.Writer)
}
