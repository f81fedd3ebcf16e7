package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"runtime/trace"

	"github.com/urfave/cli/v2"
)

const profileCategory = "Profiling:"

func profileFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "cpuprofile", Category: profileCategory, EnvVars: env("cpuprofile"), Usage: "write a CPU profile to `FILE`, for go tool pprof"},
		&cli.StringFlag{Name: "memprofile", Category: profileCategory, EnvVars: env("memprofile"), Usage: "write a profile of allocations to `FILE` at the end"},
		&cli.StringFlag{Name: "trace", Category: profileCategory, EnvVars: env("trace"), Usage: "write an execution trace to `FILE`, for go tool trace"},
	}
}

// profiled wraps an action so that the profiling flags cover it.
func profiled(action cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) (err error) {
		for _, p := range []struct {
			file  string
			start func(io.Writer) (stop func() error, err error)
		}{
			{c.String("cpuprofile"), startCPU},
			{c.String("memprofile"), startAllocations},
			{c.String("trace"), startTrace},
		} {
			stop, started := startProfile(p.file, p.start)
			if started != nil {
				return started
			}
			defer func() { err = errors.Join(err, stop()) }()
		}
		return action(c)
	}
}

func startProfile(file string, start func(io.Writer) (func() error, error)) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	out, err := os.Create(file)
	if err != nil {
		return nil, usage("%w", err)
	}
	finish, err := start(out)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start profiling: %w", err), out.Close())
	}
	return func() error { return errors.Join(finish(), out.Close()) }, nil
}

func startCPU(out io.Writer) (func() error, error) {
	return func() error { pprof.StopCPUProfile(); return nil }, pprof.StartCPUProfile(out)
}

func startAllocations(out io.Writer) (func() error, error) {
	return func() error { return pprof.Lookup("allocs").WriteTo(out, 0) }, nil
}

func startTrace(out io.Writer) (func() error, error) {
	return func() error { trace.Stop(); return nil }, trace.Start(out)
}
