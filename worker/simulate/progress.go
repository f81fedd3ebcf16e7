package simulate

import (
	"context"
	"math"
	"time"

	"github.com/schollz/progressbar/v3"
	"go.uber.org/zap"

	"datawriter/worker/stream"
)

const (
	barEvery = 200 * time.Millisecond
	logEvery = 10 * time.Second
)

// report shows how far a run is until ctx ends: on a bar if there is one, else
// as one line from time to time.
func report(ctx context.Context, o *Options, t *tally, p *stream.Pressure) {
	every, show := logEvery, func() { logProgress(o, t.now(), p) }
	if o.Bar != nil {
		bar := newBar(o)
		defer func() { _ = bar.Set64(t.now().Added); _ = bar.Exit() }()
		every, show = barEvery, func() { _ = bar.Set64(t.now().Added) }
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			show()
		}
	}
}

func newBar(o *Options) *progressbar.ProgressBar {
	total := int64(-1) // unknown
	switch {
	case o.Count > 0:
		total = o.Count
	case o.Rate > 0 && o.Duration > 0:
		total = int64(o.Rate * o.Duration.Seconds())
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(o.Bar),
		progressbar.OptionSetDescription("entries"),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionFullWidth(),
		progressbar.OptionUseANSICodes(true),
	)
}

func logProgress(o *Options, r Result, p *stream.Pressure) {
	o.Log.Info("simulating",
		zap.Int64("added", r.Added),
		zap.Float64("per_second", math.Round(r.Rate)),
		zap.Int64("refusals", r.Refusals),
		zap.Float64("memory_share", math.Round(p.Used()*1000)/1000))
}
