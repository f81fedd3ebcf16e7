package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
)

func rescueCommand() *cli.Command {
	return &cli.Command{
		Name:      "rescue",
		Usage:     "repair a stream whose last ID lies in the future",
		ArgsUsage: "STREAM|KIND",
		Description: `One entry with an ID from the future makes Redis give every later one an ID behind it:
nothing that is added falls into a window that closes, or, behind the largest ID, nothing
can be added at all. This sets such entries aside and adds them again under the IDs of
now, in order. Entries with honest IDs keep theirs. Producers go on as soon as the stream
is exchanged, before anything is added again. It can be killed at any moment and run
again: no entry is lost or comes twice.

Stop the producer that gives IDs of its own first, or it happens again. Other consumer
groups are given again what is added again. It needs a user of Redis that may rename keys.

Exit codes: 0 rescued, or nothing is ahead of the clock · 2 usage or configuration · 3 a run
holds the stream · 4 an entry cannot be moved · 75 worth another try · 130, 143 stopped by
a signal.

Examples:
   datawriter rescue likes --dry-run
   datawriter rescue likes
   datawriter rescue 'bluesky:{likes}' --output json`,
		Flags: flags([]cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be done, and change nothing"},
			&cli.StringFlag{Name: "output", Value: "table", Usage: "`FORM` of the report: table or json"},
			&cli.DurationFlag{Name: "lease", EnvVars: env("lease"), Value: 10 * time.Second, Usage: "how long a killed rescue keeps runs from the stream"},
			stateFlag(),
		}, connectionFlags(), dataFlags(), logFlags()),
		Action: rescueAction,
	}
}

func rescueAction(c *cli.Context) error {
	if err := flagsBehind(c, "one STREAM or KIND"); err != nil {
		return err
	}
	if o := c.String("output"); o != "table" && o != "json" {
		return usage("--output %q is neither table nor json", o)
	}
	client, err := openStream(c)
	if err != nil {
		return err
	}
	defer client.Close()
	kind, err := kindOfStream(client, c.Args().First())
	if err != nil {
		return err
	}
	drainer, err := newRescuer(c, client)
	if err != nil {
		return err
	}
	report, err := drainer.Rescue(c.Context, kind, c.Bool("dry-run"))
	return errors.Join(err, printRescue(c, report))
}

// kindOfStream returns the kind that a person means by its name, or by that of its
// stream.
func kindOfStream(client *stream.Client, name string) (event.Kind, error) {
	var known []string
	for _, kind := range event.AllKinds() {
		if name == kind.String() || name == client.Name(kind) {
			return kind, nil
		}
		known = append(known, kind.String())
	}
	if name == "" {
		return 0, usage("rescue needs the STREAM or KIND to repair, one of %s: datawriter doctor names it", strings.Join(known, ", "))
	}
	return 0, usage("%q is neither a kind (%s) nor the name of a stream of theirs: compare --stream-prefix and --stream-name", name, strings.Join(known, ", "))
}

// newRescuer wires a drainer that only rescues. Where there is no archive yet, none
// is created.
func newRescuer(c *cli.Context, client *stream.Client) (*drain.Drainer, error) {
	log, err := newLogger(c)
	if err != nil {
		return nil, err
	}
	faults, err := faults()
	if err != nil {
		return nil, err
	}
	cfg := drain.Config{Lease: c.Duration("lease"), Version: version, Faults: faults}
	if cfg.Lease < 100*time.Millisecond {
		return nil, usage("--lease %s must be at least 100ms", cfg.Lease)
	}
	var archive sink.Sink
	if _, err := os.Stat(strings.TrimPrefix(c.String("data"), "file://")); err == nil {
		if archive, cfg.Layout, err = openSink(c); err != nil {
			return nil, err
		}
		shape, err := sink.ReadArchive(c.Context, archive)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			cfg.Length, cfg.Layout = shape.WindowLength, shape.Layout
		}
	}
	return drain.New(client, archive, runlog.Open(stateDir(c)), cfg, log), nil
}

func printRescue(c *cli.Context, r drain.RescueReport) error {
	if c.String("output") == "json" {
		return json.NewEncoder(c.App.Writer).Encode(r)
	}
	_, err := fmt.Fprintln(c.App.Writer, r)
	return err
}
