package ingest

import (
	"context"
	"errors"
)

// Probe connects to a host and leaves again. It returns the wire that the host
// speaks, the newer one if it speaks both.
func Probe(ctx context.Context, host string) (Wire, error) {
	o, err := Options{Hosts: []string{host}}.completed()
	if err != nil {
		return "", err
	}
	for _, wire := range []Wire{V2, V1} {
		conn, err := o.dial(ctx, o.Hosts[0], wire, cursor{})
		if err == nil {
			_ = conn.CloseNow()
			return wire, nil
		}
		if wire == V1 || !errors.Is(err, errNoWire) {
			return "", err
		}
	}
	return "", errNoWire
}
