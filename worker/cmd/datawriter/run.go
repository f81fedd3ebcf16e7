package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"datawriter/worker/account"
	"datawriter/worker/drain"
	"datawriter/worker/part"
	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

// closeAfter is how long after a stop request a connection may still wait for
// its reply; then it is cut, so that the process ends within 5 seconds.
const closeAfter = 2 * time.Second

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "drain a window of entries into Parquet, once",
		Description: `Reads the entries of one window through the consumer group, publishes them as one
Parquet file a kind, then acks and deletes them. It can be killed at any moment and
run again: no entry is lost or written twice. Older windows that are not drained yet
are drained too, each into its own files: the oldest one first, then the one that was
asked for, then the rest; windows without entries last, 288 a run.

Standard output carries one JSON document, standard error the log.

Exit codes: 0 drained or nothing to do · 2 usage or configuration · 3 another run
holds the window · 4 integrity violation · 75 worth another try · 130, 143 stopped
by a signal.

Examples:
   datawriter run --window 2026-11-23T10:05:00Z/5m
   datawriter run --window 2026-11-23T10:05:00Z/PT5M --data /data
   datawriter run --window 5m          # every closed window that is not drained yet
   datawriter run --window 5m --also identity,account`,
		Flags: flags([]cli.Flag{
			&cli.StringFlag{Name: "window", Required: true, Usage: "`WINDOW` as START/LENGTH, START/END or START/PT5M, or a bare length for all closed windows"},
			alsoFlag("", "to drain as they came, from the streams that ingest --also keeps"),
			&cli.BoolFlag{Name: "catch-up", EnvVars: env("catch-up"), Value: true, Usage: "also drain older windows that are not drained yet"},
			&cli.BoolFlag{Name: "adopt", Usage: "take the consumer groups over from another archive, which then misses what this run takes; for once, on purpose"},
			&cli.DurationFlag{Name: "wait", EnvVars: env("wait"), Value: 10 * time.Second, Usage: "how long to wait for the window to close, by Redis's clock"},
			&cli.IntFlag{Name: "attempts", EnvVars: env("attempts"), Value: 3, Usage: "how often to try each kind, with growing pauses, while Redis or the disk is away"},
			&cli.DurationFlag{Name: "lease", EnvVars: env("lease"), Value: 10 * time.Second, Usage: "how long a killed run keeps others from its streams"},
			&cli.BoolFlag{Name: "noack", EnvVars: env("noack"), Usage: "read without a pending list: cheaper for Redis, invisible to XPENDING"},
			&cli.StringFlag{Name: "compression", Category: filesCategory, EnvVars: env("compression"), Value: string(part.Zstd), Usage: "`CODEC` of the pages: zstd, snappy or none"},
			&cli.StringFlag{Name: "memory", EnvVars: env("memory"), Value: "144MiB", Usage: "`SIZE` of memory to keep to, at least 48MiB; an entry that alone is larger than a part of it takes what it needs"},
			&cli.StringFlag{Name: "output", EnvVars: env("output"), Value: "-", Usage: "`FILE` for the JSON document, - for standard output"},
			stateFlag(),
		}, connectionFlags(), dataFlags(), logFlags(), profileFlags()),
		Action: profiled(runAction),
	}
}

// runDocument is what standard output carries.
type runDocument struct {
	Version string               `json:"version"`
	Status  runlog.Status        `json:"status"`
	Error   string               `json:"error,omitempty"`
	Class   string               `json:"class,omitempty"`
	Gaps    *drain.Gaps          `json:"gaps,omitempty"`    // windows that lacked a part when it began, and had no entries
	Streams []drain.StreamReport `json:"streams,omitempty"` // those with which something is wrong
	Windows []runlog.Record      `json:"windows"`
}

func runAction(c *cli.Context) error {
	memory, err := parseMemory(c.String("memory"))
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" { // from here on garbage is collected more often
		debug.SetMemoryLimit(memory)
	}
	w, length, err := parseRunWindow(c.String("window"))
	if err != nil {
		return err
	}
	drainer, closer, err := newDrainer(c, length, memory)
	if err != nil {
		return err
	}
	defer closer()
	var records []runlog.Record
	if w == (window.Window{}) {
		records, err = drainer.RunClosed(c.Context)
	} else {
		records, err = drainer.Run(c.Context, w)
	}
	doc := newRunDocument(records, err)
	if gaps := drainer.Gaps(); gaps.Windows > 0 {
		doc.Gaps = &gaps
	}
	doc.Streams = drainer.Streams()
	return errors.Join(err, writeDocument(c, doc))
}

// parseRunWindow reads --window; a bare length gives the zero window.
func parseRunWindow(text string) (window.Window, time.Duration, error) {
	if !strings.Contains(text, "/") {
		length, err := window.ParseLength(text)
		if err != nil {
			return window.Window{}, 0, usage("--window: %w; a single window is START/LENGTH, like 2026-11-23T10:05:00Z/5m", err)
		}
		return window.Window{}, length, nil
	}
	w, err := window.Parse(text)
	if err != nil {
		return window.Window{}, 0, usage("--window: %w", err)
	}
	return w, w.Length, nil
}

// leastMemory is where the pages of all kinds still move side by side.
const leastMemory = 48 << 20

// parseMemory reads --memory: bytes, or a number with a unit.
func parseMemory(text string) (int64, error) {
	number, unit := text, int64(1)
	for suffix, size := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if digits, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = digits, size
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, usage("--memory %q is no size: give bytes, or a number of KiB, MiB or GiB like 144MiB", text)
	}
	if n*unit < leastMemory {
		return 0, usage("--memory %s is too little: at least 48MiB", text)
	}
	return n * unit, nil
}

// newDrainer wires a drainer from the flags.
func newDrainer(c *cli.Context, length time.Duration, memory int64) (*drain.Drainer, func(), error) {
	compression, err := part.ParseCompression(c.String("compression"))
	if err != nil {
		return nil, nil, usage("--compression: %w", err)
	}
	log, err := newLogger(c)
	if err != nil {
		return nil, nil, err
	}
	faults, err := faults()
	if err != nil {
		return nil, nil, err
	}
	if c.Duration("lease") < 100*time.Millisecond || c.Duration("wait") < 0 {
		return nil, nil, usage("--lease %s must be at least 100ms, and --wait %s not negative", c.Duration("lease"), c.Duration("wait"))
	}
	kinds, err := also(c)
	if err != nil {
		return nil, nil, err
	}
	to, layout, err := openSink(c)
	if err != nil {
		return nil, nil, err
	}
	client, err := openStream(c)
	if err != nil {
		return nil, nil, err
	}
	context.AfterFunc(c.Context, func() {
		time.AfterFunc(closeAfter, func() { _ = client.Close() })
	})
	cfg := drain.Config{
		Length: length, Layout: layout, Compression: compression, NoAck: c.Bool("noack"),
		CatchUp: c.Bool("catch-up"), Adopt: c.Bool("adopt"), Wait: c.Duration("wait"), Lease: c.Duration("lease"),
		Attempts: c.Int("attempts"), Also: kinds, Version: version, Faults: faults, Book: account.OpenBook(stateDir(c)), Memory: memory,
	}
	return drain.New(client, to, runlog.Open(stateDir(c)), cfg, log), func() { _ = client.Close(); _ = log.Sync() }, nil
}

func newRunDocument(records []runlog.Record, err error) runDocument {
	doc := runDocument{Version: version, Status: runlog.Nothing, Windows: records}
	if records == nil {
		doc.Windows = []runlog.Record{}
	}
	for _, r := range records {
		if r.Status == runlog.Drained {
			doc.Status = runlog.Drained
		}
	}
	if err != nil {
		class := drain.Classify(err)
		doc.Status, doc.Error, doc.Class = drain.Status(class), err.Error(), string(class)
	}
	return doc
}

// writeDocument writes the JSON document to --output.
func writeDocument(c *cli.Context, doc any) (err error) {
	out := c.App.Writer
	if name := c.String("output"); name != "-" && name != "" {
		file, err := os.Create(name)
		if err != nil {
			return usage("--output: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(doc); err != nil {
		return fmt.Errorf("write the JSON document: %w", err)
	}
	return nil
}
