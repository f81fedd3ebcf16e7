package streamtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Authority signs certificates of a test. Its own stands in CA.
type Authority struct {
	CA string // PEM file

	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes one that no system trusts.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, CA: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.CA, "CERTIFICATE", der)
	return a
}

// Certificate makes one for an IP address, valid until then, and returns its PEM
// files. Servers and clients may show it.
func (a *Authority) Certificate(address string, until time.Time) (certFile, keyFile string) {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: address}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	folder := a.t.TempDir()
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	writePEM(a.t, certFile, "CERTIFICATE", der)
	writePEM(a.t, keyFile, "PRIVATE KEY", raw)
	return certFile, keyFile
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t testing.TB, name, kind string, der []byte) {
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TLSServer is a server that also has a port for TLS.
type TLSServer struct {
	*Server
	TLSPort int
}

// TLSURL returns the address of the port for TLS.
func (s *TLSServer) TLSURL() string { return fmt.Sprintf("rediss://127.0.0.1:%d/0", s.TLSPort) }

// StartTLS starts a server with a certificate; clients says whether it asks for
// theirs, in the words of tls-auth-clients: yes or no. Clients are trusted if the
// authority signed them. A server that was built without TLS stands behind a
// listener that has it.
func StartTLS(t testing.TB, a *Authority, certFile, keyFile, clients string, options ...string) *TLSServer {
	t.Helper()
	if !hasTLS(t) {
		s := Start(t, options...)
		return &TLSServer{s, listenTLS(t, a, certFile, keyFile, clients, s.Port)}
	}
	port := FreePort(t)
	s := Start(t, append([]string{"--tls-port", fmt.Sprint(port), "--tls-cert-file", certFile, "--tls-key-file", keyFile,
		"--tls-ca-cert-file", a.CA, "--tls-auth-clients", clients}, options...)...)
	return &TLSServer{s, port}
}

// hasTLS asks the program itself: one without TLS refuses its settings.
func hasTLS(t testing.TB) bool {
	out, _ := exec.Command(binary(t), "--port", "0", "--tls-port", "1", "--dir", t.TempDir()).CombinedOutput()
	return strings.Contains(string(out), "tls-cert-file")
}

// listenTLS passes what comes through TLS on to a plain port.
func listenTLS(t testing.TB, a *Authority, certFile, keyFile, clients string, port int) int {
	t.Helper()
	own, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	config.ClientCAs.AddCert(a.cert)
	if clients == "yes" {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(conn, port)
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func pass(conn net.Conn, port int) {
	defer conn.Close()
	server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, conn); _ = server.Close() }()
	_, _ = io.Copy(conn, server)
}
