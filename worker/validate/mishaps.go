package validate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/runlog"
	"datawriter/worker/simulate"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// The functions below break a rehearsal, each in one way, or mend it.

func nothing(context.Context, *rehearsal) error { return nil }

// ageLastCommit makes the run log end with a window that was committed too long
// ago. It is the one mishap that is written instead of done: waiting for it would
// take a quarter of an hour.
func ageLastCommit(_ context.Context, r *rehearsal) error {
	end := time.Now().Add(-silenceAfter - time.Minute)
	w, err := window.Containing(end.Add(-windowLength), windowLength)
	if err != nil {
		return err
	}
	return r.runLog().Append(runlog.Record{Window: w, Status: runlog.Nothing, Start: end, End: end, Attempts: 1})
}

// drainNext drains a window that has not been drained.
func drainNext(ctx context.Context, r *rehearsal) error {
	if err := r.nextWindow(ctx); err != nil {
		return err
	}
	return r.drain(ctx, "")
}

// failNext drains a window while the disk fails.
func failNext(ctx context.Context, r *rehearsal) error {
	if err := r.nextWindow(ctx); err != nil {
		return err
	}
	err := r.drain(ctx, "part.linked=EIO")
	if err == nil {
		return errors.New("the drain did not fail although the disk did")
	}
	if drain.Classify(err) != drain.Unavailable {
		return fmt.Errorf("the drain failed in another way than the disk: %w", err)
	}
	return nil
}

// drainAgain drains the same window on a disk that works.
func drainAgain(ctx context.Context, r *rehearsal) error { return r.drain(ctx, "") }

// addRejects adds entries of which half are no events, and drains them.
func addRejects(ctx context.Context, r *rehearsal) error {
	o := simulate.Options{Traits: simulate.Traits{Seed: 2, Authors: 1000, Malformed: 0.5}, Count: 2000}
	if _, err := simulate.Run(ctx, r.stream, o); err != nil {
		return err
	}
	current, err := window.Containing(time.Now(), windowLength)
	if err != nil {
		return err
	}
	r.window = current.Previous()
	for range 2 { // they may have come across the end of a window
		if err := drainNext(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// nextWindow moves on to the newest window that has ended, which is another than
// before.
func (r *rehearsal) nextWindow(ctx context.Context) error {
	for {
		current, err := window.Containing(time.Now().Add(-time.Second), windowLength)
		if err != nil {
			return err
		}
		if r.window.Length == 0 {
			r.window = current.Previous()
			return nil
		}
		if r.window.Before(current.Previous()) {
			r.window = r.window.Next()
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// drain drains the window at hand, with a fault if spec names one.
func (r *rehearsal) drain(ctx context.Context, spec string) error {
	faults, err := fault.Parse(spec)
	if err != nil {
		return err
	}
	to, err := sink.OpenURL(r.data, faults)
	if err != nil {
		return err
	}
	cfg := drain.Config{
		Length: windowLength, Layout: sink.Plain, Wait: 2 * windowLength, Lease: time.Second, Attempts: 1, Version: "rehearsal", Faults: faults,
	}
	_, err = drain.New(r.stream, to, r.runLog(), cfg, zap.NewNop()).Run(ctx, r.window)
	return err
}

// fillMemory adds entries until Redis is nearly full.
func fillMemory(ctx context.Context, r *rehearsal) error {
	return r.produce(ctx, func(s stream.Server) bool { return float64(s.UsedMemory) > 0.97*float64(s.MaxMemory) })
}

// refuseAdds adds entries until Redis refuses them, and then some.
func refuseAdds(ctx context.Context, r *rehearsal) error {
	if err := fillMemory(ctx, r); err != nil {
		return err
	}
	one := []stream.Addition{{Kind: event.Likes, Fields: [][]byte{[]byte(event.FieldName), make([]byte, 1<<20)}}}
	refused := 0
	return r.until(ctx, func() (bool, error) {
		if _, err := r.stream.Add(ctx, one); errors.Is(err, stream.ErrRefused) {
			refused++
		}
		return refused == 20, nil
	})
}

// evict adds entries to a Redis that makes room for them.
func evict(ctx context.Context, r *rehearsal) error {
	if err := r.redis.ConfigSet(ctx, "maxmemory-policy", "allkeys-lru").Err(); err != nil {
		return fmt.Errorf("choose eviction: %w", err)
	}
	return r.produce(ctx, func(s stream.Server) bool { return s.EvictedKeys > 0 })
}

func keepKeys(ctx context.Context, r *rehearsal) error {
	if err := r.redis.ConfigSet(ctx, "maxmemory-policy", "noeviction").Err(); err != nil {
		return fmt.Errorf("end eviction: %w", err)
	}
	return emptyMemory(ctx, r)
}

// produce adds entries until enough says so of the server.
func (r *rehearsal) produce(ctx context.Context, enough func(stream.Server) bool) error {
	producing, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := simulate.Run(producing, r.stream, simulate.Options{Traits: simulate.Traits{Seed: 1, Authors: 1000}, IgnoreMemory: true})
		ended <- err
	}()
	err := r.until(ctx, func() (bool, error) {
		server, err := r.stream.Server(ctx)
		return err == nil && enough(server), err
	})
	stop()
	if stopped := <-ended; stopped != nil && !errors.Is(stopped, context.Canceled) {
		err = errors.Join(err, stopped)
	}
	return err
}

// emptyMemory takes the entries away and leaves the streams, whose counters must
// not go back.
func emptyMemory(ctx context.Context, r *rehearsal) error {
	for _, kind := range event.Kinds() {
		if err := r.redis.XTrimMaxLen(ctx, r.stream.Name(kind), 0).Err(); err != nil {
			return fmt.Errorf("empty the memory: %w", err)
		}
	}
	return nil
}

// loseStream deletes a stream, and somebody begins it again.
func loseStream(ctx context.Context, r *rehearsal) error {
	if err := r.redis.Del(ctx, r.stream.Name(event.Likes)).Err(); err != nil {
		return fmt.Errorf("lose a stream: %w", err)
	}
	_, err := r.stream.Add(ctx, []stream.Addition{{Kind: event.Likes, Fields: [][]byte{[]byte(event.FieldName), []byte("{}")}}})
	return err
}

// mishapTime is how long it may take to break something.
const mishapTime = time.Minute

// until asks again and again until the answer is yes.
func (r *rehearsal) until(ctx context.Context, ask func() (bool, error)) error {
	for deadline := time.Now().Add(mishapTime); ; {
		yes, err := ask()
		if yes || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it did not come to pass within %s", mishapTime)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// busy keeps Redis busy: a loop of ARGV[1] turns, during which nobody else is
// served. It touches no key and returns a number that means nothing.
const busy = `local n = 0 for i = 1, tonumber(ARGV[1]) do n = n + i % 7 end return n`

// slowCommands makes Redis slow until quickCommands: a script that takes about a
// third of a second, twice a second.
func slowCommands(ctx context.Context, r *rehearsal) error {
	turns := 1_000_000
	began := time.Now()
	if err := r.redis.Eval(ctx, busy, nil, turns).Err(); err != nil {
		return fmt.Errorf("slow Redis down: %w", err)
	}
	turns = int(float64(turns) * float64(300*time.Millisecond) / float64(max(time.Since(began), time.Millisecond)))
	slowing, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for slowing.Err() == nil {
			_ = r.redis.Eval(slowing, busy, nil, turns).Err()
			select {
			case <-time.After(200 * time.Millisecond):
			case <-slowing.Done():
			}
		}
	}()
	r.quicken = func() { stop(); <-ended }
	return nil
}

func quickCommands(_ context.Context, r *rehearsal) error {
	r.quicken()
	return nil
}
