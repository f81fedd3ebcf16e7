package fault_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/fault"
)

func TestASpecNamesAPointAndAnAction(t *testing.T) {
	for _, p := range fault.Points() {
		for _, action := range []string{"kill", "stop", "EIO", "ENOSPC"} {
			for _, count := range []string{"", "#1", "#12"} {
				spec := string(p) + count + "=" + action
				if in, err := fault.Parse(spec); err != nil || in == nil {
					t.Errorf("%s: %v", spec, err)
				}
			}
		}
	}
	if in, err := fault.Parse(""); in != nil || err != nil {
		t.Errorf("the empty spec: %v, %v", in, err)
	}
}

func TestAWrongSpecIsRefusedByName(t *testing.T) {
	for spec, want := range map[string]string{
		"part.linked":          "part.linked",
		"part.linked=":         "kill",
		"part.linked=explode":  "kill, stop, EIO",
		"part.linked#0=kill":   `"0" is not a count`,
		"part.linked#-1=kill":  `"-1" is not a count`,
		"part.linked#two=kill": `"two" is not a count`,
		"=kill":                `no point ""`,
		"part.lost=kill":       `no point "part.lost"`,
		"log.staged=kill":      `no point "log.staged"`,
	} {
		if _, err := fault.Parse(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", spec, err, want)
		}
	}
}

func TestPointsAreListedOnce(t *testing.T) {
	seen := make(map[fault.Point]bool)
	for _, p := range fault.Points() {
		if seen[p] {
			t.Errorf("%s is listed twice", p)
		}
		seen[p] = true
	}
	if len(seen) < 28 {
		t.Errorf("%d points: some are missing", len(seen))
	}
}

func TestTheNthTimeAnswersTheErrorAndNoOther(t *testing.T) {
	in, err := fault.Parse("part.synced#3=ENOSPC")
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 5; i++ {
		in.At("part.synced") // is not for errors, and does not count
		if err := in.Error("part.linked"); err != nil {
			t.Errorf("another point answers %v", err)
		}
		want := error(nil)
		if i == 3 {
			want = syscall.ENOSPC
		}
		if err := in.Error("part.synced"); !errors.Is(err, want) {
			t.Errorf("time %d answers %v, want %v", i, err, want)
		}
	}
}

func TestWithoutAnInjectorNothingHappens(t *testing.T) {
	var in *fault.Injector
	in.At(fault.Settled)
	if err := in.Error(fault.Settled); err != nil {
		t.Error(err)
	}
}

// specEnv tells the test binary, run again as a victim, what to do to itself.
const specEnv = "FAULT_TEST_SPEC"

func TestMain(m *testing.M) {
	if spec := os.Getenv(specEnv); spec != "" {
		victim(spec)
	}
	os.Exit(m.Run())
}

// victim passes a point three times and ends well if it survives.
func victim(spec string) {
	in, err := fault.Parse(spec)
	if err != nil {
		os.Exit(1)
	}
	for range 3 {
		_, _ = os.Stdout.WriteString("x")
		in.At(fault.Settled)
	}
	os.Exit(0)
}

func TestAKilledProcessGoesNoStepFurther(t *testing.T) {
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), specEnv+"=settled#2=kill")
	out, err := victim.Output()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v, want SIGKILL", err)
	}
	if string(out) != "xx" {
		t.Errorf("it made %d steps, want 2", len(out))
	}
}

func TestAStoppedProcessGoesOnWhenItIsLet(t *testing.T) {
	var out strings.Builder
	victim := exec.Command(os.Args[0])
	victim.Env, victim.Stdout = append(os.Environ(), specEnv+"=settled#2=stop"), &out
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(victim.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		_ = victim.Process.Kill()
		t.Fatalf("it was not stopped: %v, %v", status, err)
	}
	deadline := time.AfterFunc(30*time.Second, func() { _ = victim.Process.Kill() })
	defer deadline.Stop()
	if err := victim.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := victim.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if out.String() != "xxx" {
		t.Errorf("it made %d steps, want 3", out.Len())
	}
}
