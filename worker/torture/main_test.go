package torture

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// Flags; the variable TORTURE_SEEDS means the same as -seeds.
var (
	seedCount = flag.Int("seeds", envInt("TORTURE_SEEDS", 25), "how many random schedules to run")
	firstSeed = flag.Uint64("seed", uint64(envInt("TORTURE_SEED", 1)), "the first seed")
	failovers = flag.Int("failovers", envInt("TORTURE_FAILOVERS", 1), "how many random schedules with a failover to run")
	full      = flag.Bool("full", os.Getenv("TORTURE_FULL") != "", "sweep everything, not just the core")
	side      = flag.Int("side", 6, "how many cases to run side by side: most of a case is waiting")
	keep      = flag.Bool("keep", false, "keep the folder of every case, not only of failed ones")
)

func envInt(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

var builds string // folder of the binaries of this test run

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == flag.Lookup("test.parallel").DefValue {
		_ = flag.Set("test.parallel", strconv.Itoa(*side))
	}
	// Servers inherit this, so that a file size limit is a full disk to them
	// and not their end.
	signal.Ignore(syscall.SIGXFSZ)
	var err error
	if builds, err = os.MkdirTemp("", "torture-build-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(builds)
	os.Exit(code)
}

// production is the binary as it ships, mutating the one that can make errors.
var (
	production = sync.OnceValues(func() (string, error) { return build("datawriter") })
	mutating   = sync.OnceValues(func() (string, error) { return build("datawriter-mutants", "-tags", "mutants") })
)

func build(name string, options ...string) (string, error) {
	path := filepath.Join(builds, name)
	args := append([]string{"build", "-o", path}, options...)
	out, err := exec.Command("go", append(args, "datawriter/worker/cmd/datawriter")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// violation is what the rig found. It travels as a panic to the end of the case,
// so that a step of a case is a line.
type violation struct{ error }

func fail(format string, args ...any) { panic(violation{fmt.Errorf(format, args...)}) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(violation{err})
	}
	return v
}

func try(err error) {
	if err != nil {
		panic(violation{err})
	}
}

// found runs a case and returns the violation that ended it, or nil.
func found(run func()) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case violation:
			err = v.error
		default:
			panic(v)
		}
	}()
	run()
	return nil
}

var errTimeout = errors.New("it took too long")
