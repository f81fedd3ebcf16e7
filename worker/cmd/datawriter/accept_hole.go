package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"datawriter/worker/account"
	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

func acceptHoleCommand() *cli.Command {
	return &cli.Command{
		Name:  "accept-hole",
		Usage: "write down that parts of drained windows are gone for good",
		Description: `A run reports a window that was drained and whose part is missing, with exit 4, until
the file is there again. Where no copy of it is left, accept the hole: a small file in
the archive says who did, when and why. Runs pass over the window from then on; verify
and report go on showing it as a hole. A part that comes back is a part again.

Only windows that were drained and lack their part are accepted: one that was never
drained has to be run. It can be repeated.

Exit codes: 0 accepted, or it was before · 2 usage, or nothing is missing · 75 Redis away.

Examples:
   datawriter accept-hole --data /data --window 2026-11-23T10:05:00Z/5m --reason "disk of Monday, no backup"
   datawriter accept-hole --data /data --window 2026-11-23T10:00:00Z/2026-11-23T12:00:00Z --kind likes --reason "…" --dry-run`,
		Flags: flags([]cli.Flag{
			&cli.StringFlag{Name: "window", Required: true, Usage: "the windows that begin in this `RANGE`: START/LENGTH, START/END or START/24h"},
			&cli.StringSliceFlag{Name: "kind", Usage: "only this `KIND`; repeatable (default: the five kinds; identity and account have to be named)"},
			&cli.StringFlag{Name: "reason", Required: true, Usage: "`WHY` the parts will not come back, for those who find the hole later"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only say what would be accepted"},
			&cli.StringFlag{Name: "output", Value: "table", Usage: "`FORM` of the list: table or json"},
			stateFlag(),
		}, connectionFlags(), dataFlags(), logFlags()),
		Action: acceptHoleAction,
	}
}

func acceptHoleAction(c *cli.Context) error {
	in, err := window.ParseRange(c.String("window"))
	if err != nil {
		return usage("--window: %w", err)
	}
	kinds, err := namedKinds(c.StringSlice("kind"))
	if err != nil {
		return err
	}
	if o := c.String("output"); o != "table" && o != "json" {
		return usage("--output %q is neither table nor json", o)
	}
	if c.String("reason") == "" {
		return usage("--reason is empty: say why the parts will not come back")
	}
	drainer, closer, err := newAcceptor(c)
	if err != nil {
		return err
	}
	defer closer()
	holes, err := drainer.AcceptHoles(c.Context, in, kinds, person(), c.String("reason"), c.Bool("dry-run"))
	if err != nil {
		return err
	}
	return writeHoles(c, holes)
}

// newAcceptor wires what accept-hole needs of a drainer: it drains nothing.
func newAcceptor(c *cli.Context) (*drain.Drainer, func(), error) {
	if err := existing(c.String("data")); err != nil {
		return nil, nil, err
	}
	log, err := newLogger(c)
	if err != nil {
		return nil, nil, err
	}
	archive, _, err := openSink(c)
	if err != nil {
		return nil, nil, err
	}
	shape, err := sink.ReadArchive(c.Context, archive)
	if err != nil {
		return nil, nil, usage("--data %s is no archive: %w", c.String("data"), err)
	}
	client, err := openStream(c)
	if err != nil {
		return nil, nil, err
	}
	cfg := drain.Config{Length: shape.WindowLength, Layout: shape.Layout, Version: version, Book: account.OpenBook(stateDir(c))}
	return drain.New(client, archive, runlog.Open(stateDir(c)), cfg, log), func() { _ = client.Close(); _ = log.Sync() }, nil
}

// namedKinds reads --kind; none means the five.
func namedKinds(names []string) (kinds []event.Kind, err error) {
	if len(names) == 0 {
		return event.Kinds(), nil
	}
	for _, name := range names {
		kind, err := event.ParseKind(name)
		if err != nil {
			return nil, usage("--kind: %w", err)
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// person names who accepts, as far as this machine knows.
func person() string {
	name, host := "somebody", "somewhere"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}

// holesDocument is what standard output carries.
type holesDocument struct {
	DryRun bool               `json:"dry_run"`
	Holes  []drain.Acceptance `json:"holes"`
}

func writeHoles(c *cli.Context, holes []drain.Acceptance) error {
	if c.String("output") == "json" {
		return json.NewEncoder(c.App.Writer).Encode(holesDocument{c.Bool("dry-run"), holes})
	}
	return writeHoleTable(c.App.Writer, holes, c.Bool("dry-run"))
}

func writeHoleTable(w io.Writer, holes []drain.Acceptance, dryRun bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "window\tkind\thole\tby\treason")
	for _, h := range holes {
		state := "accepted"
		switch {
		case h.Already:
			state = "accepted before"
		case dryRun:
			state = "would be accepted"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", h.Window, h.Kind, state, h.By, h.Reason)
	}
	return table.Flush()
}
