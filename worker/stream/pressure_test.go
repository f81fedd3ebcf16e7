package stream

import "testing"

func TestTheAllowedSpeedFallsAsMemoryFills(t *testing.T) {
	for used, want := range map[float64]float64{0: 1, 0.5: 1, 0.74: 1, 0.75: 1, 0.80: 0.5, 0.85: 0, 0.99: 0, 1.2: 0} {
		if got := allowed(used); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("at %.2f of the memory: got %.3f of the speed, want %.3f", used, got, want)
		}
	}
}
