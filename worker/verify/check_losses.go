package verify

import (
	"context"
	"fmt"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

// Loss is what Redis took and lost by itself, as a run told.
type Loss struct {
	Window window.Window `json:"window"` // at whose drain it was noticed
	Kind   event.Kind    `json:"kind"`
	Class  string        `json:"class"`
	Count  int64         `json:"count"` // entries that can be proven; 0 is unknown
}

// checkLosses shows what runs told of. Only what no run has told of yet breaks the
// promise: the files cannot hold what Redis did not keep.
var checkLosses = check{
	Name:    "losses",
	Promise: "what Redis lost by itself was told by a run",
	needs:   runLog,
	record: func(_ context.Context, v *Verifier, r runlog.Record, _ sayer) error {
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, k := range r.Kinds {
			for _, l := range k.Losses {
				v.report.Losses = append(v.report.Losses, Loss{r.Window, k.Kind, l.Class, l.Count})
			}
		}
		return nil
	},
	end: untold,
}

func untold(_ context.Context, v *Verifier, say sayer) error {
	if v.cfg.Book == nil {
		return nil
	}
	for _, kind := range event.AllKinds() {
		state, err := v.cfg.Book.Read(kind.String(), "")
		if err != nil {
			return fmt.Errorf("read the account of %s: %w", kind, err)
		}
		for _, l := range state.Pending {
			say(Violation{Kind: &kind, Stream: state.Stream, Count: l.Count,
				Detail: fmt.Sprintf("Redis lost entries (%s), and the run that noticed was killed before it told: the next one will", l.Class)})
		}
	}
	return nil
}
