package stream

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/failure"
)

// useCertificates makes TLS connections trust one more authority, and show a
// certificate of our own, where files are named. Errors are ErrMisconfigured.
func useCertificates(options *redis.Options, cfg Config) error {
	if file := cmp.Or(cfg.CAFile, cfg.CertFile, cfg.KeyFile); file != "" && options.TLSConfig == nil {
		return fmt.Errorf("certificate file %s: %w: the redis URL is not rediss://, so no certificate is used", file, ErrMisconfigured)
	}
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return fmt.Errorf("client certificate: %w: --redis-cert-file and --redis-key-file belong together: name both", ErrMisconfigured)
	}
	if cfg.CAFile != "" {
		text, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return fmt.Errorf("CA file: %w: %w", ErrMisconfigured, failure.Explained(err))
		}
		options.TLSConfig.RootCAs = x509.NewCertPool()
		if !options.TLSConfig.RootCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("CA file %s: %w: it holds no PEM certificate", cfg.CAFile, ErrMisconfigured)
		}
	}
	if cfg.CertFile != "" {
		own, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return fmt.Errorf("client certificate %s with key %s: %w: they must be PEM, belong together, and the key must have no passphrase: %w",
				cfg.CertFile, cfg.KeyFile, ErrMisconfigured, failure.Explained(err))
		}
		options.TLSConfig.Certificates = []tls.Certificate{own}
	}
	return nil
}
