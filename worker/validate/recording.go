package validate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/simulate"
	"datawriter/worker/verify"
	"datawriter/worker/window"
)

// recording is all that a step saw of a stack. Verdicts and plots are made from it
// alone, so that they can be made again without the time that it took.
type recording struct {
	Step    string        `json:"step"`
	Quick   bool          `json:"quick,omitempty"`
	Start   time.Time     `json:"start"` // of the first window
	First   window.Window `json:"first"`
	Last    window.Window `json:"last"`    // that holds an entry
	Windows int           `json:"windows"` // as planned
	Rate    float64       `json:"rate"`
	Count   int64         `json:"count"` // of entries that the plan asks for, bursts not among them

	Traffic   simulate.Result  `json:"traffic"`
	Burst     *simulate.Result `json:"burst,omitempty"`
	Incidents []incident       `json:"incidents"`
	Samples   []reading        `json:"samples"`
	Pings     pingSummary      `json:"pings"`
	Runs      []runlog.Record  `json:"runs"`
	Flows     []flowRun        `json:"flows"`
	Found     comparison       `json:"found"`
	Verified  verify.Report    `json:"verified"`
	Left      int64            `json:"left"` // entries that stand in Redis at the end
}

// incident is something that the step did to the stack.
type incident struct {
	What  string    `json:"what"`
	Begin time.Time `json:"begin"`
	End   time.Time `json:"end"`
	Proof string    `json:"proof,omitempty"` // that it took place
	Error string    `json:"error,omitempty"`
}

// pingSummary is how long Redis took to answer, in milliseconds.
type pingSummary struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Most  float64 `json:"most"`
}

// play is what a step does to a stack: traffic for some windows, and disturbances.
type play struct {
	windows int
	length  time.Duration
	rate    float64
	every   time.Duration // between samples
	faults  func(*stage) []disturbance
	disk    int64 // bytes of a file system of its own for the files; 0 is a folder beside the rest
}

// disturbance is what happens at a set time after the start of the first window.
type disturbance struct {
	what string
	at   time.Duration
	do   func(context.Context) (proof string, err error)
}

// stage is a trial on its way.
type stage struct {
	*Session
	play
	folder  string
	stack   *localStack
	journal *journal
	first   window.Window
	ownDisk bool // the files have a small file system of their own
	rec     *recording
}

// perform brings a stack up, plays the trial on it and returns the recording.
func (s *Session) perform(ctx context.Context, t play) (*recording, error) {
	st := &stage{Session: s, play: t, rec: &recording{Step: s.report.Step, Quick: s.cfg.Quick, Windows: t.windows, Rate: t.rate}}
	for _, part := range []func(context.Context) error{st.prepare, st.perform, st.settle, st.examine} {
		if err := part(ctx); err != nil {
			return st.rec, errors.Join(err, st.save())
		}
	}
	return st.rec, st.save()
}

// prepare brings the stack up.
func (st *stage) prepare(ctx context.Context) (err error) {
	if st.folder, err = st.Session.folder("stack"); err != nil {
		return err
	}
	data := filepath.Join(st.folder, "data")
	if st.disk > 0 {
		mount, ok, err := st.smallDisk(ctx, st.folder, st.disk)
		if err != nil {
			return err
		}
		if st.ownDisk = ok; ok {
			data = mount
		}
	}
	if st.journal, err = createJournal(filepath.Join(st.folder, "journal")); err != nil {
		return err
	}
	st.stack, err = st.startStack(ctx, st.folder, data, st.length)
	return err
}

// perform lets the traffic flow from the start of the next window on, while the
// disturbances come at their times.
func (st *stage) perform(ctx context.Context) error {
	now, err := window.Containing(time.Now().Add(2*time.Second), st.length)
	if err != nil {
		return err
	}
	st.first = now.Next()
	st.rec.First, st.rec.Start = st.first, st.first.Start
	st.fact("windows", "%d of %s from %s", st.windows, window.Label(st.length), st.first)
	playing, end := context.WithCancel(ctx)
	watch := newSampler(st.stack, st.every, st.journal.added)
	var beside sync.WaitGroup
	beside.Go(func() { watch.run(playing) })
	defer func() {
		end()
		beside.Wait()
		st.rec.Samples, st.rec.Pings = watch.samples, watch.summary()
	}()
	if err := sleep(ctx, time.Until(st.first.Start)); err != nil {
		return err
	}
	disturbing, spare := context.WithCancel(ctx)
	defer spare()
	var acts sync.WaitGroup
	acts.Go(func() { st.disturb(disturbing) })
	if err = st.traffic(ctx); err != nil {
		spare()
	}
	acts.Wait()
	if err != nil {
		return err
	}
	return st.await(ctx)
}

// spare is the time that traffic leaves free at the end of its windows, so that a
// stall does not carry it into one more.
func (st *stage) spare() time.Duration {
	return min(st.length/10, 10*time.Second)
}

// traffic sends what the plan asks for.
func (st *stage) traffic(ctx context.Context) (err error) {
	whole := time.Duration(st.windows) * st.length
	st.rec.Count = int64(st.rate * whole.Seconds())
	bar := st.progress("traffic", "events", st.rec.Count)
	defer bar.done()
	done, end := context.WithCancel(ctx)
	defer end()
	go func() {
		for sleep(done, time.Second) == nil {
			bar.set(st.journal.added())
		}
	}()
	st.rec.Traffic, err = simulate.Run(ctx, st.stack.source, simulate.Options{
		Traits: simulate.Traits{Seed: 1, Authors: simulate.DefaultAuthors}, Count: st.rec.Count,
		Rate: float64(st.rec.Count) / (whole - st.spare()).Seconds(), OnAdded: st.journal.add, Log: st.cfg.Log,
	})
	return err
}

// disturb does what is to be done, each thing at its time.
func (st *stage) disturb(ctx context.Context) {
	if st.faults == nil {
		return
	}
	for _, d := range st.faults(st) {
		if sleep(ctx, time.Until(st.first.Start.Add(d.at))) != nil {
			return
		}
		i := incident{What: d.what, Begin: time.Now().UTC()}
		proof, err := d.do(ctx)
		i.End, i.Proof = time.Now().UTC(), proof
		if err != nil {
			i.Error = err.Error()
		}
		st.rec.Incidents = append(st.rec.Incidents, i)
	}
}

// await waits until the last window is drained.
func (st *stage) await(ctx context.Context) error {
	newest := st.rec.Traffic.LastID.MS
	if b := st.rec.Burst; b != nil {
		newest = max(newest, b.LastID.MS)
	}
	last, err := window.Containing(time.UnixMilli(int64(newest)), st.length)
	if err != nil {
		return err
	}
	if planned := st.first.Start.Add(time.Duration(st.windows-1) * st.length); last.Start.Before(planned) {
		last.Start = planned
	}
	st.rec.Last = last
	limit := time.Until(last.End()) + max(2*st.length, 5*time.Minute)
	bar := st.progress("until the last window is drained", "s", int64(time.Until(last.End()).Seconds())+10)
	defer bar.done()
	filling, end := context.WithCancel(ctx)
	defer end()
	go bar.run(filling)
	return st.stack.awaitDrained(ctx, st.first, last, limit)
}

// settle takes down what the stack says of itself.
func (st *stage) settle(ctx context.Context) (err error) {
	if err := st.journal.close(); err != nil {
		return fmt.Errorf("keep the journal: %w", err)
	}
	if err := st.quiet(ctx); err != nil {
		return err
	}
	if st.rec.Runs, err = st.stack.runs(st.first.Start.Add(-st.length)); err != nil {
		return err
	}
	if st.rec.Flows, err = st.stack.flowRuns(ctx, st.first.Start, time.Now()); err != nil {
		return err
	}
	for _, kind := range event.Kinds() {
		n, err := st.stack.redis.XLen(ctx, st.stack.source.Name(kind)).Result()
		if err != nil {
			return err
		}
		st.rec.Left += n
	}
	return nil
}

// quiet waits until the runs of the trial's windows have ended: files are there
// before Prefect knows that a run has completed.
func (st *stage) quiet(ctx context.Context) error {
	for range 90 {
		flows, err := st.stack.flowRuns(ctx, st.first.Start, time.Now())
		if err != nil {
			return err
		}
		open := 0
		for _, f := range flows {
			if f.Type == "RUNNING" || f.Type == "PENDING" || f.Type == "SCHEDULED" {
				open++
			}
		}
		if open == 0 {
			return nil
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// examine holds the files against the producer's journal, and against what the
// drain promises of them.
func (st *stage) examine(ctx context.Context) (err error) {
	bar := st.progress("reading every file", "s", st.journal.added()/200_000+1)
	defer bar.done()
	filling, end := context.WithCancel(ctx)
	defer end()
	go bar.run(filling)
	if st.rec.Found, err = compareArchive(ctx, st.journal, st.stack.archive); err != nil {
		return err
	}
	st.rec.Verified, err = st.stack.verify(ctx)
	return err
}

// recordingFile is what a recording is called in the folder of its step.
const recordingFile = "recording.json"

// save leaves the recording where the step leaves its files.
func (st *stage) save() error {
	if st.folder == "" {
		return nil
	}
	text, err := json.Marshal(st.rec)
	if err != nil {
		return fmt.Errorf("keep the recording: %w", err)
	}
	return os.WriteFile(filepath.Join(st.folder, recordingFile), text, 0o644)
}

// readRecording reads what a step saw earlier.
func readRecording(name, step string) (*recording, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnready, err)
	}
	rec := &recording{}
	if err := json.Unmarshal(text, rec); err != nil {
		return nil, fmt.Errorf("%w: %s is no recording: %w", ErrUnready, name, err)
	}
	if rec.Step != step {
		return nil, fmt.Errorf("%w: %s is a recording of %s", ErrUnready, name, rec.Step)
	}
	return rec, nil
}

func (s *sampler) summary() pingSummary {
	s.mu.Lock()
	defer s.mu.Unlock()
	return pingSummary{s.all.TotalCount(), s.all.ms(50), s.all.ms(95), s.all.ms(99), s.all.ms(100)}
}
