package drain

import (
	"context"
	"errors"
	"slices"

	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// errDisturbed: somebody else read through the group meanwhile, so what this
// round got through it may not be everything. Read by range instead.
var errDisturbed = errors.New("another reader moved the group")

// content reads everything that a window holds, in ascending order.
type content struct {
	stream  *stream.Stream
	window  window.Window
	noack   bool
	byRange bool // do not go through the group at all
	faults  *fault.Injector
	memory  *memory

	taken int64    // entries that the group gave
	last  event.ID // the last of them
	added int64    // the stream's entries-added, as last seen; stream.Unknown once it has gone back
}

// read calls yield for every page: what earlier runs claimed and did not settle,
// then what the group has not delivered yet; all of it by range where windows are
// drained out of order. Pages may hold entries outside the window, which the caller
// passes over. errDisturbed at the end when the pages may not have been everything.
func (c *content) read(ctx context.Context, yield func(*stream.Page) error) error {
	before, err := c.stream.Group(ctx)
	if err != nil {
		return err
	}
	c.count(before.EntriesAdded)
	start, end := event.ID{MS: c.window.StartMS()}, event.ID{MS: c.window.EndMS()}
	inOrder, err := c.inOrder(ctx, before)
	if err != nil {
		return err
	}
	if c.byRange || !inOrder {
		return c.memory.prefetch(ctx, c.ranged(start, end), yield)
	}
	if claimed := after(before.LastDelivered); claimed.Compare(end) < 0 {
		end = claimed
	}
	if !fault.NoLeftovers.Is() {
		if err := c.memory.prefetch(ctx, c.ranged(start, end), yield); err != nil {
			return err
		}
	}
	c.taken, c.last = 0, before.LastDelivered
	if err := c.memory.prefetch(ctx, c.fresh(), yield); err != nil {
		return err
	}
	return c.undisturbed(ctx, before)
}

// inOrder reports whether the group has read everything below the window, and Redis
// can count what it gives. Else an older window waits, all of which the group would
// claim on its way to this one; or a newer one was drained and deleted before this.
func (c *content) inOrder(ctx context.Context, g stream.GroupState) (bool, error) {
	if g.Lag == stream.Unknown {
		return false, nil
	}
	next, ok, err := c.stream.Next(ctx, g.LastDelivered)
	return err == nil && (!ok || next.MS >= c.window.StartMS()), err
}

// ranged reads [from, to) by XRANGE, page by page.
func (c *content) ranged(from, to event.ID) source {
	return func(ctx context.Context, into *buffer) error {
		page := &into.page
		page.Entries = page.Entries[:0]
		if from.Compare(to) >= 0 {
			return nil
		}
		size, err := c.room(ctx, into, from, to)
		if err != nil || size.Entries == 0 {
			return err
		}
		if err := c.stream.Range(ctx, page, from, to, size.Entries); err != nil {
			return err
		}
		c.memory.sizer.Learn(page)
		if n := len(page.Entries); n > 0 {
			from = after(page.Entries[n-1].ID)
		}
		return nil
	}
}

// room returns how many of the entries with from <= ID < to the next page may ask
// for, and waits until there is memory for them. Zero is the end.
func (c *content) room(ctx context.Context, into *buffer, from, to event.ID) (stream.Size, error) {
	size, err := c.memory.sizer.Next(ctx, from, to)
	if err != nil || size.Entries == 0 {
		return size, err
	}
	if err := c.memory.budget.take(ctx, into, size.Bytes); err != nil {
		return size, err
	}
	if size.Counted {
		into.page.Prepare(size.Bytes)
	}
	return size, nil
}

// fresh reads through the group, never more than is known to lie below the
// window's end, so that an undisturbed run claims nothing of the next window.
func (c *content) fresh() source {
	left := &c.memory.tail
	left.ids, left.asked, left.whole = left.ids[:0], 0, false
	return func(ctx context.Context, into *buffer) error {
		page := &into.page
		page.Entries = page.Entries[:0]
		count, err := c.unread(ctx, into, left)
		if err != nil || count == 0 {
			return err
		}
		if err := c.stream.ReadNew(ctx, page, count, c.noack); err != nil {
			return err
		}
		c.memory.sizer.Learn(page)
		n := len(page.Entries)
		if n == 0 {
			return errDisturbed // what was counted is gone: somebody took it
		}
		if page.Entries[0].ID.Compare(c.last) <= 0 {
			return errDisturbed // the group was destroyed and begins again
		}
		c.taken += int64(n)
		c.last = page.Entries[n-1].ID
		c.faults.At(fault.Claimed)
		return nil
	}
}

// unread returns how many entries behind the cursor the next page takes: no more
// than are known to lie below the window's end.
func (c *content) unread(ctx context.Context, into *buffer, left *tail) (int, error) {
	room := func() (stream.Size, error) {
		return c.room(ctx, into, after(c.last), event.ID{MS: c.window.EndMS()})
	}
	size, err := room()
	if err != nil || size.Counted {
		return size.Entries, err
	}
	if !left.whole && (left.after(c.last) == 0 || size.Entries > left.asked) {
		if err := c.look(ctx, left, size.Entries); err != nil {
			return 0, err
		}
		if size, err = room(); err != nil || size.Counted { // the tail may have shown large entries
			return size.Entries, err
		}
	}
	unread := left.after(c.last)
	if fault.ReadsBeyond.Is() && unread > 0 {
		return size.Entries, nil
	}
	return min(unread, size.Entries), nil
}

// tail is the last entries below the window's end. While the cursor has not
// reached them, at least that many are left; from then on exactly those.
type tail struct {
	ids   []event.ID // ascending
	asked int
	whole bool // these are all that stand behind the cursor; the fence lets none be added
	page  stream.Page
}

// look finds the tail again, of at most count entries.
func (c *content) look(ctx context.Context, t *tail, count int) error {
	if err := c.stream.Tail(ctx, &t.page, c.last, event.ID{MS: c.window.EndMS()}, count); err != nil {
		return err
	}
	t.ids, t.asked, t.whole = t.ids[:0], count, len(t.page.Entries) < count
	for _, e := range slices.Backward(t.page.Entries) {
		t.ids = append(t.ids, e.ID)
	}
	c.memory.sizer.Learn(&t.page)
	t.page.Shrink(keptPage)
	return nil
}

// after returns how many entries of the tail stand behind the cursor.
func (t *tail) after(cursor event.ID) int {
	at, found := slices.BinarySearchFunc(t.ids, cursor, event.ID.Compare)
	if found {
		at++
	}
	return len(t.ids) - at
}

// undisturbed compares how far the group moved with what this run took.
func (c *content) undisturbed(ctx context.Context, before stream.GroupState) error {
	now, err := c.stream.Group(ctx)
	if err != nil {
		return err
	}
	c.count(now.EntriesAdded)
	moved := now.EntriesRead - before.EntriesRead
	known := before.EntriesRead != stream.Unknown && now.EntriesRead != stream.Unknown
	if fault.NotDisturbed.Is() {
		return nil
	}
	if now.LastDelivered != c.last || c.taken > 0 && (!known || moved != c.taken) {
		return errDisturbed
	}
	return nil
}

// count notes the stream's entries-added. One that goes back is another server's,
// after a failover: a footer must not set it beside the run_id of the first.
func (c *content) count(added int64) {
	if added < c.added {
		added = stream.Unknown
	}
	if c.added != stream.Unknown {
		c.added = added
	}
}

// after returns the smallest ID behind id.
func after(id event.ID) event.ID {
	if id.Seq == 1<<64-1 {
		return event.ID{MS: id.MS + 1}
	}
	return event.ID{MS: id.MS, Seq: id.Seq + 1}
}
