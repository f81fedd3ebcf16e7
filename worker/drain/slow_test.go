package drain

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestAListingThatTakesSecondsSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		takes time.Duration
		lines int
	}{
		"a usual one says nothing":            {time.Second, 0},
		"one of three seconds says it once":   {3 * time.Second, 1},
		"one of a minute says it every ten":   {time.Minute, 6},
		"one that ends before the next line":  {11 * time.Second, 1},
		"one that ends right behind the next": {13 * time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, lines := observer.New(zapcore.InfoLevel)
				d := &Drainer{log: zap.New(core)}
				slow := d.watch("still looking", "hours")
				slow.count.Store(7)
				time.Sleep(c.takes)
				slow.end()
				time.Sleep(time.Minute)
				if lines.Len() != c.lines {
					t.Errorf("%d lines, want %d", lines.Len(), c.lines)
				}
				for _, line := range lines.All() {
					if line.ContextMap()["hours"] != int64(7) {
						t.Errorf("it says %v", line.ContextMap())
					}
				}
			})
		})
	}
}
