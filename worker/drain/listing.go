package drain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/ledger"
	"datawriter/worker/part"
	"datawriter/worker/sink"
)

// listing is what is published of one (window, kind), and the ledger of it.
type listing struct {
	names  []sink.Name
	next   int        // the part number that this round may publish
	orphan *part.Meta // of rejects that stand without their part: a run was killed between the two
	first  bool       // no part is published yet
	loaded bool       // the ledger has been read
	ledger ledger.Set
}

// name returns the name that a file of this attempt's window gets.
func (a *attempt) name(number int, rejects bool) sink.Name {
	return sink.Name{Window: a.window, Kind: a.kind, Part: number, Rejects: rejects}
}

// list fixes the part number of this round before anything is read: a number
// computed later could let two racers publish the same entries under two names.
func (a *attempt) list(ctx context.Context) error {
	names, err := sink.Published(ctx, a.sink, a.cfg.Layout, a.name(0, false))
	if err == nil {
		names, err = a.withdrawUncounted(ctx, names)
	}
	if err != nil {
		return err
	}
	a.published = listing{names: names, first: true}
	for _, n := range names {
		if !n.Rejects {
			a.published.first = false
			a.published.next = max(a.published.next, n.Part+1)
		}
	}
	for _, n := range names {
		if n.Rejects && n.Part == a.published.next {
			// Its number and IDs go into the part that completes it.
			return a.load(ctx)
		}
	}
	return nil
}

// withdrawUncounted takes back rejects beside a part that counts none, and returns
// the other names. A run that slept published them after Redis had lost them and
// another run had published the part without: two names cannot be linked at once.
// What Redis still has of them is then read again, like everything unpublished.
func (a *attempt) withdrawUncounted(ctx context.Context, names []sink.Name) (kept []sink.Name, err error) {
	for _, n := range names {
		counted, err := a.isCounted(ctx, n, names)
		if err != nil {
			return nil, err
		}
		if counted {
			kept = append(kept, n)
			continue
		}
		path := a.cfg.Layout.Path(n)
		a.log.Warn("withdraw rejects that their part does not count", zap.String("path", path))
		if err := a.sink.Withdraw(ctx, path); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// isCounted reports that a file is none of rejects, or that its part counts them
// or is still to come.
func (a *attempt) isCounted(ctx context.Context, n sink.Name, names []sink.Name) (counted bool, err error) {
	of := a.name(n.Part, false)
	if !n.Rejects || !slices.Contains(names, of) {
		return true, nil
	}
	err = a.inspect(ctx, of, func(f *part.File) error {
		counted = f.Meta().Rejected > 0
		return nil
	})
	return counted, err
}

// strays reports copies beside the parts of the window.
func (a *attempt) strays(ctx context.Context) error {
	paths, err := sink.Strays(ctx, a.sink, a.cfg.Layout, a.name(0, false))
	if err != nil || len(paths) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s in %s is none of its files, and a reader of *.parquet would read its rows twice: move it out of the archive",
		ErrStray, strings.Join(paths, ", "), a.folder())
}

// known reports whether an entry is in the ledger, which is read at the first
// question: a window that is drained for the first time never asks.
func (a *attempt) known(ctx context.Context, e *event.Entry) (bool, error) {
	if len(a.published.names) == 0 || fault.NoLedger.Is() {
		return false, nil
	}
	if err := a.load(ctx); err != nil {
		return false, err
	}
	return a.published.ledger.Has(e.ID, identity(e.Hash())), nil
}

// load reads the ledger from the published files. One that does not parse, or
// that holds what does not belong, is an integrity violation.
func (a *attempt) load(ctx context.Context) error {
	if a.published.loaded {
		return nil
	}
	for _, n := range a.published.names {
		if n.Rejects && fault.NoRejectLedger.Is() {
			continue
		}
		if err := a.loadFile(ctx, n); err != nil {
			return err
		}
	}
	a.published.loaded = true
	return nil
}

// identity returns what of a hash tells entries of one ID apart: all of it.
func identity(hash uint64) uint64 {
	if fault.LedgerByID.Is() {
		return 0
	}
	return hash
}

func (a *attempt) loadFile(ctx context.Context, n sink.Name) error {
	return a.inspect(ctx, n, func(f *part.File) error {
		if meta := f.Meta(); n.Rejects && n.Part == a.published.next {
			a.published.orphan = &meta
		}
		return f.Identities(func(id event.ID, hash uint64) error {
			if !a.window.ContainsMS(id.MS) {
				return fmt.Errorf("%w: %s holds entry %s, which is outside its window", ErrIntegrity, a.cfg.Layout.Path(n), id)
			}
			a.published.ledger.Add(id, identity(hash))
			return nil
		})
	})
}

// inspect opens a published file that must be what its name says.
func (a *attempt) inspect(ctx context.Context, n sink.Name, look func(*part.File) error) error {
	path := a.cfg.Layout.Path(n)
	file, err := a.sink.Open(ctx, path)
	if err != nil {
		return err
	}
	defer file.Close()
	opened, err := part.Open(file, file.Size())
	if err != nil {
		return damaged(path, err)
	}
	meta := opened.Meta()
	if meta.Kind != n.Kind || meta.Window != n.Window || meta.Part != n.Part || opened.IsRejects() != n.Rejects {
		return fmt.Errorf("%w: %s says of itself that it is part %d of %s %s", ErrIntegrity, path, meta.Part, meta.Kind, meta.Window)
	}
	return damaged(path, look(opened))
}

// damaged marks what was found while reading a published file as a violation,
// unless it is the disk that failed: that may answer another time.
func damaged(path string, err error) error {
	var disk syscall.Errno
	if err == nil || errors.Is(err, ErrIntegrity) || errors.As(err, &disk) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrIntegrity, path, err)
}
