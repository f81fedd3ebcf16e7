package drain

import (
	"testing"
	"time"

	"datawriter/worker/window"
)

func TestTheWindowThatWasMeant(t *testing.T) {
	east := time.FixedZone("UTC+9", 9*60*60)
	for _, c := range []struct {
		name, written, now string
		zone               *time.Location
		meant              string
	}{
		{"the next year", "2027-11-23T10:05:00Z/5m", "2026-11-28T02:10:07Z", time.UTC, "2026-11-23T10:05:00Z/5m"},
		{"a year far ahead", "2062-11-23T10:05:00Z/5m", "2026-11-28T02:10:07Z", time.UTC, "2026-11-23T10:05:00Z/5m"},
		{"a year long ago", "2016-11-23T10:05:00Z/5m", "2026-11-28T02:10:07Z", time.UTC, "2026-11-23T10:05:00Z/5m"},
		{"the new year, in January", "2027-12-31T23:55:00Z/5m", "2027-01-01T00:10:00Z", time.UTC, "2026-12-31T23:55:00Z/5m"},
		{"day and month the other way round", "2026-12-11T10:05:00Z/5m", "2026-11-28T02:10:07Z", time.UTC, "2026-11-12T10:05:00Z/5m"},
		{"a time of this machine's zone", "2026-11-28T11:00:00Z/5m", "2026-11-28T02:10:07Z", east, "2026-11-28T02:00:00Z/5m"},
		{"tomorrow, which is no slip of the pen", "2026-11-29T02:05:00Z/5m", "2026-11-28T02:10:07Z", time.UTC, ""},
		{"another year, but too long ago", "2027-03-01T10:05:00Z/5m", "2026-11-28T02:10:07Z", time.UTC, ""},
		{"a day that the year does not have", "2028-02-29T10:05:00Z/5m", "2027-02-28T10:00:00Z", time.UTC, ""},
		{"the end of time", "9999-12-31T23:55:00Z/5m", "2026-11-28T02:10:07Z", time.UTC, ""},
	} {
		w, err := window.Parse(c.written)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := meant(w, now, c.zone)
		if ok != (c.meant != "") || ok && got.String() != c.meant {
			t.Errorf("%s: %s, %v, want %s", c.name, got, ok, c.meant)
		}
	}
}
