package exporter

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/sink"
)

// holes tells of windows that were drained and have no part: those that runs
// have found missing, from the state folder, and those that a person has
// accepted, from the archive.
type holes struct {
	book    *account.Book
	archive sink.Sink
}

func (h *holes) look(ctx context.Context) ([]prometheus.Metric, error) {
	shape, err := sink.ReadArchive(ctx, h.archive)
	if err != nil && !isNotExist(err) {
		return nil, err
	}
	missing, accepted := make(map[event.Kind]float64), make(map[event.Kind]float64)
	if err == nil {
		if err := h.count(ctx, shape, missing, accepted); err != nil {
			return nil, err
		}
	}
	var all []prometheus.Metric
	for _, kind := range event.Kinds() {
		all = append(all, missingParts.value(missing[kind], kind.String()), acceptedHoles.value(accepted[kind], kind.String()))
	}
	return all, nil
}

func (h *holes) count(ctx context.Context, shape sink.Archive, missing, accepted map[event.Kind]float64) error {
	for _, kind := range event.Kinds() {
		state, err := h.book.Read(kind.String(), "")
		if err != nil {
			return err
		}
		for _, x := range state.MissingParts() {
			missing[kind] += float64(x.To-x.From) / float64(shape.WindowLength.Milliseconds())
		}
	}
	return sink.WalkHoles(ctx, h.archive, shape.Layout, time.Time{}, time.Time{}, func(hole sink.Hole) error {
		accepted[hole.Kind]++
		return nil
	})
}
