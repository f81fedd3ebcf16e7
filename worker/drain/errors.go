package drain

import (
	"context"
	"errors"

	"datawriter/worker/account"
	"datawriter/worker/failure"
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
	// ErrMistaken: the window cannot be the one that was meant, because it lies in the
	// future, or before there was anything to archive.
	ErrMistaken = errors.New("the window is a mistake")
	// ErrStopped: a signal asked the run to end.
	ErrStopped = errors.New("stopped by a signal")

	// errCrowded: other runs published again and again what this one was about to.
	errCrowded = errors.New("other runs are always faster")
	// errUnknown marks an error that no list knows: no retry is known to help.
	errUnknown = errors.New("unknown")
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

// classes lists which errors belong to which class, the gravest first. Worth
// another try is what stands here and what package failure lists, and nothing
// else: what is in no list is not known to pass, so a person has to look.
var classes = []struct {
	class  Class
	errors []error
}{
	{Integrity, []error{ErrIntegrity, ErrLost, ErrPartMissing, ErrStray, ErrAhead}},
	{Configuration, []error{stream.ErrMisconfigured, stream.ErrOtherOwner, sink.ErrMisplaced, sink.ErrOtherArchive, ErrNoHole, errUnknown, ErrMistaken}},
	{Stop, []error{ErrStopped, context.Canceled}},
	{Unavailable, []error{stream.ErrUnavailable, stream.ErrRefused, stream.ErrRestarted, ErrNotClosed, account.ErrBusy, errCrowded}},
	{Unavailable, nil}, // package failure
	{HeldByOther, []error{stream.ErrHeld}},
}

// Classify returns the gravest class that the error belongs to.
func Classify(err error) Class {
	class, _ := known(err)
	return class
}

// known returns the class of an error, and whether a list has it.
func known(err error) (Class, bool) {
	if err == nil {
		return None, true
	}
	for _, c := range classes {
		for _, target := range c.errors {
			if errors.Is(err, target) {
				return c.class, true
			}
		}
		if c.errors == nil && failure.Passing(err) {
			return c.class, true
		}
	}
	return Configuration, false
}

// marked makes an error that no list has say so, where it is about to be joined
// with others: beside one of a list it would not count.
func marked(err error) error {
	if _, listed := known(err); listed {
		return err
	}
	return unknown{err}
}

// unknown adds nothing to the sentence.
type unknown struct{ error }

func (unknown) Is(target error) bool { return target == errUnknown }
func (u unknown) Unwrap() error      { return u.error }

// orStopped makes an error that a stop request brought about say so: a step that
// was cut off reports whatever broke first, a closed connection for example.
func orStopped(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return errors.Join(context.Cause(ctx), err)
}
