package drain

import (
	"context"
	"fmt"
	"path/filepath"

	"go.uber.org/zap"

	"datawriter/worker/sink"
	"datawriter/worker/stream"
)

// An archive has the groups for itself: of two that read through one group, each
// would get some of the windows, and miss the others.

// checkOwner compares the archive's ID with that of every group, before anything
// of the state or of Redis is touched. The script that creates a group compares
// again, and notes the ID.
func (d *Drainer) checkOwner(ctx context.Context) error {
	id, err := sink.Identify(ctx, d.sink)
	if err != nil {
		return err
	}
	place := d.folder()
	if real, err := filepath.EvalSymlinks(place); err == nil {
		place = real // one folder has one name
	}
	d.owner = stream.Owner{ID: id, Place: place}
	for _, kind := range d.kinds {
		s := d.source.Stream(kind)
		other, owned, err := s.Owner(ctx)
		if err != nil {
			return err
		}
		if !owned || other.ID == id {
			continue
		}
		if !d.cfg.Adopt && other.Place == place {
			return fmt.Errorf("%w: %s of %s is another file than when it was last drained: write into it {\"id\":%q}, or take the groups over once with run --adopt",
				stream.ErrOtherOwner, sink.IdentityFile, place, other.ID)
		}
		if !d.cfg.Adopt {
			return fmt.Errorf("%w: that of %s reads for the archive in %s, and this run writes to %s: use that --data, or another --group; "+
				"or, if the other archive is given up, take the groups over once with run --adopt", stream.ErrOtherOwner, s.Name(), other.Place, place)
		}
		d.log.Warn("the group is taken over from another archive", zap.String("stream", s.Name()), zap.String("from", other.Place), zap.String("to", place))
	}
	return nil
}
