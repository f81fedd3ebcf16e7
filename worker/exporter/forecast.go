package exporter

import (
	"math"
	"time"
)

const (
	// forecastSpan is how much of the past a forecast looks at: long enough to
	// pass over noise, short enough to see that producers have speeded up.
	forecastSpan = 2 * time.Minute
	// forecastLeast is the shortest past that says anything.
	forecastLeast = 10 * time.Second
)

// forecast tells when a quantity reaches a limit if it goes on growing as it
// did. The zero forecast knows nothing.
type forecast struct{ samples []sample }

type sample struct {
	at    time.Time
	value float64
}

func (f *forecast) add(at time.Time, value float64) {
	f.samples = append(f.samples, sample{at, value})
	for at.Sub(f.samples[0].at) > forecastSpan {
		f.samples = f.samples[1:]
	}
}

// until returns the seconds until the limit: 0 when it is reached, +Inf when the
// quantity does not grow. ok is false while too little is known.
func (f *forecast) until(limit float64) (left float64, ok bool) {
	if len(f.samples) == 0 {
		return 0, false
	}
	last := f.samples[len(f.samples)-1]
	if last.value >= limit {
		return 0, true
	}
	if last.at.Sub(f.samples[0].at) < forecastLeast {
		return 0, false
	}
	growth := f.slope()
	if growth <= 0 {
		return math.Inf(1), true
	}
	return (limit - last.value) / growth, true
}

// slope is the growth per second of the straight line that fits best.
func (f *forecast) slope() float64 {
	n, origin := float64(len(f.samples)), f.samples[0].at
	var sumX, sumY, sumXX, sumXY float64
	for _, s := range f.samples {
		x := s.at.Sub(origin).Seconds()
		sumX, sumY = sumX+x, sumY+s.value
		sumXX, sumXY = sumXX+x*x, sumXY+x*s.value
	}
	return (n*sumXY - sumX*sumY) / (n*sumXX - sumX*sumX)
}
