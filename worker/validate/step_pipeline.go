package validate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"datawriter/worker/account"
	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/runlog"
	"datawriter/worker/simulate"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/verify"
	"datawriter/worker/window"
)

const pipelineAbout = "Starts a Redis of its own, sends 450,000 events of all five kinds into the window that has just closed, one in a thousand of them malformed, drains it " +
	"into Parquet and holds every entry, and every hundredth event's content, against what was sent. Then it drains again, which must change nothing."

// pipeline sends mock events through Redis into files, and compares.
func pipeline(ctx context.Context, s *Session) error {
	p := &pipelineRun{Session: s, sent: make(map[identity][]byte)}
	for _, part := range []func(context.Context) error{p.prepare, p.produce, p.drain, p.compare, p.again} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

type pipelineRun struct {
	*Session
	redis   *ownRedis
	journal *journal
	archive sink.Sink
	state   string
	window  window.Window

	sent map[identity][]byte // every hundredth event
	made simulate.Result
}

func (p *pipelineRun) prepare(ctx context.Context) (err error) {
	folder, err := p.folder("pipeline")
	if err != nil {
		return err
	}
	p.state = filepath.Join(folder, "state")
	if p.redis, err = p.startRedis(ctx, "redis"); err != nil {
		return err
	}
	if err := p.factsOfRedis(ctx, p.redis.redis); err != nil {
		return err
	}
	if p.journal, err = createJournal(filepath.Join(folder, "journal")); err != nil {
		return err
	}
	if p.archive, err = sink.OpenURL(filepath.Join(folder, "data"), nil); err != nil {
		return err
	}
	current, err := window.Containing(time.Now(), 5*time.Minute)
	p.window = current.Previous()
	return err
}

// sampled is which share of events is compared by content.
const sampled = 100

func (p *pipelineRun) produce(ctx context.Context) (err error) {
	count := quick(p.Session, int64(450_000), 20_000)
	bar := p.progress("traffic", "events", count)
	defer bar.done()
	n := 0
	p.made, err = simulate.Run(ctx, p.redis.stream, simulate.Options{
		Traits: simulate.Traits{Seed: 1, Authors: simulate.DefaultAuthors, Malformed: 0.001}, Window: p.window, Count: count,
		IgnoreMemory: true, // a Redis that is too small must show
		OnAdded: func(a stream.Addition, id event.ID) {
			p.journal.add(a, id)
			bar.add(1)
			entry := event.Entry{ID: id, Fields: a.Fields}
			if text, ok := entry.Event(); ok && n%sampled == 0 {
				p.sent[identity{id, entry.Hash()}] = bytes.Clone(text)
			}
			n++
		},
	})
	if err != nil {
		return err
	}
	p.criterion(Criterion{Name: "events produced", Value: float64(p.made.Added), Unit: "events", Bar: exactly(float64(count)), First: "450,000 in 5 min planned",
		Detail: fmt.Sprintf("%s a second, %d malformed", Number(p.made.Rate, ""), p.made.Malformed)})
	return p.journal.close()
}

func (p *pipelineRun) drainer() *drain.Drainer {
	cfg := drain.Config{
		Length: p.window.Length, Layout: sink.Plain, Compression: part.Zstd, CatchUp: true, Lease: time.Minute, Attempts: 1,
		Version: "validation", Book: account.OpenBook(p.state),
	}
	return drain.New(p.redis.stream, p.archive, runlog.Open(p.state), cfg, p.cfg.Log)
}

func (p *pipelineRun) drain(ctx context.Context) error {
	began := time.Now()
	records, err := p.drainer().Run(ctx, p.window)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.check("the window is drained", func() (string, error) { return p.window.String(), err })
	seconds := time.Since(began).Seconds()
	rows, rejects := int64(0), int64(0)
	for _, r := range records {
		for _, k := range r.Kinds {
			rows, rejects = rows+k.Rows, rejects+k.Rejected
		}
	}
	p.criterion(Criterion{Name: "drain of the window", Value: seconds, Unit: "s", Bar: below(240), First: "< 240 s planned",
		Detail: Number(float64(rows)/seconds, "rows/s")})
	p.criterion(Criterion{Name: "malformed events that were set aside", Value: float64(rejects), Unit: "rejects", Bar: exactly(float64(p.made.Malformed))})
	return nil
}

// compare holds the files against the journal and the sample, and Redis against
// what must be left: nothing.
func (p *pipelineRun) compare(ctx context.Context) error {
	found, err := compareArchive(ctx, p.journal, p.archive)
	if err != nil {
		return err
	}
	found.judge(p.Session, 0)
	equal, err := p.contents(ctx)
	if err != nil {
		return err
	}
	p.criterion(Criterion{Name: "events whose content can be rebuilt from their row", Value: 100 * float64(equal) / float64(max(1, len(p.sent))), Unit: "%", Bar: exactly(100),
		Detail: fmt.Sprintf("%d events, as JSON values", len(p.sent))})
	waiting, err := lengths(ctx, p.redis.stream)
	if err != nil {
		return err
	}
	left := int64(0)
	for kind, n := range waiting {
		ids, err := p.redis.stream.Stream(kind).Pending(ctx, event.ID{}, event.ID{MS: p.window.EndMS()}, 1000)
		if err != nil {
			return err
		}
		left += n + int64(len(ids))
	}
	p.criterion(Criterion{Name: "entries left in Redis, or pending", Value: float64(left), Bar: exactly(0)})
	report, err := p.verify(ctx)
	if err != nil {
		return err
	}
	p.criterion(Criterion{Name: "promises that verify finds broken", Value: float64(len(report.Violations)), Bar: exactly(0), Detail: firstViolation(report)})
	return nil
}

func (p *pipelineRun) verify(ctx context.Context) (verify.Report, error) {
	return verify.New(p.archive, verify.Config{Runs: runlog.Open(p.state), Book: account.OpenBook(p.state), Source: p.redis.stream}).Run(ctx)
}

func firstViolation(r verify.Report) string {
	if len(r.Violations) == 0 {
		return fmt.Sprintf("%s rows and rejects in %d files", Number(float64(r.Rows+r.Rejects), ""), r.Files)
	}
	return r.Violations[0].String()
}

// contents counts the events of the sample that can be rebuilt from the files. What
// was rejected stands there byte for byte, under its hash.
func (p *pipelineRun) contents(ctx context.Context) (equal int, err error) {
	for _, kind := range event.Kinds() {
		err := p.eachFile(ctx, kind, func(name sink.Name, file *part.File) error {
			if name.Rejects {
				return file.Identities(func(id event.ID, hash uint64) error {
					if p.sent[identity{id, hash}] != nil {
						equal++
					}
					return nil
				})
			}
			var rebuilt []byte
			return part.ReadRows(file, event.RowColumns(kind), func(r *event.Row) error {
				if sent := p.sent[identity{r.ID(), uint64(r.EntryHash.Value)}]; sent != nil {
					if rebuilt = event.AppendEvent(rebuilt[:0], kind, r); sameJSON(sent, rebuilt) {
						equal++
					}
				}
				return nil
			})
		})
		if err != nil {
			return 0, err
		}
	}
	return equal, nil
}

func (p *pipelineRun) eachFile(ctx context.Context, kind event.Kind, yield func(sink.Name, *part.File) error) error {
	return sink.Walk(ctx, p.archive, sink.Plain, time.Time{}, time.Time{}, func(h sink.Hour) error {
		for _, name := range h.Names {
			if name.Kind != kind {
				continue
			}
			opened, err := p.archive.Open(ctx, sink.Plain.Path(name))
			if err != nil {
				return err
			}
			file, err := part.Open(opened, opened.Size())
			if err == nil {
				err = yield(name, file)
			}
			if err := errors.Join(err, opened.Close()); err != nil {
				return err
			}
		}
		return nil
	})
}

// sameJSON compares two documents as values.
func sameJSON(a, b []byte) bool {
	var values [2]any
	for n, text := range [][]byte{a, b} {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if decoder.Decode(&values[n]) != nil {
			return false
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}

// again drains the window a second time: no file may change, come or go.
func (p *pipelineRun) again(ctx context.Context) error {
	before, err := p.files(ctx)
	if err != nil {
		return err
	}
	_, err = p.drainer().Run(ctx, p.window)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.check("a second drain", func() (string, error) { return "of the same window", err })
	after, err := p.files(ctx)
	if err != nil {
		return err
	}
	changed := 0
	for _, name := range slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after))) {
		if !bytes.Equal(before[name], after[name]) {
			changed++
		}
	}
	p.criterion(Criterion{Name: "files that a second drain changed", Value: float64(changed), Bar: exactly(0), Detail: fmt.Sprintf("%d files", len(after))})
	kinds := make(map[event.Kind]bool)
	err = sink.Walk(ctx, p.archive, sink.Plain, time.Time{}, time.Time{}, func(h sink.Hour) error {
		for _, name := range h.Names {
			kinds[name.Kind] = kinds[name.Kind] || !name.Rejects
		}
		return nil
	})
	p.criterion(Criterion{Name: "kinds that have a file", Value: float64(len(kinds)), Bar: exactly(float64(len(event.Kinds())))})
	return err
}

// files returns a sum of every published file.
func (p *pipelineRun) files(ctx context.Context) (map[string][]byte, error) {
	sums := make(map[string][]byte)
	err := sink.Walk(ctx, p.archive, sink.Plain, time.Time{}, time.Time{}, func(h sink.Hour) error {
		for _, name := range h.Names {
			path := sink.Plain.Path(name)
			opened, err := p.archive.Open(ctx, path)
			if err != nil {
				return err
			}
			sum := sha256.New()
			_, err = io.Copy(sum, io.NewSectionReader(opened, 0, opened.Size()))
			if err := errors.Join(err, opened.Close()); err != nil {
				return err
			}
			sums[path] = sum.Sum(nil)
		}
		return nil
	})
	return sums, err
}
