package main

import (
	"encoding/json"
	"errors"
	"os"

	"github.com/urfave/cli/v2"

	"datawriter/worker/account"
	"datawriter/worker/failure"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/verify"
	"datawriter/worker/window"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "hold the archive, and the streams beside it, against what was promised",
		Description: `Reads every page of every file and compares every entry with its window, its hash and
every other entry; looks for what is missing, what does not belong, and what the run
log says was published. With a Redis it also looks for entries that a drained window
has left behind. It changes nothing, and can run while drains are at work.

A Redis is asked when --redis-url or --redis-url-file, or one of their variables, is
given, or with --against-redis. Standard output carries a table or one JSON document,
with one line or element a violation.

Exit codes: 0 every promise is kept · 2 usage, or there is no archive · 4 a promise is
broken · 75 Redis away · 130, 143 stopped by a signal.

Examples:
   datawriter verify --data /data
   datawriter verify --data /data --window 2026-11-23T10:05:00Z/5m
   datawriter verify --data /data --window 2026-11-23T00:00:00Z/24h --output json
   datawriter verify --data /data --against-redis`,
		Flags: flags([]cli.Flag{
			&cli.StringFlag{Name: "window", Usage: "only windows that begin in this `RANGE`: START/END, START/LENGTH or START/24h"},
			&cli.BoolFlag{Name: "against-redis", Category: redisCategory, EnvVars: env("against-redis"), Usage: "compare with the streams too; with =false, do not"},
			&cli.StringFlag{Name: "output", Value: "table", Usage: "`FORM` of the report: table or json"},
			stateFlag(),
		}, connectionFlags(), dataFlags()),
		Action: verifyAction,
	}
}

func verifyAction(c *cli.Context) error {
	verifier, closer, err := newVerifier(c)
	if err != nil {
		return err
	}
	defer closer()
	report, err := verifier.Run(c.Context)
	return errors.Join(report.Err(), err, writeReport(c, report, err))
}

// newVerifier wires a verifier from the flags.
func newVerifier(c *cli.Context) (*verify.Verifier, func(), error) {
	cfg := verify.Config{Runs: runlog.Open(stateDir(c)), Book: account.OpenBook(stateDir(c))}
	var err error
	if text := c.String("window"); text != "" {
		if cfg.Range, err = window.ParseRange(text); err != nil {
			return nil, nil, usage("--window: %w", err)
		}
	}
	if o := c.String("output"); o != "table" && o != "json" {
		return nil, nil, usage("--output %q is neither table nor json", o)
	}
	if err := existing(c.String("data")); err != nil {
		return nil, nil, err
	}
	archive, layout, err := openSink(c)
	if err != nil {
		return nil, nil, err
	}
	cfg.Layout = layout
	closer := func() {}
	if asksRedis(c) {
		var client *stream.Client
		if client, err = openStream(c); err != nil {
			return nil, nil, err
		}
		cfg.Source, closer = client, func() { _ = client.Close() }
	}
	return verify.New(archive, cfg), closer, nil
}

// existing refuses a place that holds no archive: opening it as a sink would create
// it, or leave a folder in one that is something else, and an empty archive breaks no
// promise.
func existing(place string) error {
	folder, err := sink.FolderOf(place)
	if err != nil {
		return err
	}
	found, err := os.ReadDir(folder)
	if err != nil {
		return usage("--data: %w", failure.Explained(err))
	}
	for _, entry := range found {
		if sink.IsArchiveName(entry.Name()) {
			return nil
		}
	}
	return usage("--data %s: there is no archive in it: name the folder that holds _archive.json", folder)
}

// asksRedis reports whether a Redis was named, or asked for in so many words.
func asksRedis(c *cli.Context) bool {
	if c.IsSet("against-redis") {
		return c.Bool("against-redis")
	}
	return c.IsSet("redis-url") || c.IsSet("redis-url-file")
}

// verifyDocument is what standard output carries.
type verifyDocument struct {
	Version string `json:"version"`
	Status  string `json:"status"`          // "kept", "violated", or "incomplete" when it could not look at everything
	Error   string `json:"error,omitempty"` // why not
	verify.Report
}

func writeReport(c *cli.Context, report verify.Report, incomplete error) error {
	if c.String("output") == "table" {
		return report.WriteTable(c.App.Writer)
	}
	doc := verifyDocument{Version: version, Status: "kept", Report: report}
	if incomplete != nil {
		doc.Status, doc.Error = "incomplete", incomplete.Error()
	}
	if report.Err() != nil {
		doc.Status = "violated"
	}
	encoder := json.NewEncoder(c.App.Writer)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(doc)
}
