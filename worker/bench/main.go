package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
)

// options are the command line.
type options struct {
	events  int64
	windows int
	pad     int
	rounds  int
	only    string
	binary  string
	python  string
	server  string
	out     string

	child string // measure one limit in this process
	redis string
	data  string
	ids   string
	bytes int64
	self  string
}

func main() {
	var o options
	flag.Int64Var(&o.events, "events", 450_000, "entries of the window")
	flag.IntVar(&o.windows, "windows", 1, "spread them over so many windows, drained by one run")
	flag.IntVar(&o.pad, "pad", 0, "bytes by which every event is larger than simulated")
	flag.IntVar(&o.rounds, "rounds", 5, "how often everything is measured, in turn")
	flag.StringVar(&o.only, "only", "", "comma-separated beginnings of the names of what to measure; empty is all")
	flag.StringVar(&o.binary, "binary", "bin/datawriter", "the program")
	flag.StringVar(&o.python, "python", "", "interpreter that has the peer's packages; empty leaves the peer out")
	flag.StringVar(&o.server, "server", "redis-server", "the Redis or Valkey server")
	flag.StringVar(&o.out, "out", "", "write FILE.json and FILE.svg; empty prints the table only")
	flag.StringVar(&o.child, "child", "", "internal: measure a limit in this process")
	flag.StringVar(&o.redis, "redis", "", "internal")
	flag.StringVar(&o.data, "data", "", "internal")
	flag.StringVar(&o.ids, "ids", "", "internal")
	flag.Int64Var(&o.bytes, "bytes", 0, "internal")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) (err error) {
	if o.child != "" {
		return runChild(ctx, o)
	}
	if o.self, err = os.Executable(); err != nil {
		return err
	}
	if o.binary, err = exec.LookPath(o.binary); err != nil {
		return fmt.Errorf("%w: run `make build` first", err)
	}
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	results, err := o.measureAll(ctx, s)
	if err != nil {
		return err
	}
	return o.report(ctx, s, results)
}

// measureAll measures every variant once a round, so that a noisy minute hits all.
func (o options) measureAll(ctx context.Context, s *stage) (map[string][]sample, error) {
	results := make(map[string][]sample)
	for round := range o.rounds {
		for _, v := range o.variants() {
			if !o.wanted(v.Name) {
				continue
			}
			m, err := v.measure(ctx, s)
			if err != nil {
				return nil, err
			}
			results[v.Name] = append(results[v.Name], m)
			fmt.Fprintf(os.Stderr, "round %d  %-28s %6.2f s  cpu %5.2f  redis %5.2f  peak %4.0f MB\n",
				round+1, v.Name, m.Seconds, m.CPU, m.RedisCPU, m.PeakMB)
		}
	}
	return results, nil
}

func (o options) wanted(name string) bool {
	if o.only == "" {
		return true
	}
	for prefix := range strings.SplitSeq(o.only, ",") {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
