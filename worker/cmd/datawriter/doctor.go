package main

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"datawriter/worker/doctor"
	"datawriter/worker/ingest"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "look at everything that must work, and say what does not and how to mend it",
		Description: `Looks at Redis (reachable, version, policy, memory, persistence, clock, streams and
groups), the data folder (writable, hard links, free space and days left), Prefect
(reachable, a run to come), the last window, the exporter, Jetstream and recorded gaps.
Each line is ok, a warning or a failure with what to do. It changes nothing.

Exit codes: 0 nothing fails (warnings included) · 2 usage · 4 something fails.

Examples:
   datawriter doctor --data /data
   datawriter doctor --json | jq '.findings[] | select(.status != "ok")'
   datawriter doctor --prefect-url '' --host ''          # neither Prefect nor Jetstream is used`,
		Flags: flags([]cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print a JSON document instead of the table"},
			&cli.DurationFlag{Name: "timeout", Value: 5 * time.Second, Usage: "`TIME` that each look may take"},
			&cli.StringFlag{Name: "prefect-url", Category: prefectCategory, EnvVars: append(env("prefect-url"), "PREFECT_API_URL"), Value: "http://127.0.0.1:4200/api", Usage: "`URL` of the Prefect API; empty for none"},
			&cli.StringFlag{Name: "prefect-auth-file", Category: prefectCategory, EnvVars: env("prefect-auth-file"), Usage: "`FILE` that holds USER:PASSWORD or an API key"},
			&cli.StringFlag{Name: "exporter-url", EnvVars: env("exporter-url"), Value: "http://127.0.0.1:9402/readyz", Usage: "`URL` of the exporter; empty for none"},
			&cli.StringSliceFlag{Name: "host", Category: sourceCategory, EnvVars: env("host"), Value: cli.NewStringSlice(ingest.DefaultHosts...), Usage: "`ADDRESS` of a Jetstream server; empty for none"},
			&cli.StringFlag{Name: "data", Category: filesCategory, EnvVars: env("data"), Value: "./data", Usage: "`FOLDER` of the archive"},
			stateFlag(),
		}, connectionFlags()),
		Action: doctorAction,
	}
}

func doctorAction(c *cli.Context) error {
	client, err := openStream(c)
	if err != nil {
		return err
	}
	defer client.Close()
	auth, err := readSecret(c.String("prefect-auth-file"))
	if err != nil {
		return err
	}
	cfg := doctor.Config{
		Redis: client, Data: strings.TrimPrefix(c.String("data"), "file://"), State: stateDir(c), PrefectURL: c.String("prefect-url"), PrefectAuth: auth,
		ExporterURL: c.String("exporter-url"), Timeout: c.Duration("timeout"),
	}
	for _, host := range c.StringSlice("host") {
		if host != "" {
			cfg.Hosts = append(cfg.Hosts, host)
		}
	}
	report := doctor.Examine(c.Context, cfg)
	if c.Bool("json") {
		encoder := json.NewEncoder(c.App.Writer)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = report.Write(c.App.Writer)
	}
	if err != nil {
		return err
	}
	if failed := report.Err(); failed != nil {
		return errors.Join(failed, errReported)
	}
	return nil
}
