package simulate_test

import (
	"strings"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// watchLog returns a logger and a channel that closes when a line with that
// text is logged: tests act at the moment a fault has shown.
func watchLog(text string) (*zap.Logger, <-chan struct{}) {
	seen := make(chan struct{})
	var once sync.Once
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(discard{}), zap.DebugLevel)
	return zap.New(core, zap.Hooks(func(e zapcore.Entry) error {
		if strings.Contains(e.Message, text) {
			once.Do(func() { close(seen) })
		}
		return nil
	})), seen
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
