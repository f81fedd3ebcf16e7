package stream

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"datawriter/worker/window"
)

// The times that were drained through a group stand with it in Redis as the
// names of consumers that never read: "drained:1795428300000-1795428600000". A
// consumer lives exactly as long as its group. A key beside the stream could be
// evicted by itself, so that its absence would prove nothing.

// drainedPrefix begins the names of those consumers.
const drainedPrefix = "drained:"

// consumerNames defines names(key, group): the names of the group's consumers.
const consumerNames = `
local function names(key, group)
  local of = {}
  for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', key, group)) do
    for i = 1, #c, 2 do
      if c[i] == 'name' then of[#of + 1] = c[i + 1] end
    end
  end
  return of
end
`

// mark adds spans to those that were drained through a group.
// KEYS[1] stream; ARGV[1] Server.ID, ARGV[2] group, ARGV[3] most spans to keep,
// ARGV[4..] spans as FROM-TO in milliseconds. Returns all spans, ascending, as
// FROM-TO. It creates what is new before it deletes what that replaces; where
// nothing changes it writes nothing. Milliseconds are exact in Lua's doubles.
var mark = newScript(`#!lua flags=allow-oom
` + sameServer + consumerNames + `
local key, group, most = KEYS[1], ARGV[2], tonumber(ARGV[3])
local have, all = {}, {}
local function add(text)
  local from, to = string.match(text, '^(%d+)-(%d+)$')
  if not from or tonumber(from) >= tonumber(to) then return end
  all[#all + 1] = {tonumber(from), tonumber(to)}
end
for _, name in ipairs(names(key, group)) do
  local text = string.match(name, '^` + drainedPrefix + `(.*)$')
  if text then
    have[text] = true
    add(text)
  end
end
for i = 4, #ARGV do add(ARGV[i]) end
table.sort(all, function(a, b) return a[1] < b[1] end)
local merged = {}
for _, span in ipairs(all) do
  local last = merged[#merged]
  if last and span[1] <= last[2] then
    last[2] = math.max(last[2], span[2])
  else
    merged[#merged + 1] = span
  end
end
local first = math.max(1, #merged - most + 1)
if first > 1 then merged[first][1] = merged[1][1] end
local kept = {}
for i = first, #merged do
  local text = string.format('%.0f-%.0f', merged[i][1], merged[i][2])
  kept[#kept + 1] = text
  if not have[text] then
    redis.call('XGROUP', 'CREATECONSUMER', key, group, '` + drainedPrefix + `' .. text)
  end
  have[text] = nil
end
for text in pairs(have) do
  redis.call('XGROUP', 'DELCONSUMER', key, group, '` + drainedPrefix + `' .. text)
end
return kept
`)

// Mark notes with the group that spans are drained, and returns all that are.
// It can be repeated, works when Redis is out of memory, and keeps at most
// window.MaxSpans spans: see window.Spans.Union. ErrRestarted when server
// is not the Server.ID any more.
func (s *Stream) Mark(ctx context.Context, server string, spans ...window.Span) (window.Spans, error) {
	operation := "mark what is drained of " + s.name
	args := []any{server, s.group, window.MaxSpans}
	for _, x := range spans {
		args = append(args, fmt.Sprintf("%d-%d", x.From, x.To))
	}
	texts, err := mark.Run(ctx, s.redis, []string{s.name}, args...).StringSlice()
	if err != nil {
		return nil, classify(operation, err)
	}
	return parseSpans(texts), nil
}

// Drained returns the times that were drained through the group; none where
// there is no group.
func (s *Stream) Drained(ctx context.Context) (window.Spans, error) {
	consumers, err := s.redis.XInfoConsumers(ctx, s.name, s.group).Result()
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, classify("read what is drained of "+s.name, err)
	}
	var texts []string
	for _, c := range consumers {
		if text, ok := strings.CutPrefix(c.Name, drainedPrefix); ok {
			texts = append(texts, text)
		}
	}
	return parseSpans(texts), nil
}

// parseSpans reads spans that are written as FROM-TO. What is none of our making
// is passed over.
func parseSpans(texts []string) window.Spans {
	var all window.Spans
	for _, text := range texts {
		from, to, _ := strings.Cut(text, "-")
		a, errA := strconv.ParseUint(from, 10, 64)
		b, errB := strconv.ParseUint(to, 10, 64)
		if errA == nil && errB == nil {
			all = all.Union(window.Span{From: a, To: b})
		}
	}
	return all
}
