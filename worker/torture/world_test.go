package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
	"datawriter/worker/fault"
	"datawriter/worker/ledger"
	"datawriter/worker/window"
)

// world is one case: a Redis, an archive, producers, and everything that
// happened to them.
type world struct {
	dir, data, state string
	binary           string
	mutant           fault.Mutant
	traceFile        string

	redis     *server
	replica   *server   // of redis, where the case has one
	servers   []*server // all that were started
	url       string    // where drains find Redis
	journal   *journal
	producer  *producer
	reader    *reader
	processes []*process
	others    map[string]bool // consumer groups beside ours
	excused   int             // entries that Redis has lost by itself
	wiped     bool            // a stream was deleted or evicted
	lostParts int             // parts that the rig has taken out of the archive
	skipped   int             // of those, the ones that only the producer's numbers can prove

	mu      sync.Mutex
	history []string
	began   time.Time
}

// length of the windows; short, since time here is what the rig says.
const length = 10 * time.Second

// group is ours.
const group = "datawriter"

// newWorld begins a case in a new folder.
func newWorld(mutant fault.Mutant, seed uint64) *world {
	w := &world{dir: must(os.MkdirTemp("", "torture-")), mutant: mutant, began: time.Now(), others: map[string]bool{}}
	w.data, w.state, w.traceFile = filepath.Join(w.dir, "data"), filepath.Join(w.dir, "state"), filepath.Join(w.dir, "trace")
	try(os.Mkdir(w.data, 0o755))
	builder := production
	if mutant != "" {
		builder = mutating
	}
	w.binary = must(builder())
	w.journal = &journal{entries: make(map[identity]*entry)}
	w.producer = &producer{w: w, rng: rand.New(rand.NewPCG(seed, 1)), poison: 17}
	w.reader = startReader(w.data)
	return w
}

// close ends everything of the case; its folder stays where it failed.
func (w *world) close(failed bool) {
	for _, p := range w.processes {
		if !p.ended() {
			p.signal(syscall.SIGKILL)
			<-p.done
		}
	}
	for _, s := range w.servers {
		s.stop()
	}
	if failed || *keep {
		w.writeHistory()
		return
	}
	_ = os.RemoveAll(w.dir)
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, fmt.Sprintf("%7.3f ", time.Since(w.began).Seconds())+fmt.Sprintf(format, args...))
}

// writeHistory leaves what happened, and what every process said, beside the files.
func (w *world) writeHistory() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var text strings.Builder
	text.WriteString(strings.Join(w.history, "\n") + "\n")
	for _, p := range w.processes {
		fmt.Fprintf(&text, "\n== %d %v fault %q exit %d\n%s%s", p.cmd.Process.Pid, p.args, p.fault, p.code, p.err.String(), p.out.String())
	}
	_ = os.WriteFile(filepath.Join(w.dir, "history"), []byte(text.String()), 0o644)
}

func (w *world) stream(k event.Kind) string { return "bluesky:{" + k.String() + "}" }

// base returns the start of the first window: an hour that is over for certain,
// by any clock, so that explicit IDs decide what is late.
func base() window.Window {
	return must(window.New(time.Now().UTC().Add(-26*time.Hour).Truncate(time.Hour), length))
}

// held returns what the streams hold, and takes it as acknowledged: a reply may
// have been lost, but Redis has it.
func (w *world) held() map[identity]bool {
	held := make(map[identity]bool)
	for _, k := range event.Kinds() {
		for _, e := range w.rangeAll(k) {
			i := identity{k, e.ID, e.Hash()}
			if !w.journal.seen(i) {
				fail("stream %s holds %s, which nobody sent", w.stream(k), i)
			}
			held[i] = true
		}
	}
	return held
}

// rangeAll reads a stream with the order of fields, which a map would lose.
func (w *world) rangeAll(k event.Kind) []event.Entry { return w.rangeKey(w.stream(k)) }

func (w *world) rangeKey(key string) (entries []event.Entry) {
	reply, ok := w.redis.do("XRANGE", key, "-", "+").([]any)
	if !ok {
		fail("XRANGE answered %T", reply)
	}
	for _, one := range reply {
		pair := one.([]any)
		e := event.Entry{ID: must(event.ParseID(pair[0].(string)))}
		for _, f := range pair[1].([]any) {
			e.Fields = append(e.Fields, []byte(f.(string)))
		}
		entries = append(entries, e)
	}
	return entries
}

// files returns the published files.
func (w *world) files(thorough bool) map[string]*file { return must(w.reader.look(thorough)) }

// filed returns how often each entry stands in published files.
func (w *world) filed() map[identity]int {
	filed := make(map[identity]int)
	for _, f := range w.files(false) {
		for _, i := range f.entries {
			filed[i]++
		}
	}
	return filed
}

// missing returns the owed entries that neither Redis nor a file holds. Redis is
// asked first: what is settled in between is in a file by then, or was deleted
// too early.
func (w *world) missing() (missing []identity) {
	owed := w.journal.owed()
	held := w.held()
	filed := w.filed()
	for _, i := range owed {
		if !held[i] && filed[i] == 0 {
			missing = append(missing, i)
		}
	}
	return missing
}

// inspect is invariant 5, and can be asked at any moment: nothing is deleted from
// Redis before it is a member of a part.
func (w *world) inspect(when string) {
	if missing := w.missing(); len(missing) > 0 {
		fail("%s: %d entries are neither in Redis nor in a part, one of them %s", when, len(missing), missing[0])
	}
}

// excuse notes what Redis itself has lost. Call it right behind the fault, and
// inspect right before it.
func (w *world) excuse(why string) int {
	missing := w.missing()
	for _, i := range missing {
		w.journal.excuse(i)
	}
	w.note("%s: redis lost %d entries", why, len(missing))
	w.excused += len(missing)
	return len(missing)
}

// check is all that must hold when everything before end has been drained.
func (w *world) check(end window.Window) {
	w.checkRedis(end)
	w.checkFiles()
	w.inspect("at the end")
	w.allDurable()
	w.reader.mu.Lock()
	bad := w.reader.bad
	w.reader.mu.Unlock()
	if bad != nil {
		fail("a reader found that %w", bad)
	}
}

// checkFiles compares the files with the journal: invariants 1 to 4 and 8.
func (w *world) checkFiles() {
	filed := make(map[identity]string)
	rejected := make(map[string]int64)
	files := w.files(true)
	for path, f := range files {
		if f.meta.Window != f.name.Window || f.meta.Kind != f.name.Kind || f.meta.Part != f.name.Part {
			fail("%s says of itself that it is part %d of %s %s", path, f.meta.Part, f.meta.Kind, f.meta.Window)
		}
		for _, i := range f.entries {
			if _, sent := w.journal.event(i); !sent {
				fail("%s holds %s, which nobody sent", path, i)
			}
			if other, twice := filed[i]; twice {
				fail("%s stands in %s and in %s", i, other, path)
			}
			if filed[i] = path; !f.name.Window.ContainsMS(i.id.MS) {
				fail("%s holds %s, which lies outside its window", path, i)
			}
		}
		if f.name.Rejects {
			rejected[strings.Replace(path, "/_rejected/", "/", 1)] = int64(len(f.entries))
		}
		try(f.compareRows(path, w.journal))
	}
	for path, n := range rejected {
		if files[path] == nil {
			fail("rejects stand without their part %s", path)
		}
		if said := files[path].meta.Rejected; said != n {
			fail("%s says that %d entries were rejected, but there are %d", path, said, n)
		}
	}
	for path, f := range files {
		if !f.name.Rejects && f.meta.Rejected != rejected[path] {
			fail("%s says that %d entries were rejected, but there are %d", path, f.meta.Rejected, rejected[path])
		}
	}
}

// checkRedis looks at the streams after a drain: invariants 6 and 7.
func (w *world) checkRedis(end window.Window) {
	for _, k := range event.Kinds() {
		var keep ledger.Set // what other groups still need
		for name := range w.others {
			for _, id := range w.needs(k, name) {
				keep.Add(id, 0)
			}
		}
		for _, e := range w.rangeAll(k) {
			if e.ID.MS < end.StartMS() && !keep.Has(e.ID, 0) {
				fail("%s still holds %s after everything before %s was drained", w.stream(k), e.ID, end.Start)
			}
		}
		w.checkPending(k, end)
	}
}

func (w *world) checkPending(k event.Kind, end window.Window) {
	pending, err := w.redis.c.XPendingExt(context.Background(), &redis.XPendingExtArgs{Stream: w.stream(k), Group: group, Start: "-",
		End: fmt.Sprintf("(%d-0", end.StartMS()), Count: 10}).Result()
	if err != nil && !hasPrefix(err, "NOGROUP") {
		fail("redis: %w", err)
	}
	if len(pending) > 0 {
		fail("%s of %s is still pending after everything before %s was drained", pending[0].ID, w.stream(k), end.Start)
	}
}

// needs returns the IDs that another group has not acked yet.
func (w *world) needs(k event.Kind, name string) (ids []event.ID) {
	ctx := context.Background()
	groups, err := w.redis.c.XInfoGroups(ctx, w.stream(k)).Result()
	if err != nil {
		return nil // the stream is gone, and the group with it
	}
	for _, g := range groups {
		if g.Name != name {
			continue
		}
		last := must(event.ParseID(g.LastDeliveredID))
		for _, e := range w.rangeAll(k) {
			if e.ID.Compare(last) > 0 {
				ids = append(ids, e.ID)
			}
		}
		pending, err := w.redis.c.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: w.stream(k), Group: name, Start: "-", End: "+", Count: 100000}).Result()
		try(err)
		for _, p := range pending {
			ids = append(ids, must(event.ParseID(p.ID)))
		}
	}
	return ids
}

// checkLag is what monitors believe: behind an undisturbed drain the group lags
// by exactly what is still in the stream, and has claimed none of it.
func (w *world) checkLag() {
	ctx := context.Background()
	for _, k := range event.Kinds() {
		groups, err := w.redis.c.XInfoGroups(ctx, w.stream(k)).Result()
		try(err)
		for _, g := range groups {
			if n := must(w.redis.c.XLen(ctx, w.stream(k)).Result()); g.Name == group && g.Lag != n {
				fail("the group of %s lags by %d, but %d entries are left", w.stream(k), g.Lag, n)
			}
			if g.Name == group && g.Pending != 0 {
				fail("%d entries of %s that belong to no drained window are pending", g.Pending, w.stream(k))
			}
		}
	}
}

var errNotFired = errors.New("the fault did not fire")

func removeAll(dir string) { _ = os.RemoveAll(dir) }

func (w *world) ctx() context.Context { return context.Background() }

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 2)) }
