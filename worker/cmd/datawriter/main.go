// Command datawriter moves Bluesky events from Redis Streams into Parquet files,
// each window of time once.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/urfave/cli/v2"

	"datawriter/worker/drain"
)

// gcPercent trades a little CPU for memory: nearly all of it is reused buffers
// that hold no pointers, so collecting more often costs almost nothing.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(execute(os.Args, os.Environ(), os.Stdout, os.Stderr))
}

// execute runs one command line and returns the exit code.
func execute(args, environ []string, stdout, stderr io.Writer) int {
	ctx, stop := stopOnSignal(context.Background())
	defer stop()
	app := newApp(stdout, stderr)
	err := checkEnvironment(app, environ)
	if err == nil {
		err = runApp(ctx, app, args)
	}
	code := exitCode(ctx, err)
	if err != nil && !errors.Is(err, errReported) {
		fmt.Fprintf(stderr, "datawriter: %v\n", err)
	}
	return code
}

// runApp runs a subcommand. An error that comes before the command's own action
// is one in what the user wrote.
func runApp(ctx context.Context, app *cli.App, args []string) error {
	acting := false
	for _, command := range app.Commands {
		command.Before = func(*cli.Context) error { acting = true; return nil }
	}
	err := app.RunContext(ctx, args)
	if err != nil && !acting {
		return usage("%w (see `datawriter --help`)", err)
	}
	return err
}

// stopSignal is the cause of a context that a signal ended.
type stopSignal struct{ syscall.Signal }

func (s stopSignal) Error() string { return "stopped by " + s.String() }

// Unwrap lets drain.Classify recognise it.
func (s stopSignal) Unwrap() error { return drain.ErrStopped }

// stopOnSignal returns a context that SIGTERM and SIGINT end. A second signal
// ends the process at once, which is safe at any moment.
func stopOnSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		if s, ok := (<-signals).(syscall.Signal); ok {
			cancel(stopSignal{s})
			signal.Stop(signals)
		}
	}()
	return ctx, func() { cancel(nil) }
}

// newApp lists the subcommands; each has a file of its own.
func newApp(stdout, stderr io.Writer) *cli.App {
	return &cli.App{
		Name:                 "datawriter",
		Usage:                "archive the Bluesky firehose: Redis Streams to Parquet, each entry once",
		Version:              version,
		HideVersion:          true, // it is a command
		EnableBashCompletion: true,
		Suggest:              true,
		Writer:               stdout,
		ErrWriter:            stderr,
		ExitErrHandler:       func(*cli.Context, error) {}, // execute decides
		Commands: []*cli.Command{
			runCommand(),
			acceptHoleCommand(),
			rescueCommand(),
			verifyCommand(),
			catCommand(),
			ingestCommand(),
			simulateCommand(),
			exporterCommand(),
			ackCommand(),
			reportCommand(),
			auditCommand(),
			validateCommand(),
			doctorCommand(),
			healthCommand(),
			completionCommand(),
			versionCommand(),
		},
	}
}
