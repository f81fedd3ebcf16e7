package stream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"datawriter/worker/stream"
)

// TestWhatIsNoRedis meets ports where something else answers, or nothing.
func TestWhatIsNoRedis(t *testing.T) {
	for _, c := range []struct {
		name   string
		passes bool
		says   string
		url    func(t *testing.T) string
	}{
		{"nobody listens", true, "refused", func(*testing.T) string { return "redis://127.0.0.1:1/0" }},
		{"a name that is not known", true, "lookup", func(*testing.T) string { return "redis://no-such-host.invalid/0" }},
		{"a socket that is not there", true, "no such file", func(t *testing.T) string { return "unix://" + filepath.Join(t.TempDir(), "s") }},
		{"a port that is none", false, "99999", func(*testing.T) string { return "redis://127.0.0.1:99999/0" }},
		{"the connection is cut at once", true, "dial", answering(func(net.Conn) {})},
		{"a web server", false, "no Redis", answering(func(c net.Conn) { read(c); fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })},
		{"a log-in for people", false, "no Redis", answering(func(c net.Conn) { fmt.Fprint(c, "SSH-2.0-OpenSSH_9.2\r\n"); read(c) })},
		{"a cache of another kind", false, "no Redis", answering(func(c net.Conn) { read(c); fmt.Fprint(c, "ERROR\r\n") })},
		{"a server in protected mode", false, "protected mode", answering(func(c net.Conn) {
			fmt.Fprint(c, "-DENIED Redis is running in protected mode because protected mode is enabled.\r\n")
			read(c)
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, err := stream.Open(stream.Config{URL: c.url(t)})
			ok(t, err)
			defer client.Close()
			judge(t, c.passes, c.says, refusal{}.ask(t.Context(), client))
			judge(t, c.passes, c.says, page(t.Context(), client))
		})
	}
}

func read(c net.Conn) { _, _ = c.Read(make([]byte, 512)) }

// answering is a port that treats every connection so, and then cuts it.
func answering(treat func(net.Conn)) func(t *testing.T) string {
	return func(t *testing.T) string {
		url, _ := counting(t, treat)
		return url
	}
}

// counting also counts the connections.
func counting(t *testing.T, treat func(net.Conn)) (url string, seen *atomic.Int64) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	ok(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	seen = new(atomic.Int64)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			seen.Add(1)
			go func() { defer conn.Close(); treat(conn) }()
		}
	}()
	return fmt.Sprintf("redis://%s/0", listener.Addr()), seen
}

// A failure goes back at once: who tries again is the drain, which begins at the top.
func TestAConnectionIsTriedOnce(t *testing.T) {
	const andALook = 2 // whether the port speaks TLS
	url, seen := counting(t, func(net.Conn) {})
	client, err := stream.Open(stream.Config{URL: url})
	ok(t, err)
	defer client.Close()
	if _, err := client.Now(t.Context()); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if n := seen.Load(); n > andALook {
		t.Errorf("%d connections were made", n)
	}
}

func TestAServerThatSaysNothingIsUnavailable(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	url, _ := counting(t, func(net.Conn) { <-hold })
	for _, scheme := range []string{"redis", "rediss"} {
		client, err := stream.Open(stream.Config{URL: strings.Replace(url, "redis", scheme, 1) + "?dial_timeout=2s"})
		ok(t, err)
		limited, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err = client.Now(limited)
		judge(t, true, "deadline", err)
		cancel()
		ok(t, client.Close())
	}
}

// What cannot be had from a server at will is known all the same; io.EOF stands for
// a connection that ends in the middle of a reply.
func TestAReplyThatIsCutPasses(t *testing.T) {
	url, _ := counting(t, func(c net.Conn) {
		read(c)
		fmt.Fprint(c, "+PONG\r\n")
		read(c)
		_, _ = io.WriteString(c, "*1\r\n*2\r\n$3\r\n1-0")
	})
	client, err := stream.Open(stream.Config{URL: url})
	ok(t, err)
	defer client.Close()
	judge(t, true, "EOF", page(t.Context(), client))
}
