package verify

import (
	"context"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
)

// check is one promise, and where it looks to see it kept. Of its hooks only
// those that are set are called.
type check struct {
	Name    string
	Promise string
	needs   source // beside the files

	// hour sees the names of every hour, in order of time.
	hour func(v *Verifier, h sink.Hour, say sayer)
	// row and reject see every record of every file, from several goroutines,
	// and return what is wrong with it, or nothing.
	row    func(f *file, r *event.Row) string
	reject func(f *file, r *event.Reject) string
	// file sees every file after it was read, with the error that ended that,
	// and returns what is wrong with it, or nothing.
	file func(f *file, failed error) string
	// set sees the files of one (window, kind) after all were read.
	set func(ctx context.Context, s *set, say sayer) error
	// final sees it once, when what was found of it is final; one call at a time.
	final func(v *Verifier, s *set)
	// record sees every line of the run log on a window of the range.
	record func(ctx context.Context, v *Verifier, r runlog.Record, say sayer) error
	// stream sees every kind's stream.
	stream func(ctx context.Context, k *kindStream, say sayer) error
	// left sees what a stream still holds of one drained window.
	left func(l *leftover, say sayer)
	// end is called when all files have been seen.
	end func(ctx context.Context, v *Verifier, say sayer) error
}

// source is what a check can ask.
type source int

const (
	onlyFiles source = iota
	runLog
	redis
)

// given reports whether the verification has the source.
func (s source) given(cfg Config) bool {
	switch s {
	case runLog:
		return cfg.Runs != nil
	case redis:
		return cfg.Source != nil
	}
	return true
}

// checks is the table: a new check is one line here and one file.
func checks() []check {
	return []check{
		checkArchive,
		checkStray,
		checkMissing,
		checkNumbers,
		checkReadable,
		checkFooter,
		checkWindow,
		checkHash,
		checkRows,
		checkUnique,
		checkUnchanged,
		checkSettled,
		checkDrained,
		checkPending,
		checkAhead,
		checkCounter,
		checkLosses,
	}
}
