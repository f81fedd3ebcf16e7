package simulate

import "time"

// createdAt is set by clients, and they lie: most by seconds, some by years,
// and about one in fifty writes it in another form than the usual one.
const (
	oddFormShare  = 0.015
	oddTimeShare  = 0.005
	usualSkew     = 4 * time.Second
	createdLayout = "2006-01-02T15:04:05.000Z"
)

// oddForms are layouts of package time and, without digits to fill, texts that
// are no time at all.
var oddForms = []string{
	"2006-01-02T15:04:05+00:00",
	"2006-01-02T15:04:05+00:00",
	"2006-01-02T15:04:05Z",
	"2006-01-02T15:04:05Z",
	"2006-01-02T15:04:05.000000Z",
	"2006-01-02T15:04:05.000000+00:00",
	"2006-01-02T15:04:05.000000000Z",
	"2006-01-02T15:04:05.0Z",
	"2006-01-02T15:04:05.000-07:00",
	"2006-01-02 15:04:05",
	"2006-01-02",
	"now",
	"",
}

// oddTimes are far from the truth: imports of old posts, clocks that never ran,
// clocks that run ahead.
var oddTimes = []time.Time{
	time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
	time.Unix(0, 0).UTC(),
	time.Date(2011, 5, 3, 9, 12, 44, 0, time.UTC),
	time.Date(2019, 12, 31, 23, 59, 59, 999_000_000, time.UTC),
	time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
	time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
}

// appendCreatedAt appends the member createdAt of a record written at us.
func (g *Generator) appendCreatedAt(dst []byte, us int64) []byte {
	skew := g.rng.Int64N(int64(usualSkew/time.Microsecond)) - int64(usualSkew/time.Microsecond)*3/4
	at, layout := time.UnixMicro(us+skew).UTC(), createdLayout
	switch x := g.rng.Float64(); {
	case x < oddFormShare:
		layout = g.among(oddForms)
		at = at.In(time.FixedZone("", 3600*(g.rng.IntN(24)-11)))
		if layout != "2006-01-02T15:04:05.000-07:00" {
			at = at.UTC()
		}
	case x < oddFormShare+oddTimeShare:
		at = oddTimes[g.rng.IntN(len(oddTimes))]
	}
	dst = append(dst, `"createdAt":"`...)
	dst = at.AppendFormat(dst, layout)
	return append(dst, '"')
}
