package simulate

import (
	"math"

	"go.uber.org/zap"

	"datawriter/worker/stream"
)

// newPressure returns a watch of Redis's memory that says what it does.
func newPressure(client *stream.Client, log *zap.Logger) *stream.Pressure {
	return stream.NewPressure(client, func(before, after, used float64) {
		memory := zap.Float64("memory_share", math.Round(used*1000)/1000)
		switch {
		case before > 0 && after == 0:
			log.Warn("redis is nearly full, stopping until it is drained", memory)
		case before == 0 && after > 0:
			log.Info("redis has room again, going on", memory)
		case before == 1 && after < 1:
			log.Warn("redis is filling up, slowing down", memory)
		}
	})
}
