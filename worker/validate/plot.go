package validate

import (
	"encoding/json"
	"sync"
	"time"
)

// Plot is values over the time of a step. It is safe for concurrent use.
type Plot struct {
	Title  string
	Unit   string
	Limit  float64 // a line across; 0 draws none
	Series []*Series
	Marks  []Mark
	Across string // what the points stand over, where it is not time

	mu    sync.Mutex
	start time.Time
}

// Series is one line of a plot.
type Series struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Point is a value at a moment, in seconds since the step's start.
type Point struct {
	At    float64 `json:"at"`
	Value float64 `json:"value"`
}

// Mark is something that happened: a restart, a fault.
type Mark struct {
	At   float64 `json:"at"`
	What string  `json:"what"`
}

// add appends a value to a series, now.
func (p *Plot) add(series string, value float64) { p.addAt(time.Now(), series, value) }

// addAt appends a value to a series at a moment.
func (p *Plot) addAt(at time.Time, series string, value float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	point := Point{At: at.Sub(p.start).Seconds(), Value: value}
	for _, s := range p.Series {
		if s.Name == series {
			s.Points = append(s.Points, point)
			return
		}
	}
	p.Series = append(p.Series, &Series{Name: series, Points: []Point{point}})
}

// addCategory appends a value over something else than time.
func (p *Plot) addCategory(x float64, across, series string, value float64) {
	p.Across = across
	p.addAt(p.start.Add(time.Duration(x*float64(time.Second))), series, value)
}

// mark notes that something happened now.
func (p *Plot) mark(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Marks = append(p.Marks, Mark{At: time.Since(p.start).Seconds(), What: what})
}

// maxPoints of a series are kept in a report: more than a plot has pixels.
const maxPoints = 600

// plotDocument is a plot as JSON has it.
type plotDocument struct {
	Title  string    `json:"title"`
	Unit   string    `json:"unit"`
	Limit  float64   `json:"limit,omitempty"`
	Across string    `json:"across,omitempty"`
	Series []*Series `json:"series"`
	Marks  []Mark    `json:"marks,omitempty"`
}

// MarshalJSON writes the plot with its series thinned out.
func (p *Plot) MarshalJSON() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	doc := plotDocument{Title: p.Title, Unit: p.Unit, Limit: p.Limit, Across: p.Across, Marks: p.Marks}
	for _, s := range p.Series {
		doc.Series = append(doc.Series, &Series{Name: s.Name, Points: thin(s.Points, maxPoints)})
	}
	return json.Marshal(doc)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *Plot) UnmarshalJSON(text []byte) error {
	var doc plotDocument
	if err := json.Unmarshal(text, &doc); err != nil {
		return err
	}
	p.Title, p.Unit, p.Limit, p.Across, p.Series, p.Marks = doc.Title, doc.Unit, doc.Limit, doc.Across, doc.Series, doc.Marks
	return nil
}

// thin keeps at most n points: of each stretch the lowest and the highest, so
// that no peak is lost.
func thin(points []Point, n int) []Point {
	if len(points) <= n {
		return points
	}
	var kept []Point
	stretch := (2*len(points) + n - 1) / n
	for i := 0; i < len(points); i += stretch {
		low, high := i, i
		for j := i; j < min(i+stretch, len(points)); j++ {
			if points[j].Value < points[low].Value {
				low = j
			}
			if points[j].Value > points[high].Value {
				high = j
			}
		}
		kept = append(kept, points[min(low, high)])
		if low != high {
			kept = append(kept, points[max(low, high)])
		}
	}
	return kept
}
