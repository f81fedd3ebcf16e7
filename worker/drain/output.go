package drain

import (
	"context"
	"errors"
	"fmt"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/part"
	"datawriter/worker/sink"
)

// output is the part, and its rejects, that one round writes. Their files are
// staged when the first entry comes.
type output struct {
	a       *attempt
	decoder event.Decoder
	row     event.Row

	rows    *partFile[event.Row]
	rejects *partFile[event.Reject]
	reasons map[event.Reason]int64
	numbers account.Sequence // that the producer gave the rejects
	unkept  int64            // fields of the rows' entries that no column is for
	firstID event.ID
	lastID  event.ID
}

func newOutput(a *attempt) *output {
	return &output{
		a:       a,
		rows:    &partFile[event.Row]{role: "part", columns: event.RowColumns(a.kind), writerTo: a.content.memory.writer},
		rejects: &partFile[event.Reject]{role: "rejects", columns: event.RejectColumns(), writerTo: newRejectWriter},
		reasons: make(map[event.Reason]int64),
	}
}

// append writes an entry as a row or as a reject. written is false when a
// reject has to wait for the next round: the rejects of this round's number are
// published already, by a run that was killed before their part.
func (o *output) append(ctx context.Context, e *event.Entry) (written bool, err error) {
	reason := o.decoder.Decode(o.a.kind, e, &o.row)
	switch {
	case reason == "":
		err = o.rows.append(ctx, o, &o.row)
		o.unkept += unkept(e)
	case o.a.published.orphan != nil:
		o.a.again = true
		return false, nil
	default:
		reject := event.NewReject(e, reason)
		err = o.rejects.append(ctx, o, &reject)
		o.reasons[reason]++
		number(e, &o.numbers)
	}
	if o.firstID.IsZero() {
		o.firstID = e.ID
	}
	o.lastID = e.ID
	return true, err
}

// forget drops what aliases the page whose entries were appended last.
func (o *output) forget() {
	o.row = event.Row{}
	o.decoder.Forget()
}

// needed reports whether the round has something to publish: entries, or the
// part 0 that every drained window has, or the part that orphaned rejects lack.
func (o *output) needed(l listing) bool {
	return o.rows.count > 0 || o.rejects.count > 0 || l.first || l.orphan != nil
}

// publish seals both files, the rejects first, and gives them their names, the
// rejects first: a crash between the two leaves rejects that the ledger knows.
func (o *output) publish(ctx context.Context) error {
	if fault.LateNumber.Is() {
		_ = o.a.list(ctx)
	}
	meta := o.meta()
	if o.a.published.orphan != nil { // its run may have died before the name was on disk
		if err := o.a.hardenFolder(ctx, true); err != nil {
			return err
		}
	}
	if o.rejects.count > 0 {
		of := meta
		of.Numbers = o.numbers.String()
		if err := o.rejects.seal(ctx, o, of); err != nil {
			return err
		}
	}
	if err := o.rows.seal(ctx, o, meta); err != nil {
		return err
	}
	if fault.RejectsLast.Is() {
		if err := o.rows.publish(o, meta.Part, false); err != nil {
			return err
		}
	}
	if o.rejects.count > 0 {
		if err := o.rejects.publish(o, meta.Part, true); err != nil {
			return err
		}
	}
	if !fault.RejectsLast.Is() {
		if err := o.rows.publish(o, meta.Part, false); err != nil {
			return err
		}
	}
	o.count(meta)
	return nil
}

func (o *output) meta() part.Meta {
	a := o.a
	meta := part.Meta{
		Kind: a.kind, Window: a.window, Part: a.published.next,
		Rows: o.rows.count, Rejected: o.rejects.count,
		FirstID: o.firstID, LastID: o.lastID,
		EntriesAdded: a.content.added, RunID: a.server.RunID, WriterVersion: a.cfg.Version, Numbers: a.numbers.String(),
		Misdated: a.window.Start.Before(a.misdatedBefore),
	}
	if orphan := a.published.orphan; orphan != nil {
		meta.Rejected = orphan.Rejected
		meta.FirstID = earlier(meta.FirstID, orphan.FirstID)
		if orphan.LastID.Compare(meta.LastID) > 0 {
			meta.LastID = orphan.LastID
		}
	}
	return meta
}

// earlier returns the smaller ID; zero is none.
func earlier(a, b event.ID) event.ID {
	if a.IsZero() || !b.IsZero() && b.Compare(a) < 0 {
		return b
	}
	return a
}

// count adds the published round to the report. Rejects without their part are in
// no report: they may still be withdrawn.
func (o *output) count(meta part.Meta) {
	t := o.a.total
	if o.rejects.count > 0 {
		o.rejects.report(o, meta.Part, true)
	}
	o.rows.report(o, meta.Part, false)
	t.Entries += o.rows.count + o.rejects.count
	t.Rows += o.rows.count
	t.Rejected += o.rejects.count
	t.Unkept += o.unkept
	if meta.Part > 0 {
		t.Late += o.rows.count + o.rejects.count
	}
	if meta.Misdated {
		t.Misdated += o.rows.count + o.rejects.count
	}
	for reason, n := range o.reasons {
		if t.RejectedBy == nil {
			t.RejectedBy = make(map[event.Reason]int64)
		}
		t.RejectedBy[reason] += n
	}
	if first := o.firstID; !first.IsZero() {
		if t.FirstID == nil || first.Compare(*t.FirstID) < 0 {
			t.FirstID = &first
		}
		if last := o.lastID; t.LastID == nil || last.Compare(*t.LastID) > 0 {
			t.LastID = &last
		}
	}
}

func (o *output) discard() error {
	return errors.Join(o.rows.discard(), o.rejects.discard())
}

// partFile is one staged file of records.
type partFile[R any] struct {
	role    string
	columns []event.Column[R]
	count   int64
	staged  sink.Staged
	writer  *part.Writer[R]

	writerTo func(sink.Staged, []event.Column[R], part.Options) *part.Writer[R]
}

// newRejectWriter makes a writer each time: rejects are rare.
func newRejectWriter(to sink.Staged, columns []event.Column[event.Reject], o part.Options) *part.Writer[event.Reject] {
	return part.NewWriter(to, columns, o)
}

func (f *partFile[R]) open(ctx context.Context, o *output) (err error) {
	if f.staged != nil {
		return nil
	}
	if f.staged, err = o.a.sink.Stage(ctx, f.role); err != nil {
		return err
	}
	f.writer = f.writerTo(f.staged, f.columns, part.Options{Compression: o.a.cfg.Compression, RowGroupBytes: o.a.content.memory.budget.rowGroupBytes()})
	return nil
}

func (f *partFile[R]) append(ctx context.Context, o *output, r *R) error {
	if err := f.open(ctx, o); err != nil {
		return err
	}
	f.count++
	return f.writer.Append(r)
}

// seal writes the footer, makes the file durable and reads the footer back: what
// does not say of itself what was meant is never published.
func (f *partFile[R]) seal(ctx context.Context, o *output, meta part.Meta) error {
	if err := f.open(ctx, o); err != nil {
		return err
	}
	if err := f.writer.Close(meta); err != nil {
		return err
	}
	if err := f.staged.Sync(); err != nil {
		return err
	}
	back, err := part.Open(f.staged, f.staged.Size())
	if err != nil {
		return fmt.Errorf("read the footer back: %w", err)
	}
	if got := back.Meta(); back.NumRows() != f.count || got.Window != meta.Window || got.Part != meta.Part || got.Rows != meta.Rows {
		return fmt.Errorf("read the footer back: it holds %d records of part %d of %s instead of %d of part %d of %s",
			back.NumRows(), got.Part, got.Window, f.count, meta.Part, meta.Window)
	}
	return nil
}

func (f *partFile[R]) publish(o *output, number int, rejects bool) error {
	path := o.a.cfg.Layout.Path(o.a.name(number, rejects))
	if err := f.staged.Publish(path); err != nil {
		return fmt.Errorf("publish %s: %w", path, err)
	}
	o.a.hardened[rejects] = true
	return nil
}

func (f *partFile[R]) report(o *output, number int, rejects bool) {
	t := o.a.total
	t.Parts = append(t.Parts, o.a.cfg.Layout.Path(o.a.name(number, rejects)))
	t.Bytes += f.staged.Size()
}

func (f *partFile[R]) discard() error {
	if f.staged == nil {
		return nil
	}
	return f.staged.Discard()
}
