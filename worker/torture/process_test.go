package torture

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"datawriter/worker/account"
	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

// Exit codes of datawriter that the rig tells apart.
const (
	exitDrained     = 0
	exitUsage       = 2
	exitHeld        = 3
	exitIntegrity   = 4
	exitUnavailable = 75
	exitTerminated  = 143
	exitKilled      = -1
)

// lease is how long a killed run keeps others from its streams.
const lease = 150 * time.Millisecond

// limit is how long any one process may take before the rig calls it hung.
const limit = 10 * time.Minute

// process is one `datawriter run`.
type process struct {
	args     []string
	fault    string
	cmd      *exec.Cmd
	out, err bytes.Buffer
	done     chan struct{}
	code     int
	foreign  bool             // it asks for another window length than the archive's
	lost     map[string]int64 // what it said Redis lost, by class
}

// document is what standard output carries, as far as the rig reads it.
type document struct {
	Status  runlog.Status   `json:"status"`
	Windows []runlog.Record `json:"windows"`
}

// start starts a drain of a window, or of what a bare length means, with a fault
// spec that may be empty.
func (w *world) start(win, fault string, options ...string) *process {
	p := &process{fault: fault, done: make(chan struct{})}
	p.args = append([]string{"run", "--window", win, "--redis-url", w.url, "--data", w.data, "--state-dir", w.state,
		"--lease", lease.String(), "--attempts", "1", "--wait", "0s", "--log-format", "json"}, options...)
	p.cmd = exec.Command(w.binary, p.args...)
	spec := "trace=" + w.traceFile
	if fault != "" {
		spec = fault + "," + spec
	}
	p.cmd.Env = w.environ(spec)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	try(p.cmd.Start())
	w.processes = append(w.processes, p)
	go func() {
		err := p.cmd.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			p.code = exit.ExitCode()
		}
		close(p.done)
	}()
	w.note("start %d: %s %s %v", p.cmd.Process.Pid, win, fault, options)
	return p
}

func (w *world) environ(fault string) []string {
	foreign := func(e string) bool { return strings.HasPrefix(e, "DATAWRITER_") }
	return append(slices.DeleteFunc(os.Environ(), foreign), "DATAWRITER_FAULT="+fault, "MUTANT="+string(w.mutant), "GOMAXPROCS=2")
}

// output runs another command of the program to its end.
func (w *world) output(args ...string) (out string, code int) {
	cmd := exec.Command(w.binary, args...)
	cmd.Env = w.environ("")
	text, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		fail("datawriter %v: %w", args, err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// wait waits for the end and returns the exit code, -1 when it was killed.
func (w *world) wait(p *process) int {
	select {
	case <-p.done:
	case <-time.After(limit):
		p.signal(syscall.SIGQUIT) // so that it says where it hangs
		p.signal(syscall.SIGCONT)
		time.AfterFunc(time.Second, func() { p.signal(syscall.SIGKILL) })
		<-p.done
		fail("datawriter %v with fault %q: %w\n%s", p.args, p.fault, errTimeout, p.err.String())
	}
	w.note("end %d: exit %d", p.cmd.Process.Pid, p.code)
	w.judge(p)
	if p.code == exitIntegrity {
		if strings.Contains(p.err.String(), partMissing) {
			return exitIntegrity
		}
		return exitDrained // with a loss to tell of, which judge has compared
	}
	return p.code
}

// partMissing is what a run says of a window that was drained and has no part.
const partMissing = "its part is missing"

// judge looks at what a process said, which holds whatever was done to it.
func (w *world) judge(p *process) {
	if strings.Contains(p.err.String(), "goroutine ") {
		fail("datawriter panicked:\n%s", p.err.String())
	}
	missing := strings.Contains(p.err.String(), partMissing)
	if missing && w.lostParts == 0 {
		fail("datawriter says that a part is missing, and none is:\n%s", p.err.String())
	}
	if p.out.Len() == 0 {
		if p.code == exitIntegrity {
			fail("datawriter reports an integrity violation:\n%s", p.err.String())
		}
		return
	}
	var doc document
	p.lost = make(map[string]int64)
	if err := json.Unmarshal(p.out.Bytes(), &doc); err != nil {
		fail("datawriter's document does not parse: %w: %s", err, p.out.String())
	}
	for _, r := range doc.Windows {
		told := int64(0) // what could not be noted as told is told again with the next window
		for _, k := range r.Kinds {
			for _, l := range k.Losses {
				p.lost[l.Class] += l.Count
				if l.Class != string(account.Skipped) { // told beside another class, as numbers prove it again
					told += l.Count
				}
			}
			if k.Entries != k.Rows+k.Rejected {
				fail("window %s: %d entries read, but %d rows and %d rejects", r.Window, k.Entries, k.Rows, k.Rejected)
			}
		}
		if told > int64(w.excused) {
			fail("datawriter says that Redis lost %d entries, but it lost %d:\n%s", told, w.excused, p.err.String())
		}
	}
	if p.code == exitIntegrity && (len(p.lost) == 0 && !missing || strings.Contains(p.err.String(), "integrity violation")) {
		fail("datawriter reports an integrity violation:\n%s", p.err.String())
	}
}

// drain runs to the end and wants that exit code.
func (w *world) drain(want int, win window.Window, options ...string) *process {
	p := w.start(win.String(), "", options...)
	if code := w.wait(p); code != want {
		fail("datawriter %v: exit %d, want %d\n%s", p.args, code, want, p.err.String())
	}
	return p
}

// awaitStopped waits until the process has stopped itself at its fault; false
// when it ended instead.
func (w *world) awaitStopped(p *process) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		select {
		case <-p.done:
			return false
		default:
		}
		if p.state() == 'T' {
			return true
		}
	}
	fail("datawriter %v: it neither stopped nor ended: %w", p.args, errTimeout)
	return false
}

// state returns the process state letter of /proc.
func (p *process) state() byte {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	at := bytes.LastIndexByte(text, ')')
	return text[at+2]
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
