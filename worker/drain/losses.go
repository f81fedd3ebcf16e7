package drain

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/part"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
)

// The account of a stream is opened before the drain touches it and closed after
// the drain has settled. That it cannot be kept is no reason not to drain.

// openAccount notices a stream that is gone or counts less than it did. It comes
// before the group is created, which would bring the stream back.
func (a *attempt) openAccount(ctx context.Context) error {
	if err := a.endCut(ctx); err != nil {
		return err
	}
	return a.keepAccount(ctx, func(s *account.State, l account.Look) error {
		return s.Begin(l, func() ([]account.Part, error) { return a.filed(ctx) })
	})
}

// endCut creates the group of a raw stream before its account begins: what the
// live source cuts from a stream without a group would count as lost between the
// two. No account can tell yet that the stream was gone.
func (a *attempt) endCut(ctx context.Context) error {
	if !a.kind.IsRaw() || a.cfg.Book == nil {
		return nil
	}
	if state, err := a.cfg.Book.Read(a.kind.String(), a.stream.Name()); err != nil || state.RunID != "" {
		return nil //nolint:nilerr // the account itself says what is wrong with it
	}
	return a.stream.Join(ctx, a.owner, a.cfg.Adopt)
}

// closeAccount compares what was added with what is in files and what is left.
func (a *attempt) closeAccount(ctx context.Context) error {
	published := a.total.Rows + a.total.Rejected - a.before
	return a.keepAccount(ctx, func(s *account.State, l account.Look) error {
		if !fault.NoWatermark.Is() {
			s.Mark(a.window.Span())
		}
		return s.End(l, published, func() ([]account.Part, error) { return a.filed(ctx) },
			func() (int64, bool, error) { return a.countKept(ctx, s, l) })
	})
}

// keepAccount lets change work on the account, with a look at the stream. What
// counts as still to be drained is what lies below the end of the youngest window
// that was ever drained, or is now.
func (a *attempt) keepAccount(ctx context.Context, change func(*account.State, account.Look) error) error {
	if a.cfg.Book == nil {
		return nil
	}
	var looked error
	err := a.cfg.Book.Update(a.kind.String(), a.stream.Name(), func(s *account.State) error {
		if a.settled {
			s.Keep(a.server.ID(), a.window.Span(), int64(a.settling.Len()), a.deleted)
		}
		var l stream.Look
		if l, looked = a.stream.Look(ctx, max(s.NewestBy(a.clock), a.window.EndMS()), s.KeptOn(a.server.ID())...); looked != nil {
			return looked
		}
		return change(s, account.Look(l))
	})
	if looked != nil {
		return looked // of Redis, which the drain needs too
	}
	if err != nil {
		a.log.Warn("losses inside redis cannot be accounted for now", zap.Stringer("kind", a.kind), zap.Error(err))
	}
	return nil
}

// number notes the sequence number that a producer may have given an entry.
func number(e *event.Entry, in *account.Sequence) {
	if len(e.Fields) <= 2 {
		return
	}
	for i := 0; i+1 < len(e.Fields); i += 2 {
		if string(e.Fields[i]) == account.Field {
			if n, ok := parseNumber(e.Fields[i+1]); ok {
				in.Add(n)
			}
		}
	}
}

func parseNumber(text []byte) (n int64, ok bool) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, err == nil && n > 0
}

// unkept returns how many fields of a row's entry are in no column and no footer.
func unkept(e *event.Entry) (n int64) {
	if len(e.Fields) <= 2 {
		return 0
	}
	for i := 0; i+1 < len(e.Fields); i += 2 {
		_, numbered := parseNumber(e.Fields[i+1])
		if name := string(e.Fields[i]); name != event.FieldName && (name != account.Field || !numbered) {
			n++
		}
	}
	return n
}

// filed returns the footers of all published files of the kind.
func (a *attempt) filed(ctx context.Context) (parts []account.Part, err error) {
	err = sink.Walk(ctx, a.sink, a.cfg.Layout, time.Time{}, time.Time{}, func(h sink.Hour) error {
		for _, n := range h.Names {
			if n.Kind != a.kind {
				continue
			}
			p, err := a.footer(ctx, n)
			if err != nil {
				return err
			}
			parts = append(parts, p)
		}
		return nil
	})
	return parts, err
}

func (a *attempt) footer(ctx context.Context, n sink.Name) (account.Part, error) {
	path := a.cfg.Layout.Path(n)
	file, err := a.sink.Open(ctx, path)
	if err != nil {
		return account.Part{}, err
	}
	defer file.Close()
	opened, err := part.Open(file, file.Size())
	if err != nil {
		return account.Part{}, fmt.Errorf("%w: %s: %w", ErrIntegrity, path, err)
	}
	numbers, err := account.ParseRanges(opened.Meta().Numbers)
	if err != nil {
		return account.Part{}, fmt.Errorf("%w: %s: %w", ErrIntegrity, path, err)
	}
	return account.Part{Entries: opened.NumRows(), End: n.Window.EndMS(), Added: opened.Meta().EntriesAdded,
		RunID: opened.Meta().RunID, Numbers: numbers}, nil
}

// losses returns what the account has not reported yet.
func (d *Drainer) losses(kind event.Kind) (losses []runlog.Loss) {
	if d.cfg.Book == nil {
		return nil
	}
	state, err := d.cfg.Book.Read(kind.String(), d.source.Name(kind))
	if err != nil {
		return nil
	}
	for _, l := range state.Pending {
		losses = append(losses, runlog.Loss{Class: string(l.Class), Count: l.Count})
	}
	return losses
}

// reportLosses turns the losses of a record that is in the run log by now into
// log lines and an error. Only then the account forgets that they are to be told:
// a run that is killed before tells nobody, and the next one does.
func (d *Drainer) reportLosses(record runlog.Record) (err error) {
	for _, k := range record.Kinds {
		var told []account.Loss
		for _, l := range k.Losses {
			d.log.Error("redis lost entries that it had acknowledged", zap.Stringer("window", record.Window), zap.Stringer("kind", k.Kind),
				zap.String("class", l.Class), zap.Int64("entries", l.Count))
			err = errors.Join(err, fmt.Errorf("%w: %s: %s, %d entries at least", ErrLost, k.Kind, l.Class, l.Count))
			told = append(told, account.Loss{Class: account.Class(l.Class), Count: l.Count})
		}
		if len(told) == 0 {
			continue
		}
		err = errors.Join(err, d.cfg.Book.Update(k.Kind.String(), k.Stream, func(s *account.State) error {
			s.Reported(told)
			return nil
		}))
	}
	return err
}
