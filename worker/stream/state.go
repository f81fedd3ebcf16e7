package stream

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
)

// State is what a look at a stream shows that changes nothing: unlike Group it
// needs neither the stream nor the group to exist.
type State struct {
	Exists        bool
	Length        int64
	EntriesAdded  int64    // ever, to the stream
	LastGenerated event.ID // the last ID that it gave or was given, by an entry or a fence
	Groups        int      // how many groups the stream has
	Grouped       bool     // one of them is ours
	Others        []string // names of those that are not
}

// AheadLimit is how far a stream's last ID may lie ahead of Redis's clock.
// Producers that give IDs of their own differ from it by a little; beyond that
// something is wrong, since Redis gives every later entry an ID behind the last.
const AheadLimit = 10 * time.Second

// Ahead returns by how many seconds the stream's last ID lies ahead of a moment of
// Redis's clock; negative where it lies before it, as it should. ok is false for
// a stream that has given no ID.
func (s State) Ahead(now time.Time) (seconds float64, ok bool) {
	return float64(s.LastGenerated.MS)/1000 - float64(now.UnixMicro())/1e6, !s.LastGenerated.IsZero()
}

// IsAhead reports whether the stream's last ID lies further ahead of that moment
// than AheadLimit.
func (s State) IsAhead(now time.Time) bool {
	seconds, ok := s.Ahead(now)
	return ok && seconds > AheadLimit.Seconds()
}

// State looks at the stream.
func (s *Stream) State(ctx context.Context) (State, error) {
	info, err := s.facts(ctx)
	if isMissing(err) {
		return State{}, nil
	}
	if err != nil {
		return State{}, classify("look at "+s.name, err)
	}
	groups, err := s.redis.XInfoGroups(ctx, s.name).Result()
	if err != nil {
		return State{}, classify("look at "+s.name, err)
	}
	state := State{Exists: true, Length: info.length, EntriesAdded: info.added, Groups: len(groups)}
	if state.LastGenerated, err = event.ParseID(info.lastID); err != nil {
		return State{}, classify("look at "+s.name, err)
	}
	for _, g := range groups {
		if g.Name == s.group {
			state.Grouped = true
			continue
		}
		state.Others = append(state.Others, g.Name)
	}
	return state, nil
}

// Pending returns at most count IDs with from <= ID < to that the group was
// given and has not acked, ascending; none when there is no such group.
func (s *Stream) Pending(ctx context.Context, from, to event.ID, count int) ([]event.ID, error) {
	pending, err := s.redis.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: s.name, Group: s.group, Start: from.String(), End: "(" + to.String(), Count: int64(count),
	}).Result()
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, classify("read the pending list of "+s.name, err)
	}
	ids := make([]event.ID, len(pending))
	for i, p := range pending {
		if ids[i], err = event.ParseID(p.ID); err != nil {
			return nil, classify("read the pending list of "+s.name, err)
		}
	}
	return ids, nil
}

// Held reports whether a run holds the stream at this moment.
func (s *Stream) Held(ctx context.Context) (bool, error) {
	left, err := (&Lease{stream: s}).Left(ctx)
	return left > 0, err
}

// isMissing reports whether Redis answered that the stream or the group is not there.
func isMissing(err error) bool {
	return hasCode(err, []string{"NOGROUP"}) || err != nil && strings.Contains(err.Error(), "no such key")
}
