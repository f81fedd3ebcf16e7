package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"datawriter/worker/drain"
	"datawriter/worker/failure"
	"datawriter/worker/ingest"
	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

// dataFolder tries what a drain does: write below _tmp, link into place.
func dataFolder(_ context.Context, l *looking) Finding {
	if l.Data == "" {
		return Finding{}
	}
	if _, err := os.Stat(l.Data); errors.Is(err, fs.ErrNotExist) {
		return warn(l.Data+" does not exist yet", "the first run makes it; if files should be there, compare --data")
	}
	for _, of := range []string{l.Data, l.State} {
		if err := tryLink(of); err != nil {
			return fail(err.Error(), fixOf(err, of))
		}
	}
	return ok("%s can be written, on one file system with hard links", l.Data)
}

var errLink = errors.New("no hard link can be made")

// tryLink writes a file in the folder's _tmp, if there is one, and links it into
// the folder.
func tryLink(folder string) error {
	staging := folder
	if info, err := os.Stat(filepath.Join(folder, "_tmp")); err == nil && info.IsDir() {
		staging = filepath.Join(folder, "_tmp")
	}
	file, err := os.CreateTemp(staging, ".doctor-*.tmp")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the state folder, before the first run
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", staging, err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	if err := file.Close(); err != nil {
		return fmt.Errorf("%s cannot be written: %w", staging, err)
	}
	name := filepath.Join(folder, filepath.Base(file.Name())+".link")
	if err := os.Link(file.Name(), name); err != nil {
		return fmt.Errorf("%w from %s to %s: %w", errLink, staging, folder, err)
	}
	return os.Remove(name)
}

func fixOf(err error, folder string) string {
	switch {
	case errors.Is(err, unix.EXDEV):
		return "put _tmp and the rest of " + folder + " on one file system: files get their name by a hard link"
	case errors.Is(err, errLink):
		return failure.NeedsHardLinks
	}
	return cmp.Or(failure.Remedy(err), "look at the kernel's log: that the folder cannot be used has no usual cause")
}

// freeSpace says how long the disk lasts at the rate of the last day.
func freeSpace(_ context.Context, l *looking) Finding {
	var disk unix.Statfs_t
	if l.Data == "" || unix.Statfs(l.Data, &disk) != nil {
		return Finding{}
	}
	l.readLog()
	free := int64(disk.Bavail) * int64(disk.Bsize) //nolint:unconvert // other systems have other types
	rate := l.bytesPerDay()
	says := fmt.Sprintf("%d GB free", free>>30)
	if rate > 0 {
		days := float64(free) / rate
		says += fmt.Sprintf(", %.0f days at the present %.1f GB a day", days, rate/(1<<30))
		if days < 7 {
			return l.tight(says, days < 1)
		}
	}
	if free < 1<<30 {
		return l.tight(says, free < 100<<20)
	}
	return ok("%s", says)
}

func (l *looking) tight(says string, now bool) Finding {
	const fix = "give the folder a larger disk (docs/operations.md, Move); a part that is taken away counts as missing"
	if now {
		return fail(says, fix)
	}
	return warn(says, fix)
}

// readLog keeps the records of the last day.
func (l *looking) readLog() {
	if l.recorded != nil || l.State == "" {
		return
	}
	since := l.Now().Add(-24 * time.Hour)
	_, _ = runlog.Open(l.State).Read(since, func(r runlog.Record) error {
		if r.End.After(since) {
			l.recorded = append(l.recorded, r)
		}
		return nil
	})
}

// bytesPerDay is what the windows of the last day hold, for each second of them.
func (l *looking) bytesPerDay() float64 {
	var bytes int64
	windows := make(map[window.Window]bool)
	for _, r := range l.recorded {
		for _, k := range r.Kinds {
			bytes += k.Bytes
		}
		windows[r.Window] = true
	}
	var covered time.Duration
	for w := range windows {
		covered += w.Length
	}
	if covered == 0 {
		return 0
	}
	return float64(bytes) * (24 * time.Hour).Seconds() / covered.Seconds()
}

// fixOfRun: a rerun after a violation could make it worse, and one with a wrong
// configuration fails again.
func fixOfRun(r runlog.Record, again string) string {
	switch drain.Class(r.Class) {
	case drain.Integrity:
		return "do not rerun it; datawriter verify says what is wrong; runbook: IntegrityViolation"
	case drain.Configuration:
		return "do what this says; the next run drains what was left"
	}
	return again
}

func lastWindow(_ context.Context, l *looking) Finding {
	if l.State == "" {
		return Finding{}
	}
	l.readLog()
	var last, failed runlog.Record
	for _, r := range l.recorded {
		switch {
		case r.Status == runlog.Drained || r.Status == runlog.Nothing:
			last = r
		case r.Error != "":
			failed = r
		}
	}
	const fix = "datawriter run --window 5m drains everything that waits, and says what is wrong"
	switch {
	case last.End.IsZero() && failed.End.IsZero():
		return warn("no run in the last day", fix+"; if there were runs, compare --state-dir")
	case failed.End.After(last.End):
		return fail(fmt.Sprintf("the last run, of %s, failed: %s", failed.Window, failed.Error), fixOfRun(failed, fix))
	}
	age := l.Now().Sub(last.End).Round(time.Second)
	says := fmt.Sprintf("%s, %s ago", last.Window, age)
	if age > 3*last.Window.Length+time.Minute {
		return fail(says, "nothing has drained since: see schedule; "+fix)
	}
	return ok("%s", says)
}

func gaps(_ context.Context, l *looking) Finding {
	if l.State == "" {
		return Finding{}
	}
	all, err := ingest.ReadGaps(l.State)
	switch {
	case err != nil:
		return warn(err.Error(), "")
	case len(all) == 0:
		return ok("none was recorded")
	}
	g := all[len(all)-1]
	says := fmt.Sprintf("%d gaps in the source; the last from %s to %s", len(all), g.After.Format(time.DateTime), g.Until.Format(time.DateTime))
	if l.Now().Sub(g.Noticed) > 7*24*time.Hour {
		return ok("%s", says)
	}
	return warn(says, "what lies between is not in the archive; runbook: IngestGap")
}
