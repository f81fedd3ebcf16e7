package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is the medians of one variant over the rounds.
type row struct {
	Name          string   `json:"name"`
	About         string   `json:"about"`
	Seconds       float64  `json:"seconds"`
	EventsPerSec  float64  `json:"events_per_second"`
	CPU           float64  `json:"cpu_seconds"`
	RedisCPU      float64  `json:"redis_cpu_seconds"`
	PeakMB        float64  `json:"peak_mb"`
	BytesPerEvent float64  `json:"bytes_per_event,omitempty"`
	Samples       []sample `json:"samples"`
}

// result is one whole measurement, as the JSON file holds it.
type result struct {
	Date   string  `json:"date"`
	CPUs   int     `json:"cpus"`
	Redis  string  `json:"redis"`
	Go     string  `json:"go"`
	Events int64   `json:"events"`
	Pad    int     `json:"pad_bytes"`
	Rounds int     `json:"rounds"`
	Rows   []row   `json:"rows"`
	Ratios []ratio `json:"ratios"`
}

// ratio compares two medians.
type ratio struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Bar   string  `json:"bar"`
}

func (o options) report(ctx context.Context, s *stage, samples map[string][]sample) error {
	info, err := s.redis.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	r := result{
		Date: time.Now().UTC().Format(time.DateOnly), CPUs: runtime.NumCPU(), Go: runtime.Version(),
		Redis: infoField(info, "redis_version"), Events: o.events, Pad: o.pad, Rounds: o.rounds,
	}
	for _, v := range o.variants() {
		if len(samples[v.Name]) > 0 {
			r.Rows = append(r.Rows, newRow(v, o.events, samples[v.Name]))
		}
	}
	r.Ratios = ratios(r.Rows)
	if err := r.print(os.Stdout); err != nil || o.out == "" {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.out+".json", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(o.out+".svg", []byte(r.plot()), 0o644)
}

func infoField(info, name string) string {
	for line := range strings.SplitSeq(info, "\r\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return value
		}
	}
	return "unknown"
}

func newRow(v variant, events int64, samples []sample) row {
	of := func(field func(sample) float64) float64 {
		values := make([]float64, len(samples))
		for i, m := range samples {
			values[i] = field(m)
		}
		return median(values)
	}
	r := row{Name: v.Name, About: v.About, Samples: samples,
		Seconds:  of(func(m sample) float64 { return m.Seconds }),
		CPU:      of(func(m sample) float64 { return m.CPU }),
		RedisCPU: of(func(m sample) float64 { return m.RedisCPU }),
		PeakMB:   of(func(m sample) float64 { return m.PeakMB }),
	}
	r.EventsPerSec = float64(events) / r.Seconds
	r.BytesPerEvent = of(func(m sample) float64 { return float64(m.Bytes) }) / float64(events)
	return r
}

func median(values []float64) float64 {
	slices.SortFunc(values, cmp.Compare[float64])
	n := len(values)
	if n%2 == 1 {
		return values[n/2]
	}
	return (values[n/2-1] + values[n/2]) / 2
}

// ratios are the bars that the product sets itself.
func ratios(rows []row) (all []ratio) {
	find := func(name string) (row, bool) {
		i := slices.IndexFunc(rows, func(r row) bool { return r.Name == name })
		if i < 0 {
			return row{}, false
		}
		return rows[i], true
	}
	add := func(what, bar string, top, bottom string, value func(a, b row) float64) {
		a, okA := find(top)
		b, okB := find(bottom)
		if okA && okB {
			all = append(all, ratio{What: what, Bar: bar, Value: value(a, b)})
		}
	}
	rate := func(a, b row) float64 { return a.EventsPerSec / b.EventsPerSec }
	cpu := func(a, b row) float64 { return (a.CPU + a.RedisCPU) / (b.CPU + b.RedisCPU) }
	wall := func(a, b row) float64 { return a.Seconds / b.Seconds }
	add("rate, default / bare read + ack + delete", ">= 0.85", nameRun, nameBareAck, rate)
	add("rate, --noack / bare range + trim", ">= 0.60 of the smaller", nameNoack, nameBareRange, rate)
	add("rate, --noack / encoding alone", ">= 0.60 of the smaller", nameNoack, nameEncode, rate)
	add("CPU with Redis, default / peer", "<= 0.50", nameRun, namePeer, cpu)
	add("CPU with Redis, --noack / peer", "<= 0.20", nameNoack, namePeer, cpu)
	add("wall, default / peer", "<= 0.33", nameRun, namePeer, wall)
	add("wall, --noack / peer", "<= 0.17", nameNoack, namePeer, wall)
	add("size, default / peer", "<= 1.02", nameRun, namePeer, func(a, b row) float64 { return a.BytesPerEvent / b.BytesPerEvent })
	return all
}

func (r result) print(out io.Writer) error {
	fmt.Fprintf(out, "%s, %d CPUs, Redis %s, %s, %d events, medians of %d rounds\n\n", r.Date, r.CPUs, r.Redis, r.Go, r.Events, r.Rounds)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "what\tseconds\tevents/s\tCPU s\tRedis CPU s\tpeak MB\tbytes/event\t")
	for _, row := range r.Rows {
		fmt.Fprintf(table, "%s\t%.2f\t%.0f\t%.2f\t%.2f\t%.0f\t%.1f\t\n", row.Name, row.Seconds, row.EventsPerSec, row.CPU, row.RedisCPU, row.PeakMB, row.BytesPerEvent)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, ratio := range r.Ratios {
		fmt.Fprintf(out, "%-45s %5.2f  (bar %s)\n", ratio.What, ratio.Value, ratio.Bar)
	}
	return nil
}

// plot draws a bar a row: events per second.
func (r result) plot() string {
	const width, line = 760, 34
	top := 0.0
	for _, row := range r.Rows {
		top = max(top, row.EventsPerSec)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`, width, line*len(r.Rows)+40)
	fmt.Fprintf(&b, `<text x="10" y="20">events per second, %d events, %d CPUs, medians of %d rounds, %s</text>`, r.Events, r.CPUs, r.Rounds, r.Date)
	for i, row := range r.Rows {
		y := 36 + i*line
		fill := "#9aa5b1"
		if strings.HasPrefix(row.Name, "run") {
			fill = "#2b6cb0"
		}
		fmt.Fprintf(&b, `<text x="10" y="%d">%s</text><rect x="200" y="%d" width="%.0f" height="18" fill="%s"/><text x="%.0f" y="%d">%.0f</text>`,
			y+15, row.Name, y, row.EventsPerSec/top*440, fill, 206+row.EventsPerSec/top*440, y+15, row.EventsPerSec)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
