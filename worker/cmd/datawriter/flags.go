package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
)

// envPrefix begins the variable of every flag: --redis-url is DATAWRITER_REDIS_URL.
const envPrefix = "DATAWRITER_"

// faultVariable makes one step of a drain go wrong, for tests (see package fault).
const faultVariable = envPrefix + "FAULT"

// env names the variable of a flag.
func env(flag string) []string {
	return []string{envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))}
}

// Categories of the help text.
const (
	redisCategory = "Redis:"
	filesCategory = "Files:"
	logCategory   = "Log:"
)

func connectionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "redis-url", Category: redisCategory, EnvVars: env("redis-url"), Value: "redis://127.0.0.1:6379/0",
			Usage: "`URL` of Redis: redis://, rediss:// (TLS) or unix://, with user and database; a password belongs into the variable or a file, since arguments stand in the process list"},
		&cli.StringFlag{Name: "redis-url-file", Category: redisCategory, EnvVars: env("redis-url-file"), Usage: "`FILE` that holds the URL"},
		&cli.StringFlag{Name: "redis-password-file", Category: redisCategory, EnvVars: env("redis-password-file"), Usage: "`FILE` that holds the password"},
		&cli.StringFlag{Name: "redis-ca-file", Category: redisCategory, EnvVars: env("redis-ca-file"), Usage: "PEM `FILE` of the authority that signed the server's certificate"},
		&cli.StringFlag{Name: "redis-cert-file", Category: redisCategory, EnvVars: env("redis-cert-file"), Usage: "PEM `FILE` of the certificate to show to a server that asks for one"},
		&cli.StringFlag{Name: "redis-key-file", Category: redisCategory, EnvVars: env("redis-key-file"), Usage: "PEM `FILE` of that certificate's private key"},
		&cli.StringFlag{Name: "stream-prefix", Category: redisCategory, EnvVars: env("stream-prefix"), Value: stream.DefaultPrefix, Usage: "`PREFIX` of the streams' names: PREFIX{likes}"},
		&cli.StringSliceFlag{Name: "stream-name", Category: redisCategory, EnvVars: env("stream-name"), Usage: "`KIND=NAME` where one stream is called otherwise; repeatable"},
		&cli.StringFlag{Name: "group", Category: redisCategory, EnvVars: env("group"), Value: stream.DefaultGroup, Usage: "consumer `GROUP`"},
	}
}

// openStream returns the client that the connection flags describe.
func openStream(c *cli.Context) (*stream.Client, error) {
	cfg, err := redisAccess(c)
	if err != nil {
		return nil, err
	}
	if cfg.Names, err = streamNames(c.StringSlice("stream-name")); err != nil {
		return nil, err
	}
	cfg.Prefix, cfg.Group = c.String("stream-prefix"), c.String("group")
	return stream.Open(cfg)
}

// redisAccess returns where Redis is and how to log in.
func redisAccess(c *cli.Context) (cfg stream.Config, err error) {
	if cfg.URL, err = fullSecret(c, "redis-url-file"); err != nil {
		return cfg, err
	}
	if cfg.URL == "" {
		cfg.URL = c.String("redis-url")
	}
	cfg.Password, err = fullSecret(c, "redis-password-file")
	cfg.CAFile, cfg.CertFile, cfg.KeyFile = c.String("redis-ca-file"), c.String("redis-cert-file"), c.String("redis-key-file")
	return cfg, err
}

func streamNames(pairs []string) (map[event.Kind]string, error) {
	names := make(map[event.Kind]string)
	for _, pair := range pairs {
		kind, name, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usage("--stream-name %q is not KIND=NAME", pair)
		}
		k, err := event.ParseKind(kind)
		if err != nil {
			return nil, usage("--stream-name %q: %w", pair, err)
		}
		names[k] = name
	}
	return names, nil
}

// alsoFlag is the same for those who keep the events and those who drain them.
func alsoFlag(category, usage string) cli.Flag {
	return &cli.StringSliceFlag{Name: "also", Category: category, EnvVars: env("also"), Usage: "`CLASS` of further events " + usage + ": identity, account"}
}

// also returns the raw kinds of --also.
func also(c *cli.Context) ([]event.Kind, error) {
	kinds, err := event.ParseRawKinds(c.StringSlice("also"))
	if err != nil {
		return nil, usage("--also: %w", err)
	}
	return kinds, nil
}

func dataFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "data", Category: filesCategory, EnvVars: env("data"), Value: "./data", Usage: "`FOLDER` of the archive"},
		&cli.StringFlag{Name: "layout", Category: filesCategory, EnvVars: env("layout"), Value: string(sink.Plain),
			Usage: "`NAME` of the folder layout: plain (2026/11/23/10/likes) or hive (year=2026/…/kind=likes); an archive has one"},
	}
}

func stateFlag() cli.Flag {
	return &cli.StringFlag{Name: "state-dir", Category: filesCategory, EnvVars: env("state-dir"), Usage: "`FOLDER` of the run log (default: _state below --data)"}
}

// stateDir returns the folder of --state-dir.
func stateDir(c *cli.Context) string {
	if dir := c.String("state-dir"); dir != "" {
		return dir
	}
	folder, err := sink.FolderOf(c.String("data"))
	if err != nil {
		folder = c.String("data") // which opening it refuses
	}
	return filepath.Join(folder, "_state")
}

// openSink returns the archive of --data and its layout.
func openSink(c *cli.Context) (sink.Sink, sink.Layout, error) {
	layout, err := sink.ParseLayout(c.String("layout"))
	if err != nil {
		return nil, "", usage("%w", err)
	}
	faults, err := faults()
	if err != nil {
		return nil, "", err
	}
	opened, err := sink.OpenURL(c.String("data"), faults)
	return opened, layout, err
}

func faults() (*fault.Injector, error) {
	injector, err := fault.Parse(os.Getenv(faultVariable))
	if err != nil {
		return nil, usage("%w", err)
	}
	return injector, nil
}

func logFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "log-level", Category: logCategory, EnvVars: env("log-level"), Value: "info", Usage: "least `LEVEL` to log: debug, info, warn or error"},
		&cli.StringFlag{Name: "log-format", Category: logCategory, EnvVars: env("log-format"), Value: "auto", Usage: "`FORMAT`: json, console, or auto (console on a terminal)"},
	}
}

// newLogger returns the logger that the log flags describe, on standard error.
func newLogger(c *cli.Context) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(c.String("log-level"))
	if err != nil {
		return nil, usage("--log-level %q is none of debug, info, warn, error", c.String("log-level"))
	}
	format := c.String("log-format")
	if format == "auto" {
		format = "json"
		if term.IsTerminal(int(os.Stderr.Fd())) {
			format = "console"
		}
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	var encoder zapcore.Encoder
	switch format {
	case "json":
		encoder = zapcore.NewJSONEncoder(encoding)
	case "console":
		encoding.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(encoding)
	default:
		return nil, usage("--log-format %q is none of auto, json, console", format)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(c.App.ErrWriter)), level)), nil
}

// flags joins groups of flags.
func flags(groups ...[]cli.Flag) (all []cli.Flag) {
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}
