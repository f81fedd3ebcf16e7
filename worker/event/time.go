package event

import "time"

// millisLayout is the form in which nearly every client writes createdAt. A
// valid time of this form needs no created_at_raw.
const millisLayout = "2006-01-02T15:04:05.000Z"

// isMillis reports whether a valid time has the form of millisLayout.
func isMillis(valid []byte) bool {
	return len(valid) == len(millisLayout) && valid[19] == '.' && valid[23] == 'Z'
}

// appendMillis appends a time in microseconds in the form of millisLayout.
func appendMillis(dst []byte, micros int64) []byte {
	return time.UnixMicro(micros).UTC().AppendFormat(dst, millisLayout)
}

// parseTime parses an RFC 3339 time and returns microseconds of Unix time;
// further digits are cut off. It is stricter than package time, which takes
// one-digit hours, decimal commas and offsets of 24 hours. Leap seconds
// are refused: their microseconds would be those of the second after; so are times
// that are not in the years 1 to 9999 in UTC, at which query engines fail.
func parseTime(s []byte) (micros int64, ok bool) {
	const seconds = len("2006-01-02T15:04:05")
	if len(s) <= seconds {
		return 0, false
	}
	date, ok := parseDate(s[:seconds])
	if !ok {
		return 0, false
	}
	fraction, rest, ok := parseFraction(s[seconds:])
	if !ok {
		return 0, false
	}
	offset, ok := parseOffset(rest)
	micros = (date-offset)*1e6 + fraction
	return micros, ok && leastTime <= micros && micros < endOfTime
}

// The years 1 to 9999 of the proleptic Gregorian calendar, in microseconds of Unix time.
var (
	leastTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	endOfTime = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
)

// parseDate parses "2006-01-02T15:04:05" and returns seconds of Unix time as
// if it were UTC.
func parseDate(s []byte) (seconds int64, ok bool) {
	if s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	year, month, day := digits(s[0:4]), digits(s[5:7]), digits(s[8:10])
	hour, minute, second := digits(s[11:13]), digits(s[14:16]), digits(s[17:19])
	if year < 0 || month < 1 || month > 12 || day < 1 ||
		!upTo(hour, 23) || !upTo(minute, 59) || !upTo(second, 59) {
		return 0, false
	}
	date := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if day > 28 && date.Day() != day { // the month is shorter: Date has gone on into the next
		return 0, false
	}
	return date.Unix(), true
}

// parseFraction parses the optional ".123", of any length.
func parseFraction(s []byte) (micros int64, rest []byte, ok bool) {
	if s[0] != '.' {
		return 0, s, true
	}
	n := 1
	for scale := int64(100_000); n < len(s) && '0' <= s[n] && s[n] <= '9'; n++ {
		micros += int64(s[n]-'0') * scale
		scale /= 10
	}
	return micros, s[n:], n > 1
}

// parseOffset parses "Z" or "+05:30" and returns seconds east of UTC.
func parseOffset(s []byte) (seconds int64, ok bool) {
	if len(s) == 1 && s[0] == 'Z' {
		return 0, true
	}
	if len(s) != len("+05:30") || s[3] != ':' || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	hour, minute := digits(s[1:3]), digits(s[4:6])
	if !upTo(hour, 23) || !upTo(minute, 59) {
		return 0, false
	}
	seconds = int64(hour*3600 + minute*60)
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

func upTo(n, limit int) bool { return 0 <= n && n <= limit }

// digits returns the number that s writes, or -1 unless all of s is digits.
func digits(s []byte) (n int) {
	for _, c := range s {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}
