package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"datawriter/worker/audit"
	"datawriter/worker/doctor"
	"datawriter/worker/drain"
	"datawriter/worker/failure"
	"datawriter/worker/monitor"
	"datawriter/worker/validate"
	"datawriter/worker/verify"
)

// Exit codes. They are an interface: the flow maps them to states.
const (
	exitOK          = 0
	exitUsage       = 2
	exitHeld        = 3
	exitIntegrity   = 4
	exitUnavailable = 75 // EX_TEMPFAIL of sysexits.h
	exitSignal      = 128
)

// exitCodes is the table of the interface.
var exitCodes = map[drain.Class]int{
	drain.None:          exitOK,
	drain.Configuration: exitUsage,
	drain.HeldByOther:   exitHeld,
	drain.Integrity:     exitIntegrity,
	drain.Unavailable:   exitUnavailable,
	drain.Stop:          exitSignal + int(syscall.SIGTERM),
}

// errReported marks an error that the command has already told the user of.
var errReported = errors.New("reported")

// errUsage marks an error in what the user wrote.
var errUsage = errors.New("usage")

// errNotReady: what was asked for its health is not well, or does not answer.
var errNotReady = errors.New("not ready")

// exits lists what ends with which code beside the classes of a drain, the gravest
// first.
var exits = []struct {
	code   int
	errors []error
}{
	{exitIntegrity, []error{verify.ErrViolated, validate.ErrFailed, audit.ErrGap, doctor.ErrFailure, drain.ErrIntegrity}},
	{exitUsage, []error{errUsage}},
	{exitUnavailable, []error{errNotReady, monitor.ErrUnavailable}},
}

func exitCode(ctx context.Context, err error) int {
	for _, e := range exits {
		for _, target := range e.errors {
			if errors.Is(err, target) {
				return e.code
			}
		}
	}
	class := drain.Classify(err)
	var s stopSignal
	if class == drain.Stop && errors.As(context.Cause(ctx), &s) {
		return exitSignal + int(s.Signal)
	}
	return exitCodes[class]
}

// usage returns an error in what the user wrote, with a sentence that helps.
func usage(format string, args ...any) error {
	return usageErr{fmt.Errorf(format, args...)}
}

type usageErr struct{ error }

func (usageErr) Is(target error) bool { return target == errUsage }
func (e usageErr) Unwrap() error      { return e.error }

// checkEnvironment refuses variables that no flag has: a typo in one must not
// silently mean the default.
func checkEnvironment(app *cli.App, environ []string) error {
	known := []string{faultVariable}
	for _, command := range app.Commands {
		for _, flag := range command.Flags {
			if f, ok := flag.(cli.DocGenerationFlag); ok {
				known = append(known, f.GetEnvVars()...)
			}
		}
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) && !slices.Contains(known, name) {
			return usage("environment variable %s is unknown%s: unset it, or see `datawriter COMMAND --help` for the variables", name, nearest(name, known))
		}
	}
	return nil
}

// nearest suggests the known name that begins most alike.
func nearest(name string, known []string) string {
	best, length := "", len(envPrefix)
	for _, k := range known {
		n := 0
		for n < min(len(k), len(name)) && k[n] == name[n] {
			n++
		}
		if n > length {
			best, length = k, n
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

// fullSecret reads the one-line file of a flag, which must not be empty: without it
// another Redis than the one that was meant would be asked, or nobody would log in.
func fullSecret(c *cli.Context, flag string) (string, error) {
	text, err := readSecret(c.String(flag))
	if err == nil && text == "" && c.String(flag) != "" {
		return "", usage("--%s %s: the file is empty", flag, c.String(flag))
	}
	return text, err
}

// readSecret reads a one-line file.
func readSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", usage("%w", failure.Explained(err))
	}
	return strings.TrimSpace(string(text)), nil
}
