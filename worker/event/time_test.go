package event

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	at := func(s string) int64 {
		parsed, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.UnixMicro()
	}
	valid := []struct {
		text string
		want int64
	}{
		{"2026-11-23T10:05:00.123Z", at("2026-11-23T10:05:00.123Z")},
		{"2026-11-23T10:05:00Z", at("2026-11-23T10:05:00Z")},
		{"2026-11-23T10:05:00.1Z", at("2026-11-23T10:05:00.1Z")},
		{"2026-11-23T10:05:00.123456999999999999999Z", at("2026-11-23T10:05:00.123456Z")},
		{"2026-11-23T15:35:00.5+05:30", at("2026-11-23T10:05:00.5Z")},
		{"2026-11-23T10:05:00-23:59", at("2026-11-24T10:04:00Z")},
		{"2026-11-23T10:05:00-00:00", at("2026-11-23T10:05:00Z")},
		{"2024-02-29T23:59:59.999Z", at("2024-02-29T23:59:59.999Z")},
		{"1969-12-31T23:59:59.9999999Z", -1},
		{"0001-01-01T00:00:00Z", at("0001-01-01T00:00:00Z")},
		{"0000-12-31T23:00:00-01:00", at("0001-01-01T00:00:00Z")},
		{"9999-12-31T23:59:59.999999+00:01", at("9999-12-31T23:58:59.999999Z")},
		{"9999-12-31T23:59:59.999999Z", at("9999-12-31T23:59:59.999999Z")},
	}
	for _, test := range valid {
		if got, ok := parseTime([]byte(test.text)); !ok || got != test.want {
			t.Errorf("%s: %d, %t, want %d", test.text, got, ok, test.want)
		}
	}
}

func TestParseTimeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                     "",
		"a date":                      "2026-11-23",
		"no offset":                   "2026-11-23T10:05:00",
		"no offset behind the dot":    "2026-11-23T10:05:00.",
		"a dot without digits":        "2026-11-23T10:05:00.Z",
		"a decimal comma":             "2026-11-23T10:05:00,123Z",
		"a space for T":               "2026-11-23 10:05:00Z",
		"small letters":               "2026-11-23t10:05:00z",
		"a one-digit hour":            "2026-11-23T9:05:00Z",
		"hour 24":                     "2026-11-23T24:00:00Z",
		"minute 60":                   "2026-11-23T10:60:00Z",
		"a leap second":               "2016-12-31T23:59:60Z",
		"month 0":                     "2026-00-23T10:05:00Z",
		"month 13":                    "2026-13-23T10:05:00Z",
		"day 0":                       "2026-11-00T10:05:00Z",
		"31 November":                 "2026-11-31T10:05:00Z",
		"29 February of a plain year": "2026-02-29T10:05:00Z",
		"29 February 1900":            "1900-02-29T10:05:00Z",
		"a sign in a number":          "+026-11-23T10:05:00Z",
		"a letter in a number":        "2026-11-2eT10:05:00Z",
		"an offset of 24 hours":       "2026-11-23T10:05:00+24:00",
		"an offset of 60 minutes":     "2026-11-23T10:05:00+00:60",
		"an offset without a colon":   "2026-11-23T10:05:00+0000",
		"text behind it":              "2026-11-23T10:05:00Z ",
		"year 0":                      "0000-06-01T00:00:00.000Z",
		"the last moment of year 0":   "0000-12-31T23:59:59.999999Z",
		"an offset back into year 0":  "0001-01-01T00:59:59+01:00",
		"an offset into year 10000":   "9999-12-31T23:59:59-00:01",
		"a year before year 0":        "-001-01-01T00:00:00Z",
		"five digits of year":         "12026-11-23T10:05:00Z",
	} {
		if got, ok := parseTime([]byte(text)); ok {
			t.Errorf("%s: %s is taken for %d", name, text, got)
		}
	}
}
