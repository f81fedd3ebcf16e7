package drain

import (
	"testing"

	"datawriter/worker/stream"
)

func TestACountThatGoesBackIsUnknown(t *testing.T) {
	for _, c := range []struct {
		what   string
		counts []int64
		want   int64
	}{
		{"nothing was ever added", []int64{0, 0}, 0},
		{"it grows", []int64{5, 5, 9}, 9},
		{"a failover to a replica that lags", []int64{9, 7}, stream.Unknown},
		{"and goes on from there", []int64{9, 7, 8, 12}, stream.Unknown},
	} {
		var got content
		for _, n := range c.counts {
			got.count(n)
		}
		if got.added != c.want {
			t.Errorf("%s: %d, want %d", c.what, got.added, c.want)
		}
	}
}
