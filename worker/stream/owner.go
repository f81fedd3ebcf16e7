package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrOtherOwner: the group belongs to another archive, which would miss what this
// one took.
var ErrOtherOwner = errors.New("the consumer group belongs to another archive")

// Owner is the archive of a group. It stands with the group as the name of a
// consumer that never reads: "archive:ID:PLACE".
type Owner struct {
	ID    string // random letters and digits; alone decides
	Place string // where it was last seen, for people
}

// ownerPrefix begins the name of that consumer.
const ownerPrefix = "archive:"

func (o Owner) consumer() string { return ownerPrefix + o.ID + ":" + o.Place }

// join creates the stream and the group where they are missing, and notes whose
// the group is.
// KEYS[1] stream; ARGV[1] group, ARGV[2] the owner's ID, ARGV[3] the name of its
// consumer, ARGV[4] 1 to take the group over. Returns the name of another owner's
// consumer, and changes nothing of it; else an empty text.
var join = newScript(`#!lua flags=allow-oom
` + consumerNames + `
local key, group = KEYS[1], ARGV[1]
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM', 'ENTRIESREAD', '0')
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
local stale, there = {}, false
for _, name in ipairs(names(key, group)) do
  local id = string.match(name, '^` + ownerPrefix + `(%w+):')
  if name == ARGV[3] then
    there = true
  elseif id then
    if id ~= ARGV[2] and ARGV[4] ~= '1' then return name end
    stale[#stale + 1] = name
  end
end
if not there then redis.call('XGROUP', 'CREATECONSUMER', key, group, ARGV[3]) end
for _, name in ipairs(stale) do redis.call('XGROUP', 'DELCONSUMER', key, group, name) end
return ''
`)

// Join creates the stream and the group where they are missing, even when Redis
// is out of memory, and makes the group the owner's: one that is another's only
// with takeOver, else ErrOtherOwner. It can be repeated.
func (s *Stream) Join(ctx context.Context, o Owner, takeOver bool) error {
	flag := 0
	if takeOver {
		flag = 1
	}
	other, err := join.Run(ctx, s.redis, []string{s.name}, s.group, o.ID, o.consumer(), flag).Text()
	if err != nil {
		return classify("create the group of "+s.name, err)
	}
	if other != "" {
		return otherOwner(s.name, ownerOf(other))
	}
	return nil
}

// Owner returns whose the group is; ok is false where nobody has said so.
func (s *Stream) Owner(ctx context.Context) (o Owner, ok bool, err error) {
	consumers, err := s.redis.XInfoConsumers(ctx, s.name, s.group).Result()
	if isMissing(err) {
		return Owner{}, false, nil
	}
	if err != nil {
		return Owner{}, false, classify("read whose the group of "+s.name+" is", err)
	}
	return findOwner(consumers)
}

func findOwner(consumers []redis.XInfoConsumer) (o Owner, ok bool, err error) {
	for _, c := range consumers {
		if strings.HasPrefix(c.Name, ownerPrefix) {
			return ownerOf(c.Name), true, nil
		}
	}
	return Owner{}, false, nil
}

func ownerOf(consumer string) Owner {
	id, place, _ := strings.Cut(strings.TrimPrefix(consumer, ownerPrefix), ":")
	return Owner{id, place}
}

func otherOwner(name string, o Owner) error {
	return fmt.Errorf("%w: that of %s reads for the archive in %s", ErrOtherOwner, name, o.Place)
}
