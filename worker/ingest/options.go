package ingest

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// DefaultHosts are the public instances that Bluesky runs.
var DefaultHosts = []string{
	"wss://jetstream2.us-east.bsky.network",
	"wss://jetstream1.us-east.bsky.network",
	"wss://jetstream2.us-west.bsky.network",
	"wss://jetstream1.us-west.bsky.network",
}

// Wire is a version of Jetstream's protocol.
type Wire string

// The wires. Auto asks each host for the newer one first.
const (
	Auto Wire = "auto"
	V1   Wire = "v1"
	V2   Wire = "v2"
)

// Options say what is ingested and how. Zero values mean the defaults.
type Options struct {
	Hosts []string // ws:// or wss://, or a bare name, tried in this order
	Wire  Wire
	Also  []event.Kind // raw kinds, kept beside the five
	DIDs  []string     // accounts whose events are kept; empty is all

	StateDir string // where gaps are recorded
	Log      *zap.Logger

	Stall      time.Duration // without an event after which a connection is doubted
	MaxMessage int64         // bytes; a longer message is dropped and counted
	Rewind     time.Duration // how far before its position a connection to the same legacy host begins
	Join       time.Duration // how long after the first live event of a legacy host a replay is asked for that crosses it; more than a second
	Grace      time.Duration // after which a connection that shows nothing known has a gap before it
	HostMargin time.Duration // how far to rewind on another host, whose clock is another
	Keep       time.Duration // of event time for which identities are remembered at least
	Least      int           // identities of one stream that are remembered whatever their time
	Remember   int           // but not more of one stream, and those of a batch
	Standby    time.Duration // after which another process that is silent counts as dead
	FirstPause time.Duration // between attempts to connect
	Redis      time.Duration // between attempts to reach Redis
}

// ErrUsage: the options contradict each other or are out of range.
var ErrUsage = errors.New("invalid options")

// alsoLimit is the length to which streams of raw kinds are cut while nobody
// drains them.
const alsoLimit = 500_000

// maxSeen is how many events of a stream are remembered at most, in some 70 MB.
// The network at its peak fills a tenth of it in the time that is kept; a source
// whose clock stands still, or leaps, would fill any.
const maxSeen = 1_000_000

// leastSeen is how many events of a stream are remembered however old they are:
// all that a connection by number brings again, also after the host was killed
// and has given its last block's numbers to other events.
const leastSeen = 2 * seqMargin

func (o Options) completed() (Options, error) {
	if len(o.Hosts) == 0 {
		o.Hosts = DefaultHosts
	}
	hosts := make([]string, len(o.Hosts))
	for i, h := range o.Hosts {
		var err error
		if hosts[i], err = normalHost(h); err != nil {
			return o, fmt.Errorf("%w: %w", ErrUsage, err)
		}
	}
	o.Hosts = hosts
	if o.Wire == "" {
		o.Wire = Auto
	}
	if !slices.Contains([]Wire{Auto, V1, V2}, o.Wire) {
		return o, fmt.Errorf("%w: wire %q is none of auto, v1, v2", ErrUsage, o.Wire)
	}
	o.defaults()
	return o, nil
}

func (o *Options) defaults() {
	for _, d := range []struct {
		of       *time.Duration
		default_ time.Duration
	}{
		{&o.Stall, 30 * time.Second}, {&o.Rewind, 2 * time.Second}, {&o.Join, 2 * time.Second}, {&o.Grace, 10 * time.Second},
		{&o.HostMargin, time.Minute}, {&o.Keep, 3 * time.Minute}, {&o.Standby, 3 * time.Second},
		{&o.FirstPause, 200 * time.Millisecond}, {&o.Redis, 500 * time.Millisecond},
	} {
		if *d.of <= 0 {
			*d.of = d.default_
		}
	}
	if o.Remember <= 0 {
		o.Remember = maxSeen
	}
	if o.Least <= 0 {
		o.Least = leastSeen
	}
	o.Least = min(o.Least, o.Remember)
	if o.MaxMessage <= 0 {
		o.MaxMessage = event.MaxEventBytes
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
}

// normalHost returns scheme and address of a host; a bare name is wss.
func normalHost(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "wss://" + text
	}
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("host %q is no address: write wss://NAME or ws://NAME:PORT", text)
	}
	switch u.Scheme {
	case "https":
		u.Scheme = "wss"
	case "http":
		u.Scheme = "ws"
	case "ws", "wss":
	default:
		return "", fmt.Errorf("host %q is neither ws:// nor wss://", text)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return "", fmt.Errorf("host %q has a path: give the address alone, the path belongs to the wire", text)
	}
	return u.Scheme + "://" + u.Host, nil
}

// lanes returns one lane for each stream that is fed.
func (o *Options) lanes(client *stream.Client) (lanes []*lane, of map[string]*lane) {
	of = make(map[string]*lane)
	for _, kind := range event.Kinds() {
		l := newLane(kind.String(), client.Intake(client.Name(kind), 0))
		lanes, of[kind.Collection()] = append(lanes, l), l
	}
	for _, kind := range o.Also {
		l := newLane(kind.String(), client.Intake(client.Name(kind), alsoLimit))
		lanes, of[kind.String()] = append(lanes, l), l
	}
	return lanes, of
}
