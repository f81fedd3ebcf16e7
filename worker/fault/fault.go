// Package fault names the durable steps of a drain and lets a test make any of
// them go wrong: the process is killed or stopped right behind it, or the step
// answers an I/O error. It also traces what has been made durable, from which a
// test knows what a loss of power would undo. It owns the names, the trigger
// and the trace; it knows nothing of what the steps do.
//
// An Injector travels through configurations like any other dependency. A nil
// Injector, which is what every production run has, does nothing.
package fault

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Point is a named place directly behind a durable step, or, for the steps that
// write files, directly before it when the action is an I/O error. Its comment
// is the promise that a rerun must be able to rely on.
type Point string

// Points of the drain, in the order of the protocol.
const (
	GroupCreated Point = "group.created" // the group exists
	LeaseTaken   Point = "lease.taken"   // the lease is ours until it expires
	Fenced       Point = "fenced"        // no new entry can fall below E
	Listed       Point = "listed"        // the ledger is known; nothing is claimed
	Claimed      Point = "claimed"       // one page is in the pending list
	Marked       Point = "marked"        // the group knows that the window is drained
	Remembered   Point = "remembered"    // the state knows it too, and the producer's numbers
	Settled      Point = "settled"       // one page is acked, and deleted where nothing else will
	Trimmed      Point = "trimmed"       // one step of the trim is done
	Swept        Point = "swept"         // nothing is pending below E
	Released     Point = "released"      // the lease is gone
	Logged       Point = "logged"        // the run log has its line
)

// Points of a rescue.
const (
	Kept    Point = "rescue.kept"    // a page of entries with honest IDs stands beside the stream
	Swapped Point = "rescue.swapped" // the stream has honest IDs; what had others stands aside
	Readded Point = "rescue.readded" // a page of that is in the stream again
)

// RescuePoints lists the points of a rescue, in order.
func RescuePoints() []Point { return []Point{Kept, Swapped, Readded} }

// Points of one file. Each exists for the archive's shape, the part and its rejects:
// Of("part", Linked).
const (
	Staged   = "staged"   // the temporary file exists
	Written  = "written"  // its bytes are with the kernel
	Synced   = "synced"   // its bytes are on disk
	Linked   = "linked"   // it has its final name, perhaps not durably
	Unlinked = "unlinked" // the temporary name is gone
	Hardened = "hardened" // its final name is on disk
)

// fileSteps lists the steps of one file in order.
var fileSteps = []string{Staged, Written, Synced, Linked, Unlinked, Hardened}

// Of returns the point of one file's step: Of("part", Linked).
func Of(file, step string) Point { return Point(file + "." + step) }

// Points lists every point, in the order of the protocol.
func Points() []Point {
	points := steps("archive")
	points = append(points, GroupCreated, LeaseTaken, Fenced, Listed, Claimed)
	points = append(points, steps("rejects")...)
	points = append(points, steps("part")...)
	return append(points, Marked, Remembered, Settled, Trimmed, Swept, Released, Logged)
}

func steps(file string) (points []Point) {
	for _, step := range fileSteps {
		points = append(points, Of(file, step))
	}
	return points
}

// Injector makes one point go wrong, the nth time it is reached, and writes the
// trace; either may be all that it does.
type Injector struct {
	point  Point
	nth    int64
	action string
	seen   atomic.Int64
	trace  *os.File
}

// actions are what can happen at a point, beside the error numbers.
const (
	kill = "kill" // SIGKILL to the own process
	stop = "stop" // SIGSTOP to the own process; whoever wants it to go on sends SIGCONT
)

// errnos lists the errors that a step can answer. Package failure says which pass.
var errnos = map[string]syscall.Errno{
	"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "EDQUOT": syscall.EDQUOT,
	"EROFS": syscall.EROFS, "EACCES": syscall.EACCES,
}

// Parse reads "POINT=ACTION" or "POINT#N=ACTION", where ACTION is kill, stop or the
// name of one of errnos and N counts from 1, and "trace=FILE", which is created; a comma
// joins the two. The empty text is no fault.
func Parse(spec string) (*Injector, error) {
	if spec == "" {
		return nil, nil
	}
	in := &Injector{}
	for clause := range strings.SplitSeq(spec, ",") {
		at, action, ok := strings.Cut(clause, "=")
		if !ok {
			return nil, fmt.Errorf("fault %q: write POINT=kill, stop, EIO, ENOSPC, EDQUOT, EROFS or EACCES, or trace=FILE", clause)
		}
		parse := in.parseFault
		if at == "trace" {
			parse = in.openTrace
		}
		if err := parse(at, action); err != nil {
			return nil, fmt.Errorf("fault %q: %w", clause, err)
		}
	}
	return in, nil
}

func (in *Injector) parseFault(at, action string) error {
	name, count, counted := strings.Cut(at, "#")
	in.point, in.nth, in.action = Point(name), 1, action
	if counted {
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is not a count from 1", count)
		}
		in.nth = n
	}
	if _, isErrno := errnos[action]; !isErrno && action != kill && action != stop {
		return fmt.Errorf("%q is none of kill, stop, EIO, ENOSPC, EDQUOT, EROFS, EACCES", action)
	}
	if !slices.Contains(append(Points(), RescuePoints()...), in.point) {
		return fmt.Errorf("there is no point %q", name)
	}
	return nil
}

// openTrace opens the trace for appending, so that several processes, one after
// the other or side by side, tell one story.
func (in *Injector) openTrace(_, name string) (err error) {
	in.trace, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	return err
}

// What a line of the trace says happened to the names that follow it.
const (
	TraceFired   = "fired"   // the fault, at this point, in the process of this number
	TraceContent = "content" // of this temporary file is on disk
	TraceFolder  = "folder"  // of this name may be created next
	TraceLinked  = "linked"  // this temporary file has this final name
	TraceNames   = "names"   // in this folder are on disk
)

// Trace appends a line of fields that tabs separate.
func (in *Injector) Trace(what string, names ...string) {
	if in == nil || in.trace == nil {
		return
	}
	// One write, so that lines of several processes do not mix.
	_, _ = in.trace.WriteString(strings.Join(append([]string{what}, names...), "\t") + "\n")
}

func (in *Injector) fired(p Point) { in.Trace(TraceFired, string(p), strconv.Itoa(os.Getpid())) }

// At is called directly behind the step that the point names. It returns only
// where nothing is to happen.
func (in *Injector) At(p Point) {
	if in == nil || in.point != p || errnos[in.action] != 0 || in.seen.Add(1) != in.nth {
		return
	}
	in.fired(p)
	signal := syscall.SIGKILL
	if in.action == stop {
		signal = syscall.SIGSTOP
	}
	_ = syscall.Kill(syscall.Getpid(), signal)
	if signal == syscall.SIGKILL {
		select {} // the signal is on its way
	}
}

// Error is called directly before a step that writes, and returns the error
// that the step is to answer, or nil.
func (in *Injector) Error(p Point) error {
	if in == nil || in.point != p || errnos[in.action] == 0 || in.seen.Add(1) != in.nth {
		return nil
	}
	in.fired(p)
	return errnos[in.action]
}
