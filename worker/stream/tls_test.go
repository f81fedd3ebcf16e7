package stream_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
)

func TestATLSServer(t *testing.T) {
	known, foreign := streamtest.NewAuthority(t), streamtest.NewAuthority(t)
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	cert, key := known.Certificate("127.0.0.1", later)
	open := streamtest.StartTLS(t, known, cert, key, "no")
	strict := streamtest.StartTLS(t, known, cert, key, "yes", "--requirepass", secret)
	oldCert, oldKey := known.Certificate("127.0.0.1", before)
	old := streamtest.StartTLS(t, known, oldCert, oldKey, "no")
	otherCert, otherKey := known.Certificate("127.0.0.9", later)
	other := streamtest.StartTLS(t, known, otherCert, otherKey, "no")
	foreignCert, foreignKey := foreign.Certificate("127.0.0.1", later)
	web, _ := counting(t, func(c net.Conn) { read(c); fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })

	for _, c := range []struct {
		name string
		cfg  stream.Config
		says string // of ErrMisconfigured; empty is well
	}{
		{"its authority is named", stream.Config{URL: open.TLSURL(), CAFile: known.CA}, ""},
		{"nothing is checked", stream.Config{URL: open.TLSURL() + "?skip_verify=true"}, ""},
		{"our certificate, where none is asked for", stream.Config{URL: open.TLSURL(), CAFile: known.CA, CertFile: cert, KeyFile: key}, ""},
		{"our certificate, where it is asked for", stream.Config{URL: strict.TLSURL(), CAFile: known.CA, CertFile: cert, KeyFile: key, Password: secret}, ""},
		{"our certificate, and no password", stream.Config{URL: strict.TLSURL(), CAFile: known.CA, CertFile: cert, KeyFile: key}, "--redis-password-file"},
		{"no certificate, where one is asked for", stream.Config{URL: strict.TLSURL(), CAFile: known.CA, Password: secret}, "--redis-cert-file and --redis-key-file"},
		{"a certificate of another authority", stream.Config{URL: strict.TLSURL(), CAFile: known.CA, CertFile: foreignCert, KeyFile: foreignKey}, "tls-ca-cert-file"},
		{"an authority that nobody knows", stream.Config{URL: open.TLSURL()}, "--redis-ca-file"},
		{"another authority", stream.Config{URL: open.TLSURL(), CAFile: foreign.CA}, "--redis-ca-file"},
		{"another name", stream.Config{URL: other.TLSURL(), CAFile: known.CA}, "other names"},
		{"a certificate that has expired", stream.Config{URL: old.TLSURL(), CAFile: known.CA}, "renew it"},
		{"TLS to a port without it", stream.Config{URL: strings.Replace(open.URL(), "redis", "rediss", 1), CAFile: known.CA}, "redis:// instead"},
		{"TLS to a port without it, behind a password", stream.Config{URL: strings.Replace(strict.URL(), "redis", "rediss", 1)}, "redis:// instead"},
		{"no TLS to a port that has it", stream.Config{URL: strings.Replace(open.TLSURL(), "rediss", "redis", 1)}, "rediss:// instead"},
		{"no TLS to a port that has it, with a password", stream.Config{URL: strings.Replace(strict.TLSURL(), "rediss", "redis", 1), Password: secret}, "rediss:// instead"},
		{"TLS to a web server without it", stream.Config{URL: strings.Replace(web, "redis", "rediss", 1)}, "no Redis"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, err := stream.Open(c.cfg)
			ok(t, err)
			defer client.Close()
			_, now := client.Now(t.Context())
			for what, err := range map[string]error{"a command": now, "a page": page(t.Context(), client)} {
				if c.says == "" && err != nil {
					t.Errorf("%s: %v", what, err)
				} else if c.says != "" {
					judge(t, false, c.says, err)
				}
			}
		})
	}
}

func TestCertificatesThatCannotBeUsed(t *testing.T) {
	authority := streamtest.NewAuthority(t)
	cert, key := authority.Certificate("127.0.0.1", time.Now().Add(time.Hour))
	_, otherKey := authority.Certificate("127.0.0.1", time.Now().Add(time.Hour))
	text := filepath.Join(t.TempDir(), "text")
	ok(t, os.WriteFile(text, []byte("no PEM"), 0o600))
	const url = "rediss://127.0.0.1:1/0"
	for name, c := range map[string]struct {
		cfg  stream.Config
		says string
	}{
		"a certificate without its key":   {stream.Config{URL: url, CertFile: cert}, "belong together"},
		"a key without its certificate":   {stream.Config{URL: url, KeyFile: key}, "belong together"},
		"the key of another certificate":  {stream.Config{URL: url, CertFile: cert, KeyFile: otherKey}, "belong together"},
		"a certificate that is none":      {stream.Config{URL: url, CertFile: text, KeyFile: key}, "PEM"},
		"a certificate that is missing":   {stream.Config{URL: url, CertFile: "nowhere", KeyFile: key}, "nowhere"},
		"an authority that is none":       {stream.Config{URL: url, CAFile: text}, "no PEM certificate"},
		"an authority that is missing":    {stream.Config{URL: url, CAFile: "nowhere"}, "nowhere"},
		"an authority that is a folder":   {stream.Config{URL: url, CAFile: filepath.Dir(text)}, "a folder stands"},
		"an authority without TLS":        {stream.Config{URL: "redis://127.0.0.1:1/0", CAFile: authority.CA}, "not rediss://"},
		"a certificate without TLS":       {stream.Config{URL: "redis://127.0.0.1:1/0", CertFile: cert, KeyFile: key}, "not rediss://"},
		"a certificate for a unix socket": {stream.Config{URL: "unix:///run/redis.sock", CertFile: cert, KeyFile: key}, "not rediss://"},
	} {
		if _, err := stream.Open(c.cfg); !errors.Is(err, stream.ErrMisconfigured) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want ErrMisconfigured and %q", name, err, c.says)
		}
	}
}
