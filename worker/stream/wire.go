package stream

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// wire is a connection of its own for reading pages. go-redis makes an object
// of every field of every entry; here a page is one reused block of memory, and
// reading costs no allocation per entry. It speaks RESP2 and sends one command
// at a time.
type wire struct {
	conn    net.Conn
	request []byte
}

// wires lends connections to one reader at a time. Its zero value is not usable.
type wires struct {
	dialer *dialer

	mu     sync.Mutex
	idle   []*wire
	all    map[*wire]bool
	closed bool
}

func newWires(d *dialer) *wires {
	return &wires{dialer: d, all: make(map[*wire]bool)}
}

// roundTrip sends what command appends and reads the reply into buffer, which it
// may replace by a larger one. After an error of the connection nothing is kept of it.
func (w *wires) roundTrip(ctx context.Context, buffer []byte, command func(dst []byte) []byte) ([]byte, error) {
	conn, err := w.take(ctx)
	if err != nil {
		return buffer, err
	}
	reply, err := conn.roundTrip(ctx, buffer[:0], command)
	if err != nil {
		w.drop(conn)
		return buffer, err
	}
	w.give(conn)
	return reply, nil
}

func (w *wires) take(ctx context.Context) (*wire, error) {
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		conn := w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		return conn, nil
	}
	w.mu.Unlock()
	conn, err := w.dial(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, joinClose(net.ErrClosed, conn)
	}
	w.all[conn] = true
	return conn, nil
}

func (w *wires) dial(ctx context.Context) (*wire, error) {
	conn, err := w.dialer.dial(ctx, w.dialer.options.Network, w.dialer.options.Addr)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn}, nil
}

func joinClose(err error, conn *wire) error {
	_ = conn.conn.Close() // it is the error that counts
	return err
}

func (w *wires) give(conn *wire) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.idle = append(w.idle, conn)
	}
}

func (w *wires) drop(conn *wire) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, conn)
	_ = conn.conn.Close() // it is broken already
}

// close cuts every connection, also in the middle of a reply.
func (w *wires) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for conn := range w.all {
		_ = conn.conn.Close() // nothing was written that could be lost
	}
}

func (w *wire) roundTrip(ctx context.Context, buffer []byte, command func(dst []byte) []byte) ([]byte, error) {
	deadline := time.Now().Add(replyTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := w.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	w.request = command(w.request[:0])
	if _, err := w.conn.Write(w.request); err != nil {
		return nil, err
	}
	return w.readReply(buffer)
}

// words returns what appends a command of these words.
func words(command []string) func([]byte) []byte {
	return func(dst []byte) []byte { return appendCommand(dst, 0, command...) }
}

// appendCommand appends a command as RESP writes it, of which more arguments
// follow.
func appendCommand(dst []byte, more int, words ...string) []byte {
	dst = append(dst, '*')
	dst = strconv.AppendInt(dst, int64(len(words)+more), 10)
	dst = append(dst, "\r\n"...)
	for _, word := range words {
		dst = appendArgument(dst, word)
	}
	return dst
}

func appendArgument[T string | []byte](dst []byte, argument T) []byte {
	dst = append(dst, '$')
	dst = strconv.AppendInt(dst, int64(len(argument)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(dst, argument...)
	return append(dst, "\r\n"...)
}

// leastRead is the room that a read is given at least.
const leastRead = 64 << 10

// readReply reads one whole reply.
func (w *wire) readReply(buffer []byte) ([]byte, error) {
	frame := frame{values: 1}
	for {
		if cap(buffer)-len(buffer) < leastRead {
			grown := make([]byte, len(buffer), 2*cap(buffer)+leastRead)
			copy(grown, buffer)
			buffer = grown
		}
		n, err := w.conn.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		done, bad := frame.advance(buffer)
		switch {
		case bad != nil:
			return nil, bad
		case done:
			return buffer, nil
		case err != nil:
			return nil, err
		}
	}
}

// frame finds the end of a RESP2 reply while it arrives.
type frame struct {
	at     int // everything before is understood
	values int // still to come, from at on
}

// advance looks at what has arrived so far and reports whether it is the whole
// reply. More than one reply is an error: nobody asked for it.
func (f *frame) advance(reply []byte) (done bool, err error) {
	for f.values > 0 {
		end := bytes.IndexByte(reply[f.at:], '\n')
		if end < 0 {
			return false, nil
		}
		line := reply[f.at : f.at+end+1]
		body, inside, err := lineContent(line)
		if err != nil {
			return false, err
		}
		next := f.at + len(line) + body
		if next > len(reply) {
			return false, nil
		}
		f.at = next
		f.values += inside - 1
	}
	if f.at != len(reply) {
		return false, fmt.Errorf("%w: %d bytes follow its end", errReply, len(reply)-f.at)
	}
	return true, nil
}

// lineContent says what a line announces: how many bytes that follow it belong
// to its value, and how many values lie inside.
func lineContent(line []byte) (body, inside int, err error) {
	switch line[0] {
	case '+', '-', ':':
		return 0, 0, nil
	case '$', '*':
		n, err := parseLength(bytes.TrimSuffix(line[1:], []byte("\r\n")))
		switch {
		case err != nil || n < 0:
			return 0, 0, err
		case line[0] == '*':
			return 0, n, nil
		}
		return n + len("\r\n"), 0, nil
	}
	return 0, 0, fmt.Errorf("%w: a value begins with %q", errReply, line[0])
}

// parseLength reads the digits of "$12\r\n" or "*-1\r\n".
func parseLength(digits []byte) (int, error) {
	if string(digits) == "-1" {
		return -1, nil
	}
	n, ok := parseUint(digits)
	if !ok || n > 1<<32 {
		return 0, fmt.Errorf("%w: the length %.20q", errReply, digits)
	}
	return int(n), nil
}
