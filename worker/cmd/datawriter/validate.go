package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
	"go.uber.org/zap"
	"golang.org/x/term"

	"datawriter/worker/validate"
	"datawriter/worker/window"
)

func validateCommand() *cli.Command {
	command := &cli.Command{
		Name:      "validate",
		Usage:     "try Redis, the program or a running stack, and say which criteria they meet",
		ArgsUsage: "STEP… | all | list",
		Description: `Each step says what it will do and how long it takes, shows how far it is, prints a
table of criteria (measured, target, and what the first validation of August 2025
measured), and cleans up behind it, also after Ctrl-C. With --report it leaves a page
with plots, a Markdown and a JSON file. Further steps may follow the first.

Exit codes: 0 every check passed · 2 usage, or the step cannot begin · 4 a check failed ·
130, 143 stopped by a signal.

Examples:
   datawriter validate list
   datawriter validate capacity pressure --report ./reports
   datawriter validate all --quick
   datawriter validate baseline --redis-url redis://10.0.0.5:6379
   datawriter validate capacity --redis-option "maxmemory 1gb"
   datawriter validate monitoring --grafana-url http://admin:admin@127.0.0.1:3000
   datawriter validate alerts --faster 20 --keep ./rehearsal`,
		Action: func(c *cli.Context) error {
			return usage("validate needs all, list, or some of the steps %s, not %q", strings.Join(stepNames(), ", "), c.Args().First())
		},
	}
	for _, step := range validate.Steps() {
		command.Subcommands = append(command.Subcommands, stepCommand(step))
	}
	command.Subcommands = append(command.Subcommands, allCommand(), listCommand(), compareCommand(), renderCommand())
	return command
}

func stepCommand(step validate.Step) *cli.Command {
	return &cli.Command{
		Name: step.Name, Usage: step.Usage, Description: step.About, Flags: flags(stepFlags[step.Name], validateFlags("")), ArgsUsage: "[STEP…]",
		Action: func(c *cli.Context) error {
			steps, err := further(c.Args().Slice())
			if err != nil {
				return err
			}
			return validateAction(c, append([]validate.Step{step}, steps...), false)
		},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return usage("%w (see `datawriter validate %s --help`)", err, step.Name)
		},
	}
}

// further finds the steps that follow the first.
func further(names []string) (steps []validate.Step, err error) {
	for _, name := range names {
		step, ok := validate.Find(name)
		if !ok {
			return nil, usage("%q is none of the steps %s; flags stand before further steps", name, strings.Join(stepNames(), ", "))
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func allCommand() *cli.Command {
	return &cli.Command{
		Name: "all", Usage: "every step, in order; those about a running stack only when they are told where it is",
		Flags: flags(allFlags(), validateFlags("./reports")),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage("validate all takes flags only, not %q", c.Args().First())
			}
			return validateAction(c, validate.Steps(), true)
		},
	}
}

func listCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "the steps, what they do and how long they take",
		Action: func(c *cli.Context) error {
			table := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "step\ttakes\t--quick\twhat")
			for _, s := range validate.Steps() {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.Name, about(s.Takes), about(s.Quick), s.Usage)
			}
			return table.Flush()
		},
	}
}

func compareCommand() *cli.Command {
	return &cli.Command{
		Name: "compare", Usage: "what changed between two reports", ArgsUsage: "A B",
		Description: "A and B are folders of reports, or their report.json. Exit code 4: a check that passed in A fails in B.",
		Action: func(c *cli.Context) error {
			if c.NArg() != 2 {
				return usage("validate compare needs two reports, like reports/20261125T100000Z reports/20261126T100000Z")
			}
			a, err := validate.Read(c.Args().Get(0))
			if err != nil {
				return usage("%w", err)
			}
			b, err := validate.Read(c.Args().Get(1))
			if err != nil {
				return usage("%w", err)
			}
			changes := validate.Compare(a, b)
			for _, change := range changes {
				if change.Worse() {
					err = fmt.Errorf("%w: %s: %s passed in A and fails in B", validate.ErrFailed, change.Step, change.Name)
				}
			}
			return errors.Join(err, validate.WriteChanges(c.App.Writer, changes))
		},
	}
}

func renderCommand() *cli.Command {
	return &cli.Command{
		Name: "render", Usage: "one report of steps that ran one by one", ArgsUsage: "JSON…",
		Description: "Reads reports, or what `validate STEP --output json` printed, and writes one report of all their steps.",
		Flags:       []cli.Flag{&cli.StringFlag{Name: "report", Value: "./reports", Usage: "`FOLDER` to write report.html, report.md and report.json to"}},
		Action: func(c *cli.Context) error {
			var all []validate.Result
			for _, place := range c.Args().Slice() {
				result, err := validate.Read(place)
				if err != nil {
					return usage("%w", err)
				}
				all = append(all, result)
			}
			if len(all) == 0 {
				return usage("validate render needs files, like capacity.json throughput.json; flags stand before them")
			}
			return validate.Join(version, all).Write(c.String("report"))
		},
	}
}

// about writes a duration as people say it.
func about(d time.Duration) string {
	switch {
	case d == 0:
		return "a moment"
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f min", d.Minutes())
}

func stepNames() (names []string) {
	for _, step := range validate.Steps() {
		names = append(names, step.Name)
	}
	return names
}

// ownRedisFlags belong to the steps that start a Redis of their own.
func ownRedisFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "redis-server", Category: redisCategory, Usage: "`PROGRAM` of Redis or Valkey (default: the one on the PATH)"},
		&cli.StringFlag{Name: "redis-conf", Category: redisCategory, Usage: "configuration `FILE` to try (default: the shipped redis.conf)"},
		&cli.StringSliceFlag{Name: "redis-option", Category: redisCategory, Usage: "`\"NAME VALUE\"` beyond the file, like \"maxmemory 1gb\"; repeatable"},
	}
}

// givenRedisFlags belong to the steps that can also try a Redis that runs.
func givenRedisFlags() []cli.Flag {
	return flags([]cli.Flag{
		&cli.StringFlag{Name: "redis-url", Category: redisCategory, Usage: "`URL` of a Redis to try (default: one of its own)"},
		&cli.StringFlag{Name: "redis-url-file", Category: redisCategory, Usage: "`FILE` that holds the URL"},
		&cli.StringFlag{Name: "redis-password-file", Category: redisCategory, Usage: "`FILE` that holds its password"},
		&cli.StringFlag{Name: "redis-ca-file", Category: redisCategory, Usage: "PEM `FILE` of the authority that signed its certificate"},
		&cli.StringFlag{Name: "redis-cert-file", Category: redisCategory, Usage: "PEM `FILE` of the certificate to show to it"},
		&cli.StringFlag{Name: "redis-key-file", Category: redisCategory, Usage: "PEM `FILE` of that certificate's private key"},
	}, ownRedisFlags())
}

// stackFlags belong to the steps that bring up a whole stack.
func stackFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "root", Value: ".", Usage: "`FOLDER` of the repository, whose local stack is brought up"},
		&cli.StringFlag{Name: "program", Usage: "`PATH` of the datawriter to try (default: this one)"},
		&cli.StringFlag{Name: "window", Usage: "`LENGTH` of the windows and the schedule (default: the step's own)"},
		&cli.IntFlag{Name: "windows", Usage: "`N` windows of traffic (default: the step's own)"},
		&cli.Float64Flag{Name: "rate", Usage: "`N` events a second (default: the step's own)"},
		&cli.StringFlag{Name: "from", Usage: "recording.json `FILE` of an earlier run, to judge it again instead of running"},
		&cli.StringFlag{Name: "redis-server", Category: redisCategory, Usage: "`PROGRAM` of Redis or Valkey (default: the one on the PATH)"},
	}
}

// stepFlags lists what each step can be told.
var stepFlags = map[string][]cli.Flag{
	"baseline":    givenRedisFlags(),
	"capacity":    ownRedisFlags(),
	"pressure":    ownRedisFlags(),
	"persistence": ownRedisFlags(),
	"throughput":  givenRedisFlags(),
	"monitoring": {
		&cli.StringFlag{Name: "prometheus-url", Value: "http://127.0.0.1:9090", Usage: "`URL` of Prometheus"},
		&cli.StringFlag{Name: "alertmanager-url", Value: "http://127.0.0.1:9093", Usage: "`URL` of Alertmanager; empty skips it"},
		&cli.StringFlag{Name: "alertmanager-auth-file", EnvVars: env("alertmanager-auth-file"), Usage: "`FILE` that holds USER:PASSWORD"},
		&cli.StringFlag{Name: "exporter-url", Value: "http://127.0.0.1:9402", Usage: "`URL` of the datawriter exporter; empty skips it"},
		&cli.StringFlag{Name: "grafana-url", Usage: "`URL` of Grafana, with USER:PASSWORD@ where it asks for them"},
		&cli.StringFlag{Name: "dashboards", Usage: "`FOLDER` of dashboards, where there is no Grafana to ask"},
	},
	"prefect": {
		&cli.StringFlag{Name: "prefect-url", Value: "http://127.0.0.1:4200/api", Usage: "`URL` of the Prefect API"},
		&cli.StringFlag{Name: "prefect-auth-file", EnvVars: env("prefect-auth-file"), Usage: "`FILE` that holds USER:PASSWORD or an API key"},
		&cli.StringFlag{Name: "prometheus-url", Usage: "`URL` of Prometheus; empty skips it"},
	},
	"schedule": stackFlags(),
	"load":     stackFlags(),
	"soak":     stackFlags(),
	"alerts": {
		&cli.IntFlag{Name: "faster", Value: 10, Usage: "`N` times faster than in production the rehearsal's time runs; scrapes may then take 5s/N, which a busy machine needs"},
		&cli.StringFlag{Name: "redis-server", Category: redisCategory, Usage: "`PROGRAM` of Redis or Valkey (default: the one on the PATH)"},
	},
}

// allFlags are those of every step; where a running stack is, or the repository
// with a local one, has no default here.
func allFlags() (all []cli.Flag) {
	seen := make(map[string]bool)
	for _, step := range validate.Steps() {
		for _, f := range stepFlags[step.Name] {
			if text, ok := f.(*cli.StringFlag); ok && (strings.HasSuffix(text.Name, "-url") || text.Name == "root") {
				bare := *text
				bare.Value = ""
				f = &bare
			}
			if !seen[f.Names()[0]] {
				all = append(all, f)
			}
			seen[f.Names()[0]] = true
		}
	}
	return all
}

func validateFlags(reports string) []cli.Flag {
	return flags([]cli.Flag{
		&cli.BoolFlag{Name: "quick", Usage: "a few seconds' version of each step, which shows that it works and measures little"},
		&cli.StringFlag{Name: "output", Value: "table", Usage: "`FORM` of the result: table or json"},
		&cli.StringFlag{Name: "report", Value: reports, Usage: "`FOLDER` below which report.html, report.md and report.json are left, in one named after the time; empty leaves none"},
		&cli.StringFlag{Name: "keep", Usage: "empty `FOLDER` in which to leave files, logs and messages of what was started"},
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

// validateAction runs steps. With skipUnready a step that cannot begin is noted
// and left out, instead of ending the programme.
func validateAction(c *cli.Context, steps []validate.Step, skipUnready bool) error {
	if o := c.String("output"); o != "table" && o != "json" {
		return usage("--output %q is neither table nor json", o)
	}
	log, err := newLogger(c)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	cfg, err := validateConfig(c, log)
	if err != nil {
		return err
	}
	programme := validate.Programme{Config: cfg, Steps: steps, SkipUnready: skipUnready, Version: version, Reports: c.String("report")}
	if c.String("output") == "table" {
		programme.Out = c.App.Writer
	}
	result, err := programme.Run(c.Context)
	if errors.Is(err, validate.ErrUnready) || errors.Is(err, validate.ErrForeign) {
		err = usage("%w", err)
	}
	if c.String("output") == "json" {
		err = errors.Join(err, printResult(c, result))
	}
	return err
}

func validateConfig(c *cli.Context, log *zap.Logger) (cfg validate.Config, err error) {
	cfg = validate.Config{
		Prefect: c.String("prefect-url"), Quick: c.Bool("quick"),
		Prometheus: c.String("prometheus-url"), Exporter: c.String("exporter-url"),
		Grafana: c.String("grafana-url"), Dashboards: c.String("dashboards"),
		RedisServer: c.String("redis-server"), RedisConf: c.String("redis-conf"), RedisOption: c.StringSlice("redis-option"),
		Root: c.String("root"), Program: c.String("program"), Windows: c.Int("windows"), Rate: c.Float64("rate"), From: c.String("from"),
		Faster: c.Int("faster"), Keep: c.String("keep"), Log: log,
	}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		cfg.Progress = c.App.ErrWriter
	}
	if text := c.String("window"); text != "" {
		if cfg.Window, err = window.ParseLength(text); err != nil {
			return cfg, usage("--window: %w", err)
		}
	}
	if cfg.PrefectAuth, err = readSecret(c.String("prefect-auth-file")); err != nil {
		return cfg, err
	}
	if cfg.Alertmanager, err = alertmanager(c); err != nil {
		return cfg, err
	}
	if cfg.RedisAccess, err = redisAccess(c); err != nil {
		return cfg, err
	}
	cfg.Redis = cfg.RedisAccess.URL
	if cfg.Keep != "" {
		if err := os.MkdirAll(cfg.Keep, 0o755); err != nil {
			return cfg, usage("--keep: %w", err)
		}
	}
	return cfg, nil
}

// printResult prints one report, or all of them, as one document.
func printResult(c *cli.Context, result validate.Result) error {
	encoder := json.NewEncoder(c.App.Writer)
	encoder.SetEscapeHTML(false)
	if len(result.Reports) == 1 {
		return encoder.Encode(result.Reports[0])
	}
	return encoder.Encode(result)
}
