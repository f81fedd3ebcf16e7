package exporter

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// histogram counts observations in buckets. Unlike the library's it can be
// written to a checkpoint and read back.
type histogram struct {
	Bounds []float64 `json:"bounds"` // upper, inclusive, ascending
	Counts []uint64  `json:"counts"` // of each bucket, then of what lies above all
	Sum    float64   `json:"sum"`
}

func newHistogram(bounds []float64) *histogram {
	return &histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

func (h *histogram) observe(v float64) {
	bucket, _ := slices.BinarySearch(h.Bounds, v)
	h.Counts[bucket]++
	h.Sum += v
}

// fits reports whether the histogram, which came from a checkpoint, has these bounds.
func (h *histogram) fits(bounds []float64) bool {
	return h != nil && slices.Equal(h.Bounds, bounds) && len(h.Counts) == len(bounds)+1
}

func (h *histogram) metric(f family, labels ...string) prometheus.Metric {
	cumulated, sum := make(map[float64]uint64, len(h.Bounds)), uint64(0)
	for i, bound := range h.Bounds {
		sum += h.Counts[i]
		cumulated[bound] = sum
	}
	return prometheus.MustNewConstHistogram(f.desc(), sum+h.Counts[len(h.Bounds)], h.Sum, cumulated, labels...)
}
