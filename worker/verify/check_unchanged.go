package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"datawriter/worker/runlog"
)

// checkUnchanged: the run log says which files a run published, and how many
// bytes they had together. A run that was killed has no line, so files without
// one are no violation.
var checkUnchanged = check{
	Name:    "unchanged",
	Promise: "every file that the run log says was published is there, as large as it was",
	needs:   runLog,
	record: func(ctx context.Context, v *Verifier, r runlog.Record, say sayer) error {
		for i := range r.Kinds {
			if err := v.compareSizes(ctx, &r, &r.Kinds[i], say); err != nil {
				return err
			}
		}
		return nil
	},
}

func (v *Verifier) compareSizes(ctx context.Context, r *runlog.Record, k *runlog.Kind, say sayer) error {
	var bytes int64
	for _, path := range k.Parts {
		file, err := v.archive.Open(ctx, path)
		if errors.Is(err, fs.ErrNotExist) && v.holes.isAccepted(r.Window, k.Kind) {
			return nil // the report names it as a hole
		}
		if errors.Is(err, fs.ErrNotExist) {
			say(Violation{Window: &r.Window, Kind: &k.Kind, File: path, Detail: "it was published at " + r.End.Format("2006-01-02T15:04:05Z") + " and is gone"})
			return nil
		}
		if err != nil {
			return err
		}
		bytes += file.Size()
		if err := file.Close(); err != nil {
			return err
		}
	}
	if len(k.Parts) > 0 && bytes != k.Bytes {
		say(Violation{Window: &r.Window, Kind: &k.Kind, File: k.Parts[0],
			Detail: fmt.Sprintf("the %d files published in that run have %d bytes, but had %d", len(k.Parts), bytes, k.Bytes)})
	}
	return nil
}
