package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"datawriter/worker/audit"
	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// redisReachable asks for the state, which every command needs first. What the
// sentence of a refusal says to do is all there is to do.
func redisReachable(ctx context.Context, l *looking) Finding {
	if l.Redis == nil {
		return Finding{}
	}
	var err error
	if l.server, err = l.Redis.Server(ctx); err == nil {
		err = l.server.Writable("")
	}
	switch {
	case errors.Is(err, stream.ErrMisconfigured):
		return fail("it cannot be used: "+err.Error(), "do what this says: no command works before")
	case err != nil:
		return fail("it does not answer: "+err.Error(), "start it, or give the right --redis-url; the entries that it had on disk come back with it")
	}
	if l.audited, err = audit.Glance(ctx, l.Redis.Redis()); err != nil {
		return fail(err.Error(), "do what this says: no command works before")
	}
	l.reached = true
	return ok("it answers")
}

func redisVersion(_ context.Context, l *looking) Finding {
	if !l.reached {
		return Finding{}
	}
	return ok("%s, up for %s", l.server.Version, time.Duration(l.server.UptimeInSecs)*time.Second)
}

// advised makes what an audit says of a requirement a finding: what a setting should
// be stands in its rules and nowhere else.
func (l *looking) advised(key string, as func(says, fix string) Finding) (Finding, bool) {
	found, is := l.audited.Finding(key)
	if !is {
		return Finding{}, false
	}
	return as(fmt.Sprintf("%s is %s: %s", key, found.Is, found.Why), found.Fix.String()), true
}

// redisPolicy leaves the choice between the two profiles to people: each is right
// for what it promises.
func redisPolicy(_ context.Context, l *looking) Finding {
	if !l.reached {
		return Finding{}
	}
	if f, evicted := l.advised("evicted_keys", fail); evicted {
		return f
	}
	for _, key := range []string{"maxmemory-policy", "eviction of whole streams"} {
		if f, is := l.advised(key, warn); is && l.server.MaxMemory > 0 {
			return f
		}
	}
	return ok("it drops nothing")
}

func redisMemory(_ context.Context, l *looking) Finding {
	if !l.reached {
		return Finding{}
	}
	if f, unlimited := l.advised("maxmemory", warn); unlimited && l.server.MaxMemory == 0 {
		return f
	}
	share := float64(l.server.UsedMemory) / float64(l.server.MaxMemory)
	says := fmt.Sprintf("%.0f %% of %d MB in use", share*100, l.server.MaxMemory>>20)
	switch {
	case share >= stream.StopAt:
		return fail(says+": producers have stopped", "drain: datawriter run --window 5m; see what keeps the schedule from it")
	case share >= stream.SlowAt:
		return warn(says+": producers slow down", "drain: datawriter run --window 5m, or give it more memory")
	}
	return ok("%s", says)
}

func redisPersistence(_ context.Context, l *looking) Finding {
	if !l.reached {
		return Finding{}
	}
	if f, none := l.advised("appendonly", warn); none {
		return f
	}
	if f, failing := l.advised("aof_last_write_status", fail); failing {
		return f
	}
	return ok("the append-only file is written")
}

// clock compares: Redis's clock closes windows, ours only times logs and waits.
func clock(ctx context.Context, l *looking) Finding {
	if !l.reached {
		return Finding{}
	}
	before := l.Now()
	theirs, err := l.Redis.Now(ctx)
	if err != nil {
		return fail("it could not be compared: "+err.Error(), "")
	}
	after := l.Now()
	off := theirs.Sub(before.Add(after.Sub(before) / 2)).Abs()
	says := fmt.Sprintf("redis and this machine differ by %s", off.Round(time.Millisecond))
	switch {
	case off > 30*time.Second:
		return fail(says+": a scheduled run finds its window still open, or long closed", "let both machines follow NTP (timedatectl set-ntp true)")
	case off > 2*time.Second:
		return warn(says, "let both machines follow NTP (timedatectl set-ntp true)")
	}
	return ok("%s", says)
}

func streams(ctx context.Context, l *looking) Finding {
	if !l.reached {
		return Finding{}
	}
	var waiting, added int64
	var ungrouped, empty []string
	for _, kind := range event.Kinds() {
		state, err := l.Redis.Stream(kind).State(ctx)
		if err != nil {
			return fail(err.Error(), "do what this says; nothing is lost by it")
		}
		waiting, added = waiting+state.Length, added+state.EntriesAdded
		if !state.Exists || state.EntriesAdded == 0 {
			empty = append(empty, kind.String())
		} else if !state.Grouped {
			ungrouped = append(ungrouped, kind.String())
		}
	}
	switch {
	case added == 0:
		return warn("nothing was ever added", "start a source: datawriter ingest, or datawriter simulate; compare --stream-prefix")
	case len(ungrouped) > 0:
		return warn(fmt.Sprintf("%s: never drained, %d entries wait", strings.Join(ungrouped, ", "), waiting), "datawriter run --window 5m makes the group; compare --group")
	case len(empty) > 0:
		return warn(strings.Join(empty, ", ")+": nothing was ever added", "does the source send every collection?")
	}
	return ok("%d entries wait, %d were added", waiting, added)
}

// streamEnds compares the last ID of each stream with the clock: Redis gives every
// later entry an ID behind it, so one from the future makes all wait.
func streamEnds(ctx context.Context, l *looking) Finding {
	if !l.reached {
		return Finding{}
	}
	now, err := l.Redis.Now(ctx)
	if err != nil {
		return fail(err.Error(), "")
	}
	var ahead, kinds []string
	for _, kind := range event.AllKinds() {
		s := l.Redis.Stream(kind)
		state, err := s.State(ctx)
		if err != nil {
			return fail(err.Error(), "do what this says; nothing is lost by it")
		}
		if n, err := s.Unfinished(ctx); err == nil && n > 0 { // who may not look there is not told
			return fail(fmt.Sprintf("a rescue of %s was not finished: %d entries wait beside it", s.Name(), n), "datawriter rescue "+kind.String())
		}
		if state.IsAhead(now) {
			seconds, _ := state.Ahead(now)
			ahead = append(ahead, fmt.Sprintf("%s by %.0f seconds (its last ID is %s)", s.Name(), seconds, state.LastGenerated))
			kinds = append(kinds, kind.String())
		}
	}
	if len(ahead) > 0 {
		return fail("ahead of the clock of redis: "+strings.Join(ahead, ", ")+": what is added now waits behind that ID",
			"stop the producer that gives IDs of its own, then: datawriter rescue "+strings.Join(kinds, "; datawriter rescue "))
	}
	return ok("no last ID is ahead of the clock of redis")
}

// otherGroups names groups beside ours that do not read: what they need stays in the
// stream until memory is full.
func otherGroups(ctx context.Context, l *looking) Finding {
	if !l.reached {
		return Finding{}
	}
	now, err := l.Redis.Now(ctx)
	if err != nil {
		return fail(err.Error(), "")
	}
	var forgotten, fixes []string
	n := 0
	for _, kind := range event.AllKinds() {
		s := l.Redis.Stream(kind)
		others, err := s.Others(ctx)
		if err != nil {
			return fail(err.Error(), "may the user read the groups of the streams?")
		}
		n += len(others)
		for _, o := range others {
			if o.Seconds(now) > stream.ForgottenAfter.Seconds() {
				forgotten = append(forgotten, fmt.Sprintf("%s of %s by %.0f seconds", o.Name, s.Name(), o.Seconds(now)))
				fixes = append(fixes, fmt.Sprintf("redis-cli XGROUP DESTROY '%s' %s", s.Name(), o.Name))
			}
		}
	}
	if len(forgotten) > 0 {
		return warn("behind: "+strings.Join(forgotten, ", ")+": what they need stays in the stream", "start their readers, or, if nobody needs them: "+strings.Join(fixes, "; "))
	}
	return ok("%d groups beside ours, none far behind", n)
}
