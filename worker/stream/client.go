package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
)

// DefaultPrefix begins the name of every stream: "bluesky:{likes}". The braces
// are a cluster hash tag, so all that belongs to one stream lives in one slot.
const DefaultPrefix = "bluesky:"

// DefaultGroup is the consumer group of the archive.
const DefaultGroup = "datawriter"

// replyTimeout bounds the wait for any one reply: far above the longest page,
// far below what a person would wait for a hung server.
const replyTimeout = 20 * time.Second

// Config says which Redis and which streams. Zero values mean the defaults.
type Config struct {
	URL    string                // redis://, rediss:// or unix://; may carry user, password and database
	Prefix string                // of stream names
	Names  map[event.Kind]string // whole stream names, where one deviates from Prefix{kind}
	Group  string

	Connections int // most that commands open at once; 0 is what go-redis chooses

	Password string // where it does not stand in the URL

	// PEM files for rediss://, read once.
	CAFile   string // authority of a server that the system does not trust
	CertFile string // certificate of this client, for a server that asks for one
	KeyFile  string // its private key
}

// Client is a connection to one Redis. It is safe for concurrent use.
type Client struct {
	redis *redis.Client
	wires *wires // for pages
	cfg   Config
}

// Open parses the configuration; it does not connect yet. Errors are
// ErrMisconfigured.
func Open(cfg Config) (*Client, error) {
	opts, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	// The protocol forbids automatic retries: a broken connection ends the
	// attempt, and the rerun starts from the top.
	opts.MaxRetries = -1
	opts.ReadTimeout = replyTimeout
	opts.WriteTimeout = replyTimeout
	opts.ContextTimeoutEnabled = true
	opts.Protocol = 2 // page.go reads RESP2
	opts.DisableIdentity = true
	if cfg.Password != "" {
		opts.Password = cfg.Password
	}
	if cfg.Connections > 0 {
		opts.PoolSize = cfg.Connections
	}
	if err := useCertificates(opts, cfg); err != nil {
		return nil, err
	}
	dial := newDialer(opts)
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	if cfg.Group == "" {
		cfg.Group = DefaultGroup
	}
	if err := distinct(cfg); err != nil {
		return nil, err
	}
	// What go-redis would print about broken connections is in the errors.
	redis.SetLogger(silence{})
	return &Client{redis: redis.NewClient(opts), wires: newWires(dial), cfg: cfg}, nil
}

// distinct refuses two kinds on one stream: each would take the other's entries
// for its own, reject them and delete them.
func distinct(cfg Config) error {
	c, kinds := Client{cfg: cfg}, make(map[string]event.Kind)
	for _, kind := range event.AllKinds() {
		name := c.Name(kind)
		if other, taken := kinds[name]; taken {
			return fmt.Errorf("%w: %s and %s are both to be stream %s: give each kind a stream of its own", ErrMisconfigured, other, kind, name)
		}
		kinds[name] = kind
	}
	return nil
}

// silence is a logger of go-redis that prints nothing: this floor never logs.
type silence struct{}

// Printf drops the line.
func (silence) Printf(context.Context, string, ...any) {}

// Close ends all connections, also those in the middle of a reply.
func (c *Client) Close() error {
	c.wires.close()
	return c.redis.Close()
}

// Redis lends the connection to packages that own other Redis commands.
func (c *Client) Redis() *redis.Client { return c.redis }

// Name returns the name of a kind's stream.
func (c *Client) Name(kind event.Kind) string {
	if name, ok := c.cfg.Names[kind]; ok {
		return name
	}
	return c.cfg.Prefix + "{" + kind.String() + "}"
}

// Stream returns the stream of a kind, read through the client's group.
func (c *Client) Stream(kind event.Kind) *Stream {
	return &Stream{redis: c.redis, wires: c.wires, name: c.Name(kind), group: c.cfg.Group}
}

// Now returns Redis's clock, the only one that closes windows.
func (c *Client) Now(ctx context.Context) (time.Time, error) {
	now, err := c.redis.Time(ctx).Result()
	return now.UTC(), classify("read the clock of redis", err)
}
