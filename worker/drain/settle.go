package drain

import (
	"context"
	"fmt"

	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/stream"
)

// Pages of settling. Acking is cheap enough for the largest page; deleting one
// by one is not. A trim step deletes whole nodes and blocks for a few tens of
// milliseconds at this size.
const (
	ackPage    = stream.MaxPage
	deletePage = 1000
	trimStep   = 100_000
)

// settle acks and deletes what this attempt read, all of which is in published
// parts by now. The names of those parts are made durable first: an earlier run
// may have been killed between linking them and syncing their folder.
func (a *attempt) settle(ctx context.Context) error {
	// Also where nothing is left to settle: what a killed run has linked is drained
	// from now on.
	if err := a.harden(ctx); err != nil {
		return err
	}
	if err := a.mark(ctx); err != nil {
		return err
	}
	if a.settling.Len() > 0 {
		if err := a.remove(ctx); err != nil {
			return err
		}
	}
	a.settled = true
	if fault.NoSweep.Is() {
		return nil
	}
	vanished, err := a.stream.SweepPending(ctx, a.server.ID(), a.window.StartMS(), a.window.EndMS())
	if err != nil {
		return err
	}
	a.total.Vanished += int64(vanished)
	// A window that holds no entries any more is not drained again, but a loss of
	// power may have brought back what was pending of it.
	if _, err := a.stream.SweepPending(ctx, a.server.ID(), 0, a.window.StartMS()); err != nil {
		return err
	}
	a.cfg.Faults.At(fault.Swept)
	return a.stream.Realign(ctx, a.server.ID(), a.window.EndMS())
}

func (a *attempt) harden(ctx context.Context) error {
	if fault.NoHarden.Is() || len(a.published.names) == 0 && a.settling.Len() == 0 {
		return nil
	}
	for _, rejects := range []bool{false, true} {
		if a.hardened[rejects] {
			continue // publishing synced the folder, with every name in it
		}
		if err := a.hardenFolder(ctx, rejects); err != nil {
			return err
		}
	}
	return nil
}

// hardenFolder makes the names of the parts, or of the rejects, durable.
func (a *attempt) hardenFolder(ctx context.Context, rejects bool) error {
	return a.sink.Harden(ctx, a.cfg.Layout.Folder(a.name(0, rejects)))
}

// remove takes the cheapest way that deletes exactly what is in the ledger.
func (a *attempt) remove(ctx context.Context) error {
	if fault.SettlesRange.Is() {
		return a.source.Redis().XTrimMinID(ctx, a.stream.Name(), fmt.Sprint(a.window.EndMS())).Err()
	}
	if a.settling.Len() <= deletePage {
		return a.deletePages(ctx)
	}
	if !a.cfg.NoAck {
		if err := a.ackPages(ctx); err != nil {
			return err
		}
	}
	trimmed, err := a.trim(ctx)
	if err != nil || trimmed {
		return err
	}
	return a.deletePages(ctx)
}

func (a *attempt) deletePages(ctx context.Context) error {
	return a.settling.Pages(deletePage, func(page []event.ID) error {
		done, err := a.stream.Settle(ctx, a.server.ID(), page)
		a.total.Settled += max(done.Acked, done.Deleted)
		a.deleted += done.Deleted
		a.cfg.Faults.At(fault.Settled)
		return err
	})
}

func (a *attempt) ackPages(ctx context.Context) error {
	return a.settling.Pages(ackPage, func(page []event.ID) error {
		_, err := a.stream.Ack(ctx, page)
		a.cfg.Faults.At(fault.Settled)
		return err
	})
}

// trim deletes step by step; false means that the stream holds something else
// too, and that nothing more was deleted.
func (a *attempt) trim(ctx context.Context) (bool, error) {
	left := a.settling.Len()
	all := true
	err := a.settling.Pages(trimStep, func(page []event.ID) error {
		if !all {
			return nil
		}
		keep := after(page[len(page)-1])
		n, ok, err := a.stream.Trim(ctx, a.server.ID(), a.window.StartMS(), a.window.EndMS(), left, keep)
		if err != nil {
			return err
		}
		if !ok {
			all = false
			return nil
		}
		if n != len(page) {
			return fmt.Errorf("%w: trimming %s below %s deleted %d entries instead of %d", ErrIntegrity, a.stream.Name(), keep, n, len(page))
		}
		left -= n
		a.total.Settled += int64(n)
		a.deleted += int64(n)
		a.cfg.Faults.At(fault.Trimmed)
		return nil
	})
	return all, err
}
