package simulate

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func always(share float64) func() float64 { return func() float64 { return share } }

func TestAPaceDoesNotDrift(t *testing.T) {
	for _, c := range []struct {
		name   string
		rate   float64
		length time.Duration
		busy   time.Duration // what sending takes each time
		share  float64
		want   int64
	}{
		{"the average of the network", 348, 10 * time.Minute, 0, 1, 208_800},
		{"less than one a second", 0.3, 100 * time.Second, 0, 1, 30},
		{"slow sending is made up for", 1500, 5 * time.Minute, 300 * time.Millisecond, 1, 450_000},
		{"half the speed", 1000, time.Minute, 0, 0.5, 30_000},
		{"stopped", 1000, time.Minute, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPace(c.rate, c.length)
				var sent int64
				for {
					n, forgone := p.wait(t.Context(), always(c.share), maxBatch)
					if forgone != 0 {
						t.Fatalf("%d were forgone without a stall", forgone)
					}
					if n == 0 {
						break
					}
					sent += n
					time.Sleep(c.busy)
				}
				if sent != c.want {
					t.Errorf("%d were due, want %d", sent, c.want)
				}
			})
		})
	}
}

func TestAPaceIsSmooth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(1000, 10*time.Second)
		for {
			n, _ := p.wait(t.Context(), always(1), maxBatch)
			if n == 0 {
				return
			}
			if n > 6 {
				t.Fatalf("%d entries at once, want those of about 5 ms", n)
			}
		}
	})
}

func TestALongStallIsNotMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(100, 0)
		time.Sleep(time.Minute)
		n, forgone := p.wait(t.Context(), always(1), maxBatch)
		if n != 200 || forgone != 5800 {
			t.Errorf("after a minute %d are sent and %d forgone, want the last 2 seconds' 200 and 5800", n, forgone)
		}
	})
}

func TestAPaceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if n, _ := newPace(0.1, 0).wait(ctx, always(1), 1); n != 0 {
			t.Errorf("%d were due after the end", n)
		}
	})
}
