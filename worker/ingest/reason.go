package ingest

import (
	"errors"
	"fmt"
	"slices"

	"datawriter/worker/stream"
)

// Why a connection ends by our own decision.
var (
	errFull       = errors.New("redis is nearly full")
	errSilent     = errors.New("nothing came")
	errNoPong     = errors.New("the other side does not answer")
	errRenumbered = errors.New("the host's numbers are not those of before")
	errUnproven   = errors.New("nothing that came is known: it begins earlier")
)

// serverError is the reason that a server of the second wire gives for closing.
type serverError struct{ name, message string }

func (e *serverError) Error() string {
	return fmt.Sprintf("the server ends the stream: %s: %s", e.name, e.message)
}

// reason is why a connection or an attempt ended, for people and metrics.
type reason string

var reasons = []reason{"closed", "connect", "silent", "no_pong", "memory", "redis", "server_error", "too_old", "renumbered", "numbers", "unproven", "crossing", "no_wire", "too_long", "stopped"}

// reasonOf classifies the end of a connection.
func reasonOf(err error) reason {
	for _, c := range []struct {
		is error
		r  reason
	}{
		{errFull, "memory"}, {errSilent, "silent"}, {errNoPong, "no_pong"}, {errTooOld, "too_old"},
		{errRenumbered, "renumbered"}, {errNumbers, "numbers"}, {errUnproven, "unproven"}, {errCross, "crossing"}, {errNoWire, "no_wire"}, {errHuge, "too_long"},
		{stream.ErrStale, "redis"}, {stream.ErrRefused, "redis"}, {stream.ErrUnavailable, "redis"}, {stream.ErrMisconfigured, "redis"},
	} {
		if errors.Is(err, c.is) {
			return c.r
		}
	}
	var server *serverError
	switch {
	case errors.As(err, &server):
		return "server_error"
	case errors.Is(err, errConnect):
		return "connect"
	}
	return "closed"
}

var errConnect = errors.New("no connection")

// Classes of messages.
const (
	classCommit     = "commit"
	classOther      = "other"
	classUnreadable = "unreadable"
	classOversized  = "oversized"
)

var classes = []string{classCommit, "identity", "account", "sync", "other_collection", classOther, classUnreadable, classOversized}

// classOf returns the class of an event, from a closed set.
func classOf(text []byte) string {
	if at := slices.Index(classes[:4], string(text)); at >= 0 {
		return classes[at]
	}
	return classOther
}
