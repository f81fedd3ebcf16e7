// Package window owns the Window: the half-open interval of entry-ID time that
// one drain moves, how people write it and how files are named after it. It
// knows nothing of Redis, of kinds or of files.
package window

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Window is the half-open interval [Start, Start+Length) of entry-ID time, in
// UTC. Start is a multiple of Length from the full hour and Length divides 60
// minutes, so no window crosses an hour. The zero Window is invalid; New,
// Parse and Containing return only valid ones.
type Window struct {
	Start  time.Time
	Length time.Duration
}

// New returns the window of that start and length, or an error that says which
// rule it breaks and how to mend it.
func New(start time.Time, length time.Duration) (Window, error) {
	if err := CheckLength(length); err != nil {
		return Window{}, err
	}
	start = start.UTC()
	if start.Unix() < 0 || start.Year() > 9999 {
		return Window{}, fmt.Errorf("window start %s is outside 1970..9999", start.Format(time.RFC3339))
	}
	if aligned := start.Truncate(length); !aligned.Equal(start) {
		return Window{}, fmt.Errorf("window start %s is not a multiple of %s from the full hour, so the window would cross a boundary: use %s/%s",
			start.Format(time.RFC3339Nano), Label(length), aligned.Format(time.RFC3339), Label(length))
	}
	return Window{Start: start, Length: length}, nil
}

// CheckLength returns an error unless length is a whole number of seconds that
// divides 60 minutes.
func CheckLength(length time.Duration) error {
	switch {
	case length <= 0:
		return fmt.Errorf("window length %s is not positive: a window ends after it starts", length)
	case length%time.Second != 0:
		return fmt.Errorf("window length %s is not a whole number of seconds", length)
	case time.Hour%length != 0:
		return fmt.Errorf("window length %s does not divide 60 minutes, so a window would cross an hour: use 1m, 5m, 10m, 15m, 30m or 1h", Label(length))
	}
	return nil
}

// Containing returns the window of that length in which t lies.
func Containing(t time.Time, length time.Duration) (Window, error) {
	return New(t.UTC().Truncate(max(length, 1)), length)
}

// End returns the first instant after the window.
func (w Window) End() time.Time { return w.Start.Add(w.Length) }

// StartMS returns the start in milliseconds of Unix time, as entry IDs count it.
func (w Window) StartMS() uint64 { return uint64(w.Start.UnixMilli()) }

// EndMS returns the end in milliseconds of Unix time.
func (w Window) EndMS() uint64 { return uint64(w.End().UnixMilli()) }

// ContainsMS reports whether an entry ID of that millisecond lies in the window.
func (w Window) ContainsMS(ms uint64) bool { return w.StartMS() <= ms && ms < w.EndMS() }

// Next returns the window that begins where w ends.
func (w Window) Next() Window { return Window{Start: w.End(), Length: w.Length} }

// Previous returns the window that ends where w begins.
func (w Window) Previous() Window { return Window{Start: w.Start.Add(-w.Length), Length: w.Length} }

// Before reports whether w begins before other.
func (w Window) Before(other Window) bool { return w.Start.Before(other.Start) }

// String returns the window as Parse reads it: "2026-11-23T10:05:00Z/5m".
func (w Window) String() string {
	return w.Start.Format(time.RFC3339) + "/" + Label(w.Length)
}

// MarshalText returns String, so that JSON documents carry it.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (w *Window) UnmarshalText(text []byte) (err error) {
	*w, err = Parse(string(text))
	return err
}

// stemLayout is the time part of a file name: "20261123T100500Z".
const stemLayout = "20060102T150405Z"

// Stem returns the window's part of a file name: "20261123T100500Z-5m".
func (w Window) Stem() string { return w.Start.Format(stemLayout) + "-" + Label(w.Length) }

// ParseStem is the inverse of Stem.
func ParseStem(stem string) (Window, error) {
	at, label, ok := strings.Cut(stem, "-")
	if !ok {
		return Window{}, fmt.Errorf("%q is not of the form 20261123T100500Z-5m", stem)
	}
	start, err := time.Parse(stemLayout, at)
	if err != nil {
		return Window{}, fmt.Errorf("%q does not begin with a time like 20261123T100500Z", stem)
	}
	length, err := ParseLength(label)
	if err != nil {
		return Window{}, err
	}
	w, err := New(start, length)
	if err == nil && w.Stem() != stem {
		return Window{}, fmt.Errorf("%q is not the canonical form %q", stem, w.Stem())
	}
	return w, err
}

// Label returns a length in its shortest form: "5m", "90s" is "90s", "1h".
func Label(length time.Duration) string {
	switch {
	case length >= time.Hour && length%time.Hour == 0:
		return strconv.FormatInt(int64(length/time.Hour), 10) + "h"
	case length >= time.Minute && length%time.Minute == 0:
		return strconv.FormatInt(int64(length/time.Minute), 10) + "m"
	case length%time.Second == 0:
		return strconv.FormatInt(int64(length/time.Second), 10) + "s"
	}
	return length.String()
}
