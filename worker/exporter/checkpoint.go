package exporter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
)

// checkpointVersion changes when what the totals mean changes: an older
// checkpoint is passed over then, and everything is read again.
const checkpointVersion = 1

// saveEvery is how old a checkpoint may get while there is something new. What
// came since is read again after a crash.
const saveEvery = 10 * time.Second

// checkpoint is how far the exporter has read and what it has counted up to
// there. Both stand in one file that is replaced as a whole, so no crash makes
// a line count twice or not at all.
type checkpoint struct {
	Version  int                  `json:"version"`
	Position runlog.Position      `json:"position"`
	Totals   *totals              `json:"totals"`
	Counted  map[string]time.Time `json:"counted"`
}

// saved is what the checkpoint lacks.
type saved struct {
	at      time.Time // of the last attempt
	changed bool
	failed  bool // the last attempt
}

// open goes on from the checkpoint, or begins with the whole run log.
func (r *runs) open() {
	r.at, r.totals, r.counted, r.rebuilt = runlog.Position{}, newTotals(), make(map[string]time.Time), true
	if r.checkpoint == "" {
		return
	}
	c, err := readCheckpoint(r.checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		r.warn.Warn("the checkpoint cannot be used, everything is read again", zap.Error(err))
		return
	}
	r.at, r.totals, r.counted, r.rebuilt = c.Position, c.Totals, c.Counted, false
}

func readCheckpoint(name string) (checkpoint, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return checkpoint{}, fmt.Errorf("read the checkpoint: %w", err)
	}
	var c checkpoint
	if err := json.Unmarshal(text, &c); err != nil {
		return checkpoint{}, fmt.Errorf("read the checkpoint %s: %w", name, err)
	}
	if c.Version != checkpointVersion || c.Position == nil || c.Counted == nil || !c.Totals.whole() {
		return checkpoint{}, fmt.Errorf("read the checkpoint %s: it is of another version of this program", name)
	}
	return c, nil
}

// whole reports whether totals that came from a checkpoint can be added to.
func (t *totals) whole() bool {
	if t == nil || t.Windows == nil || t.Failures == nil || !t.Durations.fits(durationBuckets) {
		return false
	}
	for _, kind := range event.Kinds() {
		k := t.Kinds[kind]
		if k == nil || k.Rejected == nil || k.Lost == nil || !k.Sizes.fits(sizeBuckets) {
			return false
		}
	}
	return true
}

// save replaces the checkpoint if there is something new and it is older than
// that.
func (r *runs) save(age time.Duration) error {
	now := r.now()
	if r.checkpoint == "" || r.totals == nil || !r.saved.changed || now.Sub(r.saved.at) < age {
		return nil
	}
	r.saved.at = now // a folder that cannot be written is not tried at every look
	text, err := json.Marshal(checkpoint{checkpointVersion, r.at, r.totals, r.counted})
	if err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	if err := replaceFile(r.checkpoint, text); err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	r.saved.changed = false
	return nil
}

// replaceFile writes a file such that a crash leaves either the old or the new.
func replaceFile(name string, text []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary.Name())
		}
	}()
	_, err = temporary.Write(text)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), name)
}
