package stream

import (
	"context"

	"datawriter/worker/event"
)

// Bounds of a page. Bytes bound the memory of the reader and of Redis's output
// buffer, which counts against maxmemory; entries bound how long one command blocks
// Redis.
const (
	PageBytes    = 1 << 20  // what a page aims at; one entry may be larger
	firstPage    = 32       // entries, of a stream that is not known yet
	growth       = 8        // at most, from page to page
	mostBytes    = 8 << 20  // that a page may reach if all its entries are as large as the largest so far
	largeEntry   = 64 << 10 // above it the stream is read carefully
	largeAverage = 4 << 10  // above it, too: several times the largest event that is usual
)

// Sizer decides how many entries the next page of one stream may ask for. Usual
// entries are read in pages whose size is learned from the pages before. A stream that
// holds, or may hold, large entries is read carefully: their sizes are added up
// inside Redis first, which costs it three times as much as reading usual ones. It is
// not safe for concurrent use.
type Sizer struct {
	stream  *Stream
	weighed bool
	careful bool
	unknown bool
	entries int // that a page may have, as learned
}

// NewSizer returns a Sizer that knows nothing of the stream yet.
func NewSizer(s *Stream) *Sizer { return &Sizer{stream: s} }

// Size is what a page may ask for.
type Size struct {
	Entries int
	Bytes   int  // that the page will take, about
	Counted bool // Entries is exactly what fits: no entry is left where it is 0
}

// Next returns the size of the next page of entries with from <= ID < to. At its
// first call it asks Redis how much memory the stream takes.
func (z *Sizer) Next(ctx context.Context, from, to event.ID) (Size, error) {
	if !z.weighed {
		if err := z.weigh(ctx); err != nil {
			return Size{}, err
		}
	}
	if !z.careful {
		return Size{Entries: max(z.entries, firstPage), Bytes: PageBytes}, nil
	}
	return z.stream.fitting(ctx, from, to)
}

func (z *Sizer) weigh(ctx context.Context) error {
	w, err := z.stream.Weigh(ctx)
	if err != nil {
		return err
	}
	z.weighed, z.unknown = true, !w.Known
	z.careful = !w.Known || w.Uneven || w.Bytes > max(PageBytes, largeAverage*w.Entries)
	return nil
}

// Unknown reports that Redis did not say how much memory the stream takes, so that
// it is read carefully for no other reason.
func (z *Sizer) Unknown() bool { return z.unknown }

// Learn takes into account what a page turned out to hold.
func (z *Sizer) Learn(p *Page) {
	if len(p.Entries) == 0 {
		return
	}
	z.careful = z.careful || p.Largest > largeEntry
	each := max(p.Bytes/len(p.Entries), 1)
	z.entries = max(1, min(PageBytes/each, mostBytes/p.Largest, max(z.entries, firstPage)*growth, MaxPage))
}

// fitting adds up the sizes of entries, in the bytes of a reply.
// KEYS[1] stream; ARGV[1] and ARGV[2] bounds of the IDs, as XRANGE takes them, ARGV[3]
// bytes, ARGV[4] most entries. Returns how many of the first entries do not exceed the
// bytes, at least one if there is any, and their bytes.
//
// Each entry becomes a string of Lua first. So they are taken one by one, and usual
// ones up to 16 at a time, which halves the cost.
var fitting = newScript(`#!lua flags=no-writes
local from, room, most = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local count, bytes, step = 0, 0, 1
while count < most and bytes < room do
  step = math.min(step, most - count)
  local entries, largest = redis.call('XRANGE', KEYS[1], from, ARGV[2], 'COUNT', step), 0
  for _, entry in ipairs(entries) do
    local size = 64
    for _, field in ipairs(entry[2]) do size = size + #field + 16 end
    if count > 0 and bytes + size > room then return {count, bytes} end
    count, bytes, largest = count + 1, bytes + size, math.max(largest, size)
  end
  if #entries < step then break end
  from = '(' .. entries[#entries][1]
  step = largest < 8192 and math.min(2 * step, 16) or 1
end
return {count, bytes}
`)

// fitting returns how many of the entries with from <= ID < to make a page.
func (s *Stream) fitting(ctx context.Context, from, to event.ID) (Size, error) {
	if from.Compare(to) >= 0 {
		return Size{Counted: true}, nil
	}
	reply, err := s.ask(ctx, fitting, from.String(), "("+to.String(), PageBytes, MaxPage).Int64Slice()
	if hasCode(err, []string{noPermission}) { // nothing can be measured: one entry at a time
		return Size{Entries: 1, Bytes: PageBytes}, nil
	}
	if err != nil {
		return Size{}, classify("measure entries of "+s.name, err)
	}
	return Size{Entries: int(reply[0]), Bytes: int(reply[1]), Counted: true}, nil
}
