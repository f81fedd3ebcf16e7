// Package fault names the durable steps of a drain and lets a test make any of
// them go wrong: the process is killed or stopped right behind it, or the step
// answers an I/O error. It owns the names and the trigger; it knows nothing of
// what the steps do.
//
// An Injector travels through configurations like any other dependency. A nil
// Injector, which is what every production run has, does nothing.
package fault

import (
	"fmt"
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
	ArchiveLinked Point = "archive.linked" // _archive.json has its name, perhaps not durably
	GroupCreated  Point = "group.created"  // the group exists
	LeaseTaken    Point = "lease.taken"    // the lease is ours until it expires
	Fenced        Point = "fenced"         // no new entry can fall below E
	Listed        Point = "listed"         // the ledger is known; nothing is claimed
	Claimed       Point = "claimed"        // one page is in the pending list
	Settled       Point = "settled"        // one page is acked, and deleted where nothing else will
	Trimmed       Point = "trimmed"        // one step of the trim is done
	Swept         Point = "swept"          // nothing is pending below E
	Released      Point = "released"       // the lease is gone
	Logged        Point = "logged"         // the run log has its line
)

// Points of one file. Each exists for the part and for its rejects: Rejects("linked").
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
	points := []Point{ArchiveLinked, GroupCreated, LeaseTaken, Fenced, Listed, Claimed}
	for _, file := range []string{"rejects", "part"} {
		for _, step := range fileSteps {
			points = append(points, Of(file, step))
		}
	}
	return append(points, Settled, Trimmed, Swept, Released, Logged)
}

// Injector makes one point go wrong, the nth time it is reached.
type Injector struct {
	point  Point
	nth    int64
	action string
	seen   atomic.Int64
}

// actions are what can happen at a point, beside the error numbers.
const (
	kill = "kill" // SIGKILL to the own process
	stop = "stop" // SIGSTOP to the own process; whoever wants it to go on sends SIGCONT
)

var errnos = map[string]syscall.Errno{"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC}

// Parse reads "POINT=ACTION" or "POINT#N=ACTION", where ACTION is kill, stop,
// EIO or ENOSPC and N counts from 1. The empty text is no fault.
func Parse(spec string) (*Injector, error) {
	if spec == "" {
		return nil, nil
	}
	at, action, ok := strings.Cut(spec, "=")
	name, count, counted := strings.Cut(at, "#")
	in := &Injector{point: Point(name), nth: 1, action: action}
	if counted {
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("fault %q: %q is not a count from 1", spec, count)
		}
		in.nth = n
	}
	_, isErrno := errnos[action]
	if !ok || !isErrno && action != kill && action != stop {
		return nil, fmt.Errorf("fault %q: write POINT=kill, stop, EIO or ENOSPC", spec)
	}
	if !slices.Contains(Points(), in.point) {
		return nil, fmt.Errorf("fault %q: there is no point %q", spec, name)
	}
	return in, nil
}

// At is called directly behind the step that the point names. It returns only
// where nothing is to happen.
func (in *Injector) At(p Point) {
	if in == nil || in.point != p || errnos[in.action] != 0 || in.seen.Add(1) != in.nth {
		return
	}
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
	return errnos[in.action]
}
