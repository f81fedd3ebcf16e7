package validate

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine describes where the programme runs.
func machine() []Fact {
	facts := []Fact{
		{"cpus", fmt.Sprintf("%d × %s", runtime.NumCPU(), proc("/proc/cpuinfo", "model name"))},
		{"memory", proc("/proc/meminfo", "MemTotal")},
		{"go", runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH},
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		facts = append(facts, Fact{"kernel", unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])})
	}
	return facts
}

// loadAverage is what else the machine did: the load of the last 1, 5 and 15 minutes.
func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// proc returns the first value of a name in a file of /proc.
func proc(file, name string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.SplitSeq(string(text), "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
