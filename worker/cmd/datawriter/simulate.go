package main

import (
	"errors"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"datawriter/worker/simulate"
	"datawriter/worker/window"
)

const trafficCategory = "Traffic:"

func simulateCommand() *cli.Command {
	return &cli.Command{
		Name:  "simulate",
		Usage: "add made-up or recorded events to the streams",
		Description: `Adds events like Bluesky's to the five streams, until --count, --duration or the end of
--replay, or until it is stopped. It slows down when Redis is 75 % full, stops at 85 %,
and goes on when there is room; what Redis refused is sent again. Entries whose reply
was lost with the connection are sent again too, and may then be there twice; with
--window they are looked up first, and are not.

Standard output carries one JSON document, standard error the log.

Exit codes: 0 done · 2 usage, configuration or a window that is closed · 75 Redis away
for longer than --give-up · 130, 143 stopped by a signal; the document comes all the same.

Examples:
   datawriter simulate --rate 348 --duration 10m          # the network's average
   datawriter simulate --count 450000                     # as fast as Redis takes them
   datawriter simulate --window 2026-11-23T10:05:00Z/5m --count 104400 --malformed 0.001
   datawriter simulate --replay recorded.jsonl --rate 100
   zcat recorded.jsonl.gz | datawriter simulate --replay -`,
		Flags:  flags(trafficFlags(), connectionFlags(), logFlags()),
		Action: simulateAction,
	}
}

func trafficFlags() []cli.Flag {
	return []cli.Flag{
		&cli.Float64Flag{Name: "rate", Category: trafficCategory, EnvVars: env("rate"), Usage: "`N` events per second; 0 is as fast as Redis takes them"},
		&cli.DurationFlag{Name: "duration", Category: trafficCategory, EnvVars: env("duration"), Usage: "`TIME` after which to end; 0 is no limit"},
		&cli.Int64Flag{Name: "count", Category: trafficCategory, EnvVars: env("count"), Usage: "`N` events after which to end; 0 is no limit"},
		&cli.StringFlag{Name: "window", Category: trafficCategory, Usage: "fill this past `WINDOW` (START/LENGTH) with explicit IDs: --count of them, or --rate times its length"},
		&cli.StringFlag{Name: "replay", Category: trafficCategory, Usage: "send the recorded events of this `FILE`, one a line, as they are; - is standard input"},
		&cli.Uint64Flag{Name: "seed", Category: trafficCategory, EnvVars: env("seed"), Value: 1, Usage: "`NUMBER` that decides all that is made up"},
		&cli.IntFlag{Name: "authors", Category: trafficCategory, EnvVars: env("authors"), Value: simulate.DefaultAuthors, Usage: "`N` people, some busier than others"},
		&cli.Float64Flag{Name: "malformed", Category: trafficCategory, EnvVars: env("malformed"), Usage: "`SHARE` of entries that must be rejected, 0 to 1"},
		&cli.BoolFlag{Name: "seq", Category: trafficCategory, EnvVars: env("seq"), Usage: "add a second field, seq, that counts each stream's entries from 1"},
		&cli.DurationFlag{Name: "give-up", Category: trafficCategory, EnvVars: env("give-up"), Usage: "`TIME` without any success after which to fail; 0 never gives up"},
		&cli.BoolFlag{Name: "ignore-memory", Category: trafficCategory, EnvVars: env("ignore-memory"), Usage: "do not slow down when Redis is nearly full"},
		&cli.StringFlag{Name: "output", EnvVars: env("output"), Value: "-", Usage: "`FILE` for the JSON document, - for standard output"},
	}
}

// simulateDocument is what standard output carries.
type simulateDocument struct {
	Version string `json:"version"`
	Error   string `json:"error,omitempty"`
	simulate.Result
}

func simulateAction(c *cli.Context) error {
	options, closer, err := simulateOptions(c)
	if err != nil {
		return err
	}
	defer closer()
	client, err := openStream(c)
	if err != nil {
		return err
	}
	defer client.Close()
	result, err := simulate.Run(c.Context, client, options)
	if errors.Is(err, simulate.ErrUsage) {
		return usage("%w", err)
	}
	if n := result.Skipped["not_an_event"]; err == nil && n > 0 && result.Added == 0 && len(result.Skipped) == 1 {
		err = usage("--replay %s: none of its lines is an event: give a file of Jetstream JSON, one event a line", c.String("replay"))
	}
	doc := simulateDocument{Version: version, Result: result}
	if err != nil {
		doc.Error = err.Error()
	}
	if errors.Is(err, simulate.ErrClosed) {
		err = usage("%w", err)
	}
	return errors.Join(err, writeDocument(c, doc))
}

// simulateOptions reads the flags; closer ends what they opened.
func simulateOptions(c *cli.Context) (o simulate.Options, closer func(), err error) {
	log, err := newLogger(c)
	if err != nil {
		return o, nil, err
	}
	o = simulate.Options{
		Traits: simulate.Traits{Seed: c.Uint64("seed"), Authors: c.Int("authors"), Malformed: c.Float64("malformed")},
		Count:  c.Int64("count"), Rate: c.Float64("rate"), Duration: c.Duration("duration"),
		Sequence: c.Bool("seq"), GiveUp: c.Duration("give-up"), IgnoreMemory: c.Bool("ignore-memory"), Log: log,
	}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		o.Bar = c.App.ErrWriter
	}
	if text := c.String("window"); text != "" {
		if o.Window, err = window.Parse(text); err != nil {
			return o, nil, usage("--window: %w", err)
		}
	}
	closer = func() { _ = log.Sync() }
	switch name := c.String("replay"); name {
	case "":
	case "-":
		o.Replay = c.App.Reader
	default:
		file, err := os.Open(name)
		if err != nil {
			return o, nil, usage("--replay: %w", err)
		}
		o.Replay, closer = file, func() { _ = file.Close(); _ = log.Sync() }
	}
	return o, closer, nil
}
