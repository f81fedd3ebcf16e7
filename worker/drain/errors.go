package drain

import (
	"context"
	"errors"

	"datawriter/worker/sink"
	"datawriter/worker/stream"
)

// Errors of this package, beside those of stream and sink.
var (
	// ErrIntegrity: the files or the stream contradict the protocol. Nothing is
	// deleted, and a person has to look.
	ErrIntegrity = errors.New("integrity violation")
	// ErrLost: Redis has lost entries that it had acknowledged to their producers.
	// Everything that it still had is drained.
	ErrLost = errors.New("redis lost entries")
	// ErrPartMissing: a window was drained before, and its part is not there any
	// more. Nothing is published in its place.
	ErrPartMissing = errors.New("a window was drained before, and its part is missing")
	// ErrStray: copies stand beside the parts of a window, where readers take them
	// for parts. The window itself is drained.
	ErrStray = errors.New("a copy stands beside a part")
	// ErrNoHole: what was to be accepted as a hole is none.
	ErrNoHole = errors.New("there is no hole to accept")
	// ErrAhead: a stream's last ID is so far ahead of Redis's clock that nothing which
	// is added now falls into the open window. It would wait behind that ID, for years
	// perhaps, while every window is drained in time and is empty.
	ErrAhead = errors.New("a stream is ahead of the clock of redis")
	// ErrNotClosed: by Redis's clock the window has not ended.
	ErrNotClosed = errors.New("the window is not closed yet")
	// ErrStopped: a signal asked the run to end.
	ErrStopped = errors.New("stopped by a signal")
)

// errHole: the window is an accepted hole, and Redis has nothing of it.
var errHole = errors.New("an accepted hole")

// Class groups the errors of a drain by what to do about them. The names stand
// in the run log.
type Class string

// Classes, the gravest first.
const (
	Integrity     Class = "integrity"
	Configuration Class = "configuration"
	Stop          Class = "stopped"
	Unavailable   Class = "unavailable"
	HeldByOther   Class = "held"
	None          Class = ""
)

// classes lists which errors belong to which class. What is in none of them,
// a full disk or a broken connection, is worth another try.
var classes = []struct {
	class  Class
	errors []error
}{
	{Integrity, []error{ErrIntegrity, ErrLost, ErrPartMissing, ErrStray, ErrAhead}},
	{Configuration, []error{stream.ErrMisconfigured, stream.ErrOtherOwner, sink.ErrMisplaced, sink.ErrOtherArchive, ErrNoHole}},
	{Stop, []error{ErrStopped, context.Canceled}},
	{HeldByOther, []error{stream.ErrHeld}},
}

// Classify returns the gravest class that the error belongs to.
func Classify(err error) Class {
	if err == nil {
		return None
	}
	for _, c := range classes {
		for _, target := range c.errors {
			if errors.Is(err, target) {
				return c.class
			}
		}
	}
	return Unavailable
}

// orStopped makes an error that a stop request brought about say so: a step that
// was cut off reports whatever broke first, a closed connection for example.
func orStopped(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return errors.Join(context.Cause(ctx), err)
}
