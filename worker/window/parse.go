package window

import (
	"fmt"
	"strings"
	"time"
)

// Parse reads one window in any of the forms START/LENGTH
// ("2026-11-23T10:05:00Z/5m"), START/END and START/PT5M (ISO 8601 intervals).
func Parse(s string) (Window, error) {
	from, to, ok := strings.Cut(s, "/")
	if !ok {
		return Window{}, fmt.Errorf("window %q has no '/': write START/LENGTH, for example 2026-11-23T10:05:00Z/5m", s)
	}
	start, err := parseTime(from)
	if err != nil {
		return Window{}, fmt.Errorf("window %q: %w", s, err)
	}
	length, err := lengthTo(start, to)
	if err != nil {
		return Window{}, fmt.Errorf("window %q: %w", s, err)
	}
	w, err := New(start, length)
	if err != nil {
		return Window{}, fmt.Errorf("window %q: %w", s, err)
	}
	return w, nil
}

// lengthTo reads what stands behind the slash: an end, an ISO duration or a length.
func lengthTo(start time.Time, to string) (time.Duration, error) {
	if end, err := parseTime(to); err == nil {
		if !end.After(start) {
			return 0, fmt.Errorf("it ends at %s, not after its start %s", to, start.Format(time.RFC3339))
		}
		return end.Sub(start), nil
	}
	return ParseLength(to)
}

// ParseLength reads a window length: "5m", "300s" or "PT5M".
func ParseLength(s string) (time.Duration, error) {
	length, err := parseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("length %q is not a duration: write 5m, 300s or PT5M", s)
	}
	return length, CheckLength(length)
}

// parseDuration reads "24h", or in the form of ISO 8601 "PT24H".
func parseDuration(s string) (time.Duration, error) {
	text := s
	if iso, ok := strings.CutPrefix(s, "PT"); ok {
		text = strings.ToLower(iso)
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a time with an offset like 2026-11-23T10:05:00Z nor a duration like 24h", s)
	}
	return length, nil
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time with an offset: write 2026-11-23T10:05:00Z", s)
}
