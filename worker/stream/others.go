package stream

import (
	"context"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/window"
)

// Other is another group of a stream. What it still needs stays in the stream.
type Other struct {
	Name   string
	Behind bool     // it needs entries that are there
	Needs  event.ID // the first of them
}

// Seconds returns how old the first entry is that the group needs, at a moment of
// Redis's clock; 0 where it needs none.
func (o Other) Seconds(now time.Time) float64 {
	if !o.Behind {
		return 0
	}
	return float64(now.UnixMicro())/1e6 - float64(o.Needs.MS)/1000
}

// ForgottenAfter is how old an entry may be that another group needs before a
// person should know: entries of a group that reads are seconds old.
const ForgottenAfter = time.Hour

// Others returns the groups of the stream beside ours, and where they stand. An
// entry is needed by a group that was not given it, or has not acked it.
func (s *Stream) Others(ctx context.Context) (others []Other, err error) {
	const operation = "look at the other groups of "
	groups, err := s.redis.XInfoGroups(ctx, s.name).Result()
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, classify(operation+s.name, err)
	}
	for _, g := range groups {
		if g.Name == s.group {
			continue
		}
		o := Other{Name: g.Name}
		delivered, err := event.ParseID(g.LastDeliveredID)
		if err != nil {
			return nil, classify(operation+s.name, err)
		}
		if o.Needs, o.Behind, err = s.Next(ctx, delivered); err != nil {
			return nil, err
		}
		if g.Pending > 0 {
			if err := s.claimedBy(ctx, &o); err != nil {
				return nil, err
			}
		}
		others = append(others, o)
	}
	return others, nil
}

// claimedBy lets what a group has claimed and not acked count as needed.
func (s *Stream) claimedBy(ctx context.Context, o *Other) error {
	pending, err := s.redis.XPending(ctx, s.name, o.Name).Result()
	if err != nil {
		return classify("look at the other groups of "+s.name, err)
	}
	if pending.Count == 0 {
		return nil
	}
	oldest, err := event.ParseID(pending.Lower)
	if err == nil && (!o.Behind || oldest.Compare(o.Needs) < 0) {
		o.Needs, o.Behind = oldest, true
	}
	return classify("look at the other groups of "+s.name, err)
}

// countPage: KEYS[1] stream; ARGV[1] the least ID, ARGV[2] the end, which is not
// counted, ARGV[3] most entries. Returns {how many, the last of them}.
var countPage = newScript(`#!lua flags=no-writes
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
return {#found, #found > 0 and found[#found][1] or ''}
`)

// countedPage is how many entries one script counts: ten microseconds each.
const countedPage = 500

// Count returns how many entries the stream holds in spans of ID time. It looks at
// each entry, a page at a time.
func (s *Stream) Count(ctx context.Context, spans window.Spans) (total int64, err error) {
	for _, x := range spans {
		from, to := (event.ID{MS: x.From}).String(), "("+(event.ID{MS: x.To}).String()
		for {
			reply, err := countPage.Run(ctx, s.redis, []string{s.name}, from, to, countedPage).Slice()
			if err != nil || len(reply) != 2 {
				return total, classify("count entries of "+s.name, err)
			}
			n, _ := reply[0].(int64)
			last, _ := reply[1].(string)
			total += n
			if n < countedPage {
				break
			}
			from = "(" + last
		}
	}
	return total, nil
}
