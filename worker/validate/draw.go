package validate

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Size of a plot, in the units of its viewBox: narrow enough to be read on a phone.
const (
	plotWidth, plotHeight          = 440, 240
	plotLeft, plotRight            = 52, 12
	plotTop, plotBottom            = 42, 34
	innerWidth, innerHeight        = plotWidth - plotLeft - plotRight, plotHeight - plotTop - plotBottom
	wantedTicksAcross, wantedTicks = 5, 5
)

// lineColours are those of series: told apart on light and dark ground, and by eyes that do not
// tell red from green.
var lineColours = []string{"#2f7ed8", "#e07b00", "#8a4fd0", "#1a9c8c", "#c2337a"}

// SVG draws the plot. Standalone, it stands on white ground, as an image does;
// otherwise it takes the colour of the text around it.
func (p *Plot) SVG(standalone bool) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.frame()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui,sans-serif" font-size="11" role="img" aria-label="%s">`,
		plotWidth, plotHeight, html.EscapeString(p.Title))
	if standalone {
		fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`, plotWidth, plotHeight)
	}
	fmt.Fprintf(&b, `<text x="8" y="15" font-size="13" font-weight="600" fill="currentColor">%s</text>`, html.EscapeString(p.Title))
	p.drawAxes(&b, f)
	p.drawMarks(&b, f)
	p.drawSeries(&b, f)
	b.WriteString("</svg>")
	return b.String()
}

// frame maps values to places.
type frame struct {
	left, right, low, high float64 // of the values
	across                 string  // unit of the axis across
	scale                  float64 // of its numbers
}

func (p *Plot) frame() frame {
	f := frame{left: math.Inf(1), right: math.Inf(-1), high: p.Limit, across: "s", scale: 1}
	for _, s := range p.Series {
		for _, point := range s.Points {
			f.left, f.right = min(f.left, point.At), max(f.right, point.At)
			f.low, f.high = min(f.low, point.Value), max(f.high, point.Value)
		}
	}
	if f.left > f.right { // no points
		f.left, f.right = 0, 1
	}
	if f.right == f.left {
		f.right++
	}
	if f.high == f.low {
		f.high = f.low + 1
	}
	f.high += (f.high - f.low) * 0.06
	switch {
	case p.Across != "":
		f.across = p.Across
	case f.right-f.left > 600:
		f.across, f.scale = "min", 60
	}
	return f
}

func (f frame) x(at float64) float64 {
	return plotLeft + (at-f.left)/(f.right-f.left)*innerWidth
}

func (f frame) y(value float64) float64 {
	return plotTop + innerHeight - (value-f.low)/(f.high-f.low)*innerHeight
}

// drawAxes draws both, with lines across at round values.
func (p *Plot) drawAxes(b *strings.Builder, f frame) {
	for _, v := range ticks(f.low, f.high, wantedTicks) {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="currentColor" stroke-opacity=".15"/><text x="%d" y="%.1f" text-anchor="end" fill="currentColor">%s</text>`,
			plotLeft, plotWidth-plotRight, f.y(v), f.y(v), plotLeft-5, f.y(v)+4, short(v))
	}
	for _, v := range ticks(f.left/f.scale, f.right/f.scale, wantedTicksAcross) {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle" fill="currentColor">%s</text>`, f.x(v*f.scale), plotHeight-plotBottom+15, short(v))
	}
	fmt.Fprintf(b, `<text x="8" y="%d" fill="currentColor" fill-opacity=".7">%s</text><text x="%d" y="%d" text-anchor="end" fill="currentColor" fill-opacity=".7">%s</text>`,
		plotTop-10, html.EscapeString(p.Unit), plotWidth-plotRight, plotHeight-5, html.EscapeString(f.across))
	if p.Limit > 0 {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#d6304a" stroke-dasharray="5 3"/>`, plotLeft, plotWidth-plotRight, f.y(p.Limit), f.y(p.Limit))
	}
}

// drawMarks draws what happened, labels in turn at three heights so that they
// do not hide each other.
func (p *Plot) drawMarks(b *strings.Builder, f frame) {
	for i, m := range p.Marks {
		x := f.x(min(max(m.At, f.left), f.right))
		anchor, shift := "start", 3.0
		if x > plotLeft+innerWidth*0.7 {
			anchor, shift = "end", -3
		}
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="currentColor" stroke-opacity=".5" stroke-dasharray="2 3"/><text x="%.1f" y="%d" text-anchor="%s" font-size="10" fill="currentColor" fill-opacity=".8">%s</text>`,
			x, x, plotTop, plotTop+innerHeight, x+shift, plotTop+innerHeight-6-12*(i%3), anchor, html.EscapeString(m.What))
	}
}

// drawSeries draws the lines, and names them where there are several.
func (p *Plot) drawSeries(b *strings.Builder, f frame) {
	at := float64(plotWidth - plotRight)
	for i, s := range p.Series {
		colour := lineColours[i%len(lineColours)]
		var places []string
		for _, point := range thin(s.Points, maxPoints) {
			places = append(places, fmt.Sprintf("%.1f,%.1f", f.x(point.At), f.y(point.Value)))
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.6" stroke-linejoin="round"/>`, strings.Join(places, " "), colour)
		if len(p.Series) > 1 {
			name := p.Series[len(p.Series)-1-i].Name
			fmt.Fprintf(b, `<text x="%.0f" y="%d" text-anchor="end" fill="%s" font-weight="600">%s</text>`, at, plotTop-10, lineColours[(len(p.Series)-1-i)%len(lineColours)], html.EscapeString(name))
			at -= 7*float64(len(name)) + 12
		}
	}
}

// ticks returns round values within a range, about n of them.
func ticks(low, high float64, n int) (values []float64) {
	raw := (high - low) / float64(n)
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if step*factor >= raw {
			step *= factor
			break
		}
	}
	for v := math.Ceil(low/step) * step; v <= high+step/1e6; v += step {
		values = append(values, math.Round(v/step)*step)
	}
	return values
}

// short writes an axis's number: 1.5k, 2M.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case a >= 1e4:
		return fmt.Sprintf("%.3gk", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}
