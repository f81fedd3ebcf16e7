package drain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/ledger"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// replicaWait is how long a fence may take to reach the replicas.
const replicaWait = time.Second

// maxRounds bounds how often an attempt goes back to listing because another
// run was faster. Each round some run has published something, so it is never
// reached in practice.
const maxRounds = 20

// attempt is one walk through the protocol for one kind of one window.
type attempt struct {
	*Drainer
	window window.Window
	kind   event.Kind
	stream *stream.Stream
	total  *runlog.Kind // counts over all attempts

	server    stream.Server
	clock     uint64 // of the server when the attempt began, in milliseconds
	published listing
	content   *content
	settling  ledger.IDs    // everything read in this round, all of it in the ledger once published
	settled   bool          // all of that is acked
	deleted   int64         // of that; the rest is kept for other groups
	again     bool          // the round left content out on purpose
	lost      error         // the window's part 0 is missing; reported when the attempt has done all it can
	hardened  map[bool]bool // whether this attempt synced the folder of the parts (false), of the rejects (true)

	before  int64            // entries that earlier attempts published
	numbers account.Sequence // that the producer gave what is in settling
}

func newAttempt(d *Drainer, w window.Window, kind event.Kind, total *runlog.Kind) *attempt {
	s := d.source.Stream(kind)
	return &attempt{
		Drainer: d, window: w, kind: kind, stream: s, total: total, hardened: make(map[bool]bool), before: total.Rows + total.Rejected,
		content: &content{stream: s, window: w, noack: d.cfg.NoAck, faults: d.cfg.Faults, memory: &d.memory[kind]},
	}
}

// run is the protocol, one step a function. Its comments give the numbers that
// DESIGN.md uses.
func (a *attempt) run(ctx context.Context) (err error) {
	if err := a.observe(ctx); err != nil { // 1, 2
		return err
	}
	if err := a.openAccount(ctx); err != nil {
		return err
	}
	if err := a.beginRecord(ctx); err != nil {
		return err
	}
	if err := a.stream.Join(ctx, a.owner, a.cfg.Adopt); err != nil { // 3
		return err
	}
	a.cfg.Faults.At(fault.GroupCreated)
	release, err := a.takeLease(ctx) // 4, 14
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := a.fence(ctx); err != nil { // 5
		return err
	}
	if err := a.publishAll(ctx); err != nil { // 6 to 12
		return err
	}
	if err := a.checkLate(ctx); err != nil {
		return err
	}
	if err := a.settle(ctx); err != nil { // 13
		return err
	}
	if err := a.closeAccount(ctx); err != nil {
		return err
	}
	return errors.Join(a.lost, a.strays(ctx))
}

// observe keeps what INFO says at the start, and makes sure that it is no replica and
// that by its clock the window has ended: after a failover another server answers.
func (a *attempt) observe(ctx context.Context) (err error) {
	if a.server, err = a.source.Server(ctx); err != nil {
		return err
	}
	if err := a.writable(a.server); err != nil {
		return err
	}
	now, err := a.now(ctx)
	if err != nil {
		return err
	}
	a.clock = uint64(now.UnixMilli())
	if now.Before(a.window.End()) {
		return fmt.Errorf("%w: the clock of redis says %s", ErrNotClosed, now.Format(time.RFC3339))
	}
	return nil
}

// takeLease takes the advisory lease, keeps it alive, and returns what ends it.
func (a *attempt) takeLease(ctx context.Context) (release func() error, err error) {
	return a.holdLease(ctx, a.stream)
}

// holdLease is takeLease for whoever works on a stream.
func (d *Drainer) holdLease(ctx context.Context, s *stream.Stream) (release func() error, err error) {
	lease, err := s.TakeLease(ctx, d.cfg.Lease)
	if err != nil {
		return nil, err
	}
	d.cfg.Faults.At(fault.LeaseTaken)
	keeping, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { lease.Keep(keeping); close(done) }()
	return func() error {
		stop()
		<-done
		// A stopped run gives its lease back too, so that the next need not wait
		// for it to expire. Failing to is no failure of the drain.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = lease.Release(last)
		d.cfg.Faults.At(fault.Released)
		return nil
	}, nil
}

func (a *attempt) fence(ctx context.Context) error {
	if fault.NoFence.Is() {
		return nil
	}
	if err := a.stream.Fence(ctx, a.window.EndMS()); err != nil {
		return err
	}
	a.cfg.Faults.At(fault.Fenced)
	if a.server.Replicas == 0 {
		return nil
	}
	return a.source.WaitReplicas(ctx, a.server.Replicas, replicaWait)
}

// publishAll goes round until a round finds everything in the ledger: normally
// the first one publishes part 0 and that is all.
func (a *attempt) publishAll(ctx context.Context) error {
	for range maxRounds {
		err := a.round(ctx)
		switch {
		case errors.Is(err, sink.ErrExists):
			a.lost = nil // the part is there: another run drained the window meanwhile
			continue     // what it holds is in the next listing
		case errors.Is(err, errDisturbed):
			a.content.byRange = true
			continue
		case errors.Is(err, errHole):
			return nil
		case err != nil:
			return err
		case !a.again:
			return nil
		}
	}
	return fmt.Errorf("%w: %d rounds did not suffice to publish", errCrowded, maxRounds)
}

// round lists, reads, encodes and publishes once.
func (a *attempt) round(ctx context.Context) (err error) {
	if err := a.list(ctx); err != nil { // 6
		return err
	}
	a.cfg.Faults.At(fault.Listed)
	a.settling.Reset()
	a.numbers = account.Sequence{}
	a.again = false
	out := newOutput(a)
	defer func() { err = errors.Join(err, out.discard()) }()
	if err := a.content.read(ctx, func(p *stream.Page) error { return a.take(ctx, p, out) }); err != nil { // 7 to 9
		return err
	}
	a.total.Added = a.content.added
	if a.content.memory.sizer.Unknown() {
		a.unsure.Do(func() {
			a.log.Warn("redis does not say how much memory streams take, so it adds up the sizes of entries before they are read: " +
				"permit its user MEMORY USAGE (+memory|usage), which is cheaper")
		})
	}
	if !out.needed(a.published) { // 10
		return nil
	}
	if err := a.checkFirst(ctx, out); err != nil {
		return err
	}
	if fault.SettlesFirst.Is() {
		if err := a.remove(ctx); err != nil {
			return err
		}
	}
	return out.publish(ctx) // 11, 12
}

// take puts the entries of a page that are not in the ledger yet into the
// round's files, and remembers all of them for settling.
func (a *attempt) take(ctx context.Context, p *stream.Page, out *output) error {
	for i := range p.Entries {
		e := &p.Entries[i]
		if !a.window.ContainsMS(e.ID.MS) {
			continue // stays pending for its own window, which reads it by range
		}
		known, err := a.known(ctx, e)
		if err != nil {
			return err
		}
		if !known {
			written, err := out.append(ctx, e)
			if err != nil {
				return err
			}
			if !written {
				continue // left out of this round, so it must not be settled yet
			}
		}
		a.settling.Append(e.ID)
		number(e, &a.numbers)
	}
	out.forget()
	return ctx.Err()
}
