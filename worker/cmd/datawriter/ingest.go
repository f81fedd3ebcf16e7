package main

import (
	"context"
	"errors"
	"net"

	"github.com/urfave/cli/v2"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"datawriter/worker/audit"
	"datawriter/worker/ingest"
	"datawriter/worker/stream"
)

const sourceCategory = "Source:"

func ingestCommand() *cli.Command {
	return &cli.Command{
		Name:  "ingest",
		Usage: "feed the streams from Jetstream, the live events of the Bluesky network",
		Description: `Connects to a Jetstream server and adds every event of the five collections to its stream,
each once, until it is stopped. The position in the source changes together with the
entries, so that a restart, a crash or another host neither loses events nor adds them
twice. What the server no longer has when it is asked is a gap: an error in the log, a
line in ingest-gaps.jsonl in the state folder, a metric and an alert, with its bounds.

It slows down when Redis is 75 % full and stops reading at 85 %: the server keeps the
events, about a day and a half of them. A second ingest stands by until the first is gone.

/metrics is served on --listen.

Exit codes: 2 usage or configuration · 130, 143 stopped by a signal.

Examples:
   datawriter ingest                                         # the public hosts
   datawriter ingest --host wss://jetstream1.us-west.bsky.network --wire v1
   datawriter ingest --host ws://127.0.0.1:6008 --also identity,account`,
		Flags: flags([]cli.Flag{
			&cli.StringSliceFlag{Name: "host", Category: sourceCategory, EnvVars: env("host"), Value: cli.NewStringSlice(ingest.DefaultHosts...), Usage: "`ADDRESS` of a Jetstream server; repeatable: the next is asked when one fails"},
			&cli.StringFlag{Name: "wire", Category: sourceCategory, EnvVars: env("wire"), Value: string(ingest.Auto), Usage: "`VERSION` of the protocol: v1, v2, or auto (v2 where the host speaks it)"},
			alsoFlag(sourceCategory, "to keep in a stream of its own, which run --also drains"),
			&cli.StringFlag{Name: "dids", Category: sourceCategory, EnvVars: env("dids"), TakesFile: true, Usage: "`FILE` of accounts whose events are kept, one DID a line, at most 10,000 (default all)"},
			&cli.DurationFlag{Name: "stall", Category: sourceCategory, EnvVars: env("stall"), Usage: "`TIME` of silence after which a connection is doubted (default 30s)"},
			&cli.Int64Flag{Name: "max-message", Category: sourceCategory, EnvVars: env("max-message"), Usage: "`BYTES` above which a message is dropped and counted (default 4 MiB)"},
			&cli.StringFlag{Name: "listen", EnvVars: env("listen"), Value: "127.0.0.1:9403", Usage: "`ADDRESS` that answers /metrics and /healthz; empty for none"},
			&cli.StringFlag{Name: "data", Category: filesCategory, EnvVars: env("data"), Value: "./data", Usage: "`FOLDER` of the archive"},
			stateFlag(),
		}, connectionFlags(), logFlags()),
		Action: ingestAction,
	}
}

func ingestAction(c *cli.Context) error {
	kinds, err := also(c)
	if err != nil {
		return err
	}
	var dids []string
	if path := c.String("dids"); path != "" {
		if dids, err = ingest.ReadDIDs(path); err != nil {
			return usage("--dids: %w", err)
		}
	}
	log, err := newLogger(c)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	client, err := openStream(c)
	if err != nil {
		return err
	}
	defer client.Close()
	ingester, err := ingest.New(client, ingest.Options{
		Hosts: c.StringSlice("host"), Wire: ingest.Wire(c.String("wire")), Also: kinds, DIDs: dids,
		Stall: c.Duration("stall"), MaxMessage: c.Int64("max-message"), StateDir: stateDir(c), Log: log,
	})
	if errors.Is(err, ingest.ErrUsage) {
		return usage("%w", err)
	}
	if err != nil {
		return err
	}
	warnOfRedis(c.Context, client, log)
	group, ctx := errgroup.WithContext(c.Context)
	if err := serveIngest(ctx, group, c.String("listen"), ingester, log); err != nil {
		return err
	}
	group.Go(func() error { return ingester.Run(ctx) })
	return group.Wait()
}

func serveIngest(ctx context.Context, group *errgroup.Group, address string, ingester *ingest.Ingester, log *zap.Logger) error {
	if address == "" {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return usage("--listen: %w", err)
	}
	log.Info("serving metrics", zap.String("address", listener.Addr().String()))
	group.Go(func() error { return ingester.Serve(ctx, listener) })
	return nil
}

// warnOfRedis says which settings of Redis do not fit a buffer of live events, in the
// words of an audit. That Redis is away is for the ingest to wait for.
func warnOfRedis(ctx context.Context, client *stream.Client, log *zap.Logger) {
	report, err := audit.Glance(ctx, client.Redis())
	if err != nil {
		return
	}
	for _, key := range []string{"maxmemory", "maxmemory-policy", "eviction of whole streams", "appendonly"} {
		if f, is := report.Finding(key); is {
			log.Warn("redis is no safe buffer", zap.String("requirement", f.Key), zap.String("is", f.Is), zap.String("why", f.Why), zap.Stringer("fix", f.Fix))
		}
	}
}
