package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// connectTimeout bounds connecting and the TLS handshake, unless the URL says
	// dial_timeout.
	connectTimeout = 5 * time.Second
	// patience is how long a TLS handshake may take before a look whether the port
	// speaks TLS at all: a Redis without it waits for the end of a command that
	// never comes, and says nothing.
	patience = 500 * time.Millisecond
	// probeTimeout bounds that look.
	probeTimeout = time.Second
)

// dialer makes connections that are logged in. go-redis and the reader of pages
// share it, so that both meet the same errors, which name the cause and the way
// out: what one connection shows is compared with what another one finds, a TLS
// handshake on a port that did not understand a command, for example.
type dialer struct {
	options *redis.Options
	limit   time.Duration // for connecting and the handshake
}

// newDialer makes the options log in through the dialer that it returns.
func newDialer(options *redis.Options) *dialer {
	d := &dialer{options: options, limit: options.DialTimeout}
	if d.limit <= 0 {
		d.limit = connectTimeout
	}
	options.Dialer = d.dial
	options.DialTimeout = d.limit + replyTimeout // the login included
	// Every failure goes back to the caller, who alone tries again.
	options.DialerRetries = 1
	options.CredentialsProvider = func() (string, string) { return "", "" }
	return d
}

// dial connects, encrypts where the URL says so, and logs in. Errors are
// ErrMisconfigured, an answer of Redis, or a net.OpError of dialing: for those who
// ask whether a command may have arrived, none was sent.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, d.limit)
	defer cancel()
	conn, err := d.connect(limited, network, address)
	if err != nil {
		return nil, err
	}
	ready := conn
	if d.options.TLSConfig != nil {
		ready, err = d.encrypt(limited, conn)
	}
	if err == nil {
		err = d.greet(ctx, ready)
	}
	var answer redis.Error
	switch {
	case err == nil:
		return ready, nil
	case !errors.Is(err, ErrMisconfigured) && !errors.As(err, &answer):
		err = &net.OpError{Op: "dial", Net: network, Addr: conn.RemoteAddr(), Err: err}
	}
	_ = conn.Close() // it is the error that counts
	return nil, err
}

func (d *dialer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	quick := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}}
	return quick.DialContext(ctx, network, address)
}

// encrypt makes the handshake of TLS. While it hangs, another connection finds out
// whether the port speaks the plain protocol.
func (d *dialer) encrypt(ctx context.Context, conn net.Conn) (net.Conn, error) {
	encrypted := tls.Client(conn, d.options.TLSConfig)
	done := make(chan error, 1)
	go func() { done <- encrypted.HandshakeContext(ctx) }()
	select {
	case err := <-done:
		return encrypted, d.explained(err)
	case <-time.After(patience):
	}
	if d.speaksPlainly(ctx) {
		_ = conn.Close() // ends the handshake
		_ = <-done
		return nil, errPlain
	}
	return encrypted, d.explained(<-done)
}

var (
	errPlain = fmt.Errorf("%w: the port does not speak TLS: write redis:// instead of rediss://, or give the server's tls-port", ErrMisconfigured)
	errTLS   = fmt.Errorf("%w: the port speaks TLS: write rediss:// instead of redis://", ErrMisconfigured)
)

// greet logs in and chooses the database. The first answer also shows whether a
// Redis answers; where there is nothing to log in with, a PING brings it.
func (d *dialer) greet(ctx context.Context, conn net.Conn) error {
	// A stop must not wait for a server that hangs.
	release := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer release()
	talk := &wire{conn: conn}
	for _, command := range d.login() {
		reply, err := talk.roundTrip(ctx, nil, words(command))
		if err != nil {
			return d.unanswered(ctx, conn, err)
		}
		if reply[0] != '-' {
			continue
		}
		answer := replyError(bytes.TrimSpace(reply[1:]))
		if command[0] != "PING" || hasCode(answer, closing) {
			return answer
		}
	}
	return conn.SetDeadline(time.Time{})
}

// closing lists the answers after which the server ends a connection, or answers
// nothing else. Other errors that a PING brings say that a Redis is there.
var closing = []string{"NOAUTH", "DENIED", "ERR max number of clients"}

func (d *dialer) login() (commands [][]string) {
	switch o := d.options; {
	case o.Username != "":
		commands = append(commands, []string{"AUTH", o.Username, o.Password})
	case o.Password != "":
		commands = append(commands, []string{"AUTH", o.Password})
	}
	if d.options.DB != 0 {
		commands = append(commands, []string{"SELECT", strconv.Itoa(d.options.DB)})
	}
	if len(commands) == 0 {
		commands = append(commands, []string{"PING"})
	}
	return commands
}

// unanswered finds out why a connection that stood brought no answer.
func (d *dialer) unanswered(ctx context.Context, conn net.Conn, err error) error {
	if d.options.TLSConfig != nil && !isAlert(err) {
		// A server that does not like our certificate says so and hangs up, both
		// behind the handshake. A write may fail over that before the words are read.
		_ = conn.SetReadDeadline(time.Now().Add(probeTimeout))
		if _, last := conn.Read(make([]byte, 1)); isAlert(last) {
			err = last
		}
	}
	switch {
	case d.options.TLSConfig == nil && ctx.Err() == nil && d.speaksTLS(ctx):
		return errTLS
	case errors.Is(err, errReply):
		return d.noRedis(err)
	}
	return d.explained(err) // a server looks at our certificate after the handshake
}

func (d *dialer) noRedis(err error) error {
	return fmt.Errorf("%w: what answers at %s is no Redis: compare host and port (%w)", ErrMisconfigured, d.options.Addr, err)
}

// explained makes an error of TLS say what to do.
func (d *dialer) explained(err error) error {
	var record tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	says := ""
	switch {
	case err == nil:
		return nil
	case errors.As(err, &record) && strings.ContainsRune("+-", rune(record.RecordHeader[0])):
		return errPlain
	case errors.As(err, &record):
		return d.noRedis(err)
	case errors.As(err, &unknown):
		says = "this machine does not trust who signed the server's certificate: name the authority's PEM file with --redis-ca-file"
	case errors.As(err, &name):
		says = "the server's certificate is for other names: write one of those in the URL"
	case errors.As(err, &invalid):
		says = "the server's certificate is not valid: renew it, and compare the clocks"
	case isAlert(err):
		says = d.refused(err)
	default:
		return err
	}
	return fmt.Errorf("%w: %s (%w)", ErrMisconfigured, says, err)
}

// isAlert reports whether the other side said why it ends a connection of TLS.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// refused says why the server ended the handshake.
func (d *dialer) refused(alert error) string {
	switch of := d.options.TLSConfig; {
	case strings.Contains(alert.Error(), "protocol version"):
		return "the server takes another version of TLS than 1.2 and 1.3: see its tls-protocols"
	case len(of.Certificates) == 0:
		return "the server asks for a client certificate: name one with --redis-cert-file and --redis-key-file (or set its tls-auth-clients)"
	}
	return "the server does not accept the certificate of --redis-cert-file: it must be signed by an authority of its tls-ca-cert-file, and be valid now"
}

// speaksPlainly reports whether the port answers a plain command as Redis does.
func (d *dialer) speaksPlainly(ctx context.Context) bool {
	found := false
	d.probe(ctx, func(conn net.Conn) {
		first := make([]byte, 1)
		if _, err := conn.Write([]byte("PING\r\n")); err == nil {
			n, _ := conn.Read(first)
			found = n == 1 && (first[0] == '+' || first[0] == '-')
		}
	})
	return found
}

// speaksTLS reports whether the port answers a handshake of TLS, with whatever.
func (d *dialer) speaksTLS(ctx context.Context) bool {
	found := false
	d.probe(ctx, func(conn net.Conn) {
		// Nothing is sent and nothing is believed, so no certificate is checked.
		err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) //nolint:gosec // see above
		found = err == nil || isAlert(err)
	})
	return found
}

// probe lends a second connection, for a moment.
func (d *dialer) probe(ctx context.Context, look func(net.Conn)) {
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := d.connect(limited, d.options.Network, d.options.Addr)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := limited.Deadline(); ok && conn.SetDeadline(deadline) == nil {
		look(conn)
	}
}
