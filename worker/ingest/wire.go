package ingest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/coder/websocket"

	"datawriter/worker/event"
)

// paths of the two wires.
const (
	pathV1     = "/subscribe"
	subscribe2 = "network.bsky.jetstream.subscribeEvents"
	pathV2     = "/xrpc/" + subscribe2
)

// Errors of a connection that call for more than another attempt.
var (
	// errTooOld: the server no longer has what the number stands for.
	errTooOld = errors.New("the server no longer has the position")
	// errNoWire: the host does not speak the wire that was asked for.
	errNoWire = errors.New("the host does not speak this wire")
)

// tooOld is errTooOld with the lowest number that the server still has; 0 where
// it did not say.
type tooOld struct {
	floor   int64
	message string
}

func (e *tooOld) Error() string { return fmt.Sprintf("%v: %s", errTooOld, e.message) }
func (e *tooOld) Unwrap() error { return errTooOld }

// cursor is where a connection asks its server to begin.
type cursor struct {
	text  string // empty begins with what happens now
	seq   int64  // when it is a number
	us    int64  // when it is a time
	skips bool   // the host has said that it lacks what comes before seq
}

func seqCursor(seq int64) cursor {
	seq = max(1, seq)
	return cursor{text: strconv.FormatInt(seq, 10), seq: seq}
}

func timeCursor(us int64) cursor { return cursor{text: strconv.FormatInt(us, 10), us: us} }

// from returns the cursor that continues at a position on a host. since is from
// when on all events are remembered.
func (o *Options) from(p position, h asking, since int64) cursor {
	margin := o.HostMargin.Microseconds()
	switch {
	case p.numbered(h.host) && h.floor > 0:
		c := seqCursor(h.floor)
		c.skips = h.floor > p.Seq+1
		return c
	case p.numbered(h.host) && !h.byTime && (p.Marks == "" || h.near):
		return seqCursor(p.Seq - nearMargin)
	case p.numbered(h.host) && !h.byTime:
		return seqCursor(p.Seq - seqMargin)
	case p.Host == h.host && p.Seq == 0 && p.Wire == V1 && h.wire == V1 && !h.numbers:
		return timeCursor(p.TimeUS - o.Rewind.Microseconds())
	case h.wide && since < p.TimeUS-2*margin:
		return timeCursor(since + margin)
	}
	return timeCursor(p.TimeUS - margin)
}

// address returns the URL of a subscription.
func (o *Options) address(host string, wire Wire, c cursor) string {
	query := url.Values{}
	path, collections, dids := pathV1, "wantedCollections", "wantedDids"
	if wire == V2 {
		path, collections, dids = pathV2, "collections", "dids"
		query.Add("kinds", "commit")
		for _, kind := range o.Also {
			query.Add("kinds", kind.String())
		}
	}
	for _, kind := range event.Kinds() {
		query.Add(collections, kind.Collection())
	}
	for _, did := range o.DIDs {
		query.Add(dids, did)
	}
	if c.text != "" {
		query.Set("cursor", c.text)
	}
	return host + path + "?" + query.Encode()
}

// dialer makes connections that are read in large pieces: a replay is thousands
// of small messages, and the websocket alone would ask the kernel for 4 KiB at a
// time.
var dialer = func() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &bufferedConn{Conn: conn, reader: bufio.NewReaderSize(conn, readSize)}, nil
	}
	return &http.Client{Transport: transport}
}()

const readSize = 64 << 10

// bufferedConn reads ahead.
type bufferedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// dial opens a subscription. Errors are errTooOld, errNoWire or any other.
func (o *Options) dial(ctx context.Context, host string, wire Wire, c cursor) (*websocket.Conn, error) {
	options := &websocket.DialOptions{CompressionMode: websocket.CompressionDisabled, HTTPClient: dialer}
	if wire == V2 {
		options.Subprotocols = []string{"xrpc.v1.json"}
	}
	conn, response, err := websocket.Dial(ctx, o.address(host, wire, c), options)
	if err == nil {
		conn.SetReadLimit(-1) // receive reads, and drops what is too long
		return conn, nil
	}
	if response == nil || response.StatusCode == http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("connect to %s: %w", host, err)
	}
	defer func() { _ = response.Body.Close() }()
	return nil, fmt.Errorf("connect to %s: %w", host, refusal(response))
}

// refusal reads why a server answered with something else than a websocket.
func refusal(response *http.Response) error {
	var reply struct{ Error, Message string }
	body, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
	named := json.Unmarshal(body, &reply) == nil && reply.Error != ""
	switch {
	case reply.Error == "CursorTooOld":
		return &tooOld{floor: numberBehind(reply.Message, "floor "), message: reply.Message}
	case response.StatusCode == http.StatusNotFound, response.StatusCode == http.StatusMethodNotAllowed,
		response.StatusCode == http.StatusNotImplemented, reply.Error == "MethodNotImplemented":
		return fmt.Errorf("%w: it answers %s", errNoWire, response.Status)
	case named:
		return fmt.Errorf("the host refuses: %s: %s", reply.Error, reply.Message)
	}
	return fmt.Errorf("the host answers %s", response.Status)
}

// numberBehind returns the number that follows the last place of a word in what
// a server says, or 0. Its messages are the only place where it tells numbers.
func numberBehind(message, word string) int64 {
	at := strings.LastIndex(message, word)
	if at < 0 {
		return 0
	}
	text := message[at+len(word):]
	if end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		text = text[:end]
	}
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// hardLimit is the length from which a message is not even read to its end.
const hardLimit = 64 << 20

var (
	errLong = errors.New("message too long")
	errHuge = errors.New("a message without end")
)

// receive reads the next message into buffer. errLong means that it was longer
// than most and is dropped; the connection goes on.
func receive(ctx context.Context, conn *websocket.Conn, buffer []byte, most int64) ([]byte, error) {
	_, reader, err := conn.Reader(ctx)
	if err != nil {
		return buffer, err
	}
	buffer = buffer[:0]
	for {
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
		n, err := reader.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		switch {
		case errors.Is(err, io.EOF):
			return buffer, nil
		case err != nil:
			return buffer, err
		case int64(len(buffer)) > most:
			return buffer, discard(reader)
		}
	}
}

func discard(reader io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(reader, hardLimit))
	if err == nil && n == hardLimit {
		return errHuge
	}
	if err != nil {
		return err
	}
	return errLong
}
