package validate

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// moment is a value at a time.
type moment struct {
	at    time.Time
	value float64
}

// slopePerHour is how fast values rise, as the median of the slopes between pairs
// of them (Theil and Sen): a few outliers, and the teeth of a saw, do not turn it.
// NaN for fewer than three.
func slopePerHour(values []moment) float64 {
	if len(values) < 3 {
		return math.NaN()
	}
	values = atMostMoments(values, 400) // pairs grow with the square
	var slopes []float64
	for i := range values {
		for k := i + 1; k < len(values); k++ {
			if hours := values[k].at.Sub(values[i].at).Hours(); hours > 0 {
				slopes = append(slopes, (values[k].value-values[i].value)/hours)
			}
		}
	}
	if len(slopes) == 0 {
		return math.NaN()
	}
	slices.Sort(slopes)
	return slopes[len(slopes)/2]
}

func atMostMoments(values []moment, n int) (kept []moment) {
	step := max(1, (len(values)+n-1)/n)
	for i := 0; i < len(values); i += step {
		kept = append(kept, values[i])
	}
	return kept
}

// longestLife returns the usage of a role in the longest stretch in which its
// process was the same, without the first tenth of it, in which a program warms up.
func longestLife(samples []reading, role string, value func(*usage) float64) (life []moment) {
	var now []moment
	pid := 0
	for _, s := range samples {
		u := s.Usage[role]
		if u == nil {
			continue
		}
		if u.PID != pid {
			now, pid = nil, u.PID
		}
		now = append(now, moment{s.At, value(u)})
		if len(now) > len(life) {
			life = now
		}
	}
	return life[len(life)/10:]
}

// Growth that an hour of work may show, beyond which something leaks.
const (
	mostServerGrowth = 50 // MB an hour
	mostOtherGrowth  = 20
	mostFileGrowth   = 10 // open files an hour
)

// trends: what an hour of work leaves behind.
func (j *judge) trends() {
	for _, role := range trendRoles {
		most := mostOtherGrowth
		if role == "server" {
			most = mostServerGrowth
		}
		bar := atMost(float64(most))
		if role == "redis" {
			bar = measured() // its memory is the backlog; what stays after a drain is judged below
		}
		life := longestLife(j.rec.Samples, role, func(u *usage) float64 { return float64(u.Memory) / 1e6 })
		if len(life) == 0 {
			continue // this stack had none
		}
		j.trend("memory of the "+role, "MB/h", bar, life)
		j.trend("open files of the "+role, "files/h", atMost(mostFileGrowth), longestLife(j.rec.Samples, role, func(u *usage) float64 { return float64(u.Files) }))
	}
	j.trend("memory of Redis after each drain", "MB/h", atMost(mostOtherGrowth), j.floors(func(s reading) float64 { return s.Memory / 1e6 }))
	j.trend("append-only file after each drain", "MB/h", measured(), j.floors(func(s reading) float64 { return s.AOF / 1e6 }))
	j.trend("SQLite of Prefect", "MB/h", measured(), j.all(func(s reading) float64 { return float64(s.SQLite) / 1e6 }))
	j.trend("archive", "MB/h", measured(), j.all(func(s reading) float64 { return float64(s.DataBytes) / 1e6 }))
}

func (j *judge) trend(name, unit string, bar Bar, values []moment) {
	detail := ""
	if len(values) > 0 {
		first, last := values[0], values[len(values)-1]
		detail = fmt.Sprintf("%.0f at first, %.0f at last, %d looks in %s", first.value, last.value, len(values), last.at.Sub(first.at).Round(time.Second))
	}
	if j.rec.Quick {
		bar = measured() // minutes tell nothing of hours
	}
	if slope := slopePerHour(values); !math.IsNaN(slope) || bar.holds != nil {
		j.criterion(Criterion{Name: "trend: " + name, Value: slope, Unit: unit, Bar: bar, Detail: detail})
	}
}

func (j *judge) all(value func(reading) float64) (values []moment) {
	for _, s := range j.rec.Samples {
		if s.Redis && s.At.After(j.rec.Start) {
			values = append(values, moment{s.At, value(s)})
		}
	}
	return values
}

// floors takes, for each window's length of time, the sample with the fewest
// waiting entries: what is there then is not the backlog's.
func (j *judge) floors(value func(reading) float64) (values []moment) {
	best := make(map[int64]reading)
	for _, s := range j.rec.Samples {
		if !s.Redis || s.At.Before(j.rec.First.End()) {
			continue
		}
		slot := int64(s.At.Sub(j.rec.Start) / j.rec.First.Length)
		if b, ok := best[slot]; !ok || s.Waiting < b.Waiting {
			best[slot] = s
		}
	}
	for _, s := range best {
		values = append(values, moment{s.At, value(s)})
	}
	slices.SortFunc(values, func(a, b moment) int { return a.at.Compare(b.at) })
	return values
}

// baselines: what undisturbed work looks like beside the thresholds of the alerts.
// A threshold that calm work comes near would cry wolf.
func (j *judge) baselines() {
	calm := j.undisturbed()
	of := func(value func(reading) float64) []float64 {
		var values []float64
		for _, s := range calm {
			if s.Redis {
				values = append(values, value(s))
			}
		}
		slices.Sort(values)
		return values
	}
	j.baseline("memory of Redis", "%", 70, of(func(s reading) float64 { return 100 * s.Memory / max(1, s.MaxMemory) }))
	j.baseline("Redis answers, slowest of each look", "ms", 20, of(func(s reading) float64 { return s.Ping }))
	j.baseline("connections to Redis", "", 100, of(func(s reading) float64 { return s.Clients }))
	j.baseline("oldest window that waits for its files, in windows", "windows", 2, of(j.waitingWindows))
	var seconds []float64
	for _, w := range j.windows {
		if c, ok := j.commits[w]; ok {
			seconds = append(seconds, c.seconds)
		}
	}
	slices.Sort(seconds)
	j.baseline("drain of a window", "s", 240, seconds)
}

// baseline shows a value of calm work beside the threshold at which an alert warns.
func (j *judge) baseline(name, unit string, warns float64, values []float64) {
	at := func(share float64) float64 {
		if len(values) == 0 {
			return math.NaN()
		}
		return values[int(share*float64(len(values)-1))]
	}
	bar := below(warns)
	if unit == "ms" || j.rec.Quick {
		bar = measured() // the machine's, as much as Redis's; an alert looks at a mean over minutes
	}
	j.criterion(Criterion{Name: "baseline: " + name + ", P95", Value: at(0.95), Unit: unit, Bar: bar,
		Detail: fmt.Sprintf("P50 %s, most %s; an alert warns at %s", Number(at(0.5), unit), Number(at(1), unit), Number(warns, unit))})
}

// waitingWindows is how many closed windows had no files yet.
func (j *judge) waitingWindows(s reading) float64 {
	n := 0.0
	for _, w := range j.windows {
		c, ok := j.commits[w]
		if w.End().Before(s.At) && (!ok || c.at.After(s.At)) {
			n++
		}
	}
	return n
}
