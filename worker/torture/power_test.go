package torture

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"datawriter/worker/fault"
)

// disk is what the trace of all processes tells of the data folder: which names
// and contents a loss of power would undo.
type disk struct {
	root   string
	lines  int
	fired  map[string]string // process -> the point of its fault
	synced map[string]bool   // temporary files whose content is on disk
	origin map[string]string // final name -> temporary name
	linked map[string]int    // final name -> line
	made   map[string]int    // folder -> the first line that may have created it
	begun  map[string]int    // folder -> the last line before a link in it
	names  map[string]int    // folder -> the last line that synced it
}

func readTrace(file, root string) *disk {
	d := &disk{root: root, fired: map[string]string{}, synced: map[string]bool{}, origin: map[string]string{}, linked: map[string]int{},
		made: map[string]int{}, begun: map[string]int{}, names: map[string]int{}}
	text, err := os.ReadFile(file)
	if err != nil {
		return d // no process has come so far
	}
	for lines := bufio.NewScanner(strings.NewReader(string(text))); lines.Scan(); {
		d.line(strings.Split(lines.Text(), "\t"))
	}
	return d
}

func (d *disk) line(f []string) {
	d.lines++
	switch f[0] {
	case fault.TraceFired:
		d.fired[f[2]] = f[1]
	case fault.TraceContent:
		d.synced[f[1]] = true
	case fault.TraceFolder:
		d.begun[f[1]] = d.lines
		for folder := f[1]; folder != d.root && len(folder) > len(d.root); folder = filepath.Dir(folder) {
			if _, known := d.made[folder]; !known {
				d.made[folder] = d.lines
			}
		}
	case fault.TraceLinked:
		d.origin[f[2]], d.linked[f[2]] = f[1], d.lines
	case fault.TraceNames:
		d.names[f[1]] = d.lines
	}
}

// hasFired reports whether the fault of a process has happened.
func (d *disk) hasFired(p *process) bool { return d.fired[fmt.Sprint(p.cmd.Process.Pid)] != "" }

// hasFired reports whether the fault of a process has happened.
func (w *world) hasFired(p *process) bool { return readTrace(w.traceFile, w.data).hasFired(p) }

// durable reports whether a final name, its folders and its content survive a
// loss of power.
func (d *disk) durable(path string) (name, content bool) {
	at, known := d.linked[path]
	if !known { // killed between the link and its line
		at = d.begun[filepath.Dir(path)]
	}
	if d.names[filepath.Dir(path)] < at {
		return false, false
	}
	for folder := filepath.Dir(path); folder != d.root; folder = filepath.Dir(folder) {
		if d.names[filepath.Dir(folder)] < d.made[folder] {
			return false, false
		}
	}
	return true, !known || d.synced[d.origin[path]]
}

// losePower takes away what is not on disk: names, and the content of files
// whose names are. chance decides per name whether the disk was slow. It returns
// how many it took.
func (w *world) losePower(chance func() bool) (gone int) {
	d := readTrace(w.traceFile, w.data)
	w.reader.mu.Lock()
	defer w.reader.mu.Unlock()
	_ = filepath.WalkDir(w.data, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		switch name, content := d.durable(path); {
		case strings.HasSuffix(path, ".tmp"):
			return os.Remove(path)
		case !name && chance():
			w.note("power: %s is gone", path)
			w.reader.forget(path)
			gone++
		case name && !content:
			w.note("power: %s is empty", path)
			gone++
			return os.Truncate(path, 0)
		}
		return nil
	})
	w.survived()
	return gone
}

// survived notes in the trace that every name which is there now is on disk: what
// has outlived a loss of power is not lost in the next.
func (w *world) survived() {
	trace, err := os.OpenFile(w.traceFile, os.O_WRONLY|os.O_APPEND, 0)
	try(err)
	defer trace.Close()
	try(filepath.WalkDir(w.data, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			_, err = fmt.Fprintf(trace, "%s\t%s\n", fault.TraceNames, path)
		}
		return err
	}))
}

// allDurable fails unless every published file would survive a loss of power.
func (w *world) allDurable() {
	d := readTrace(w.traceFile, w.data)
	for path := range w.files(false) {
		if name, content := d.durable(path); !name || !content {
			fail("%s is not durable at the end (name %v, content %v)", path, name, content)
		}
	}
}
