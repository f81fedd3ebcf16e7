package torture

import (
	"flag"
	"strings"
	"testing"
	"time"

	"datawriter/worker/fault"
)

var onlyMutants = flag.String("mutants", "all", "which mutants to try: all, or the name of one")

// hunters lists, for mutants that few cases can notice, words in the names of
// those, which are tried first. It only saves time: a mutant that its hunters miss
// meets every other case too.
var hunters = map[fault.Mutant]string{
	fault.OtherLength:    "another window length",
	fault.LocalClock:     "a window is open",
	fault.GroupAtEnd:     "go through the group",
	fault.NeedsMemory:    "out of memory",
	fault.NoFence:        "a drained window is closed",
	fault.FenceGoesBack:  "the fence never goes back",
	fault.NoLedger:       "part.linked#1=kill/rerun",
	fault.LedgerByID:     "part.hardened#1=kill/rollback and clock back",
	fault.NoRejectLedger: "part.linked#1=kill/rerun",
	fault.LateNumber:     "part.synced#1=stop/racer",
	fault.NoLeftovers:    "claimed#1=kill/rerun",
	fault.ReadsBeyond:    "go through the group",
	fault.NotDisturbed:   "a reader that dies takes a page",
	fault.NoContentSync:  "part.hardened#1=kill/power loss",
	fault.IgnoresIOError: "part.synced#1=EIO/power loss",
	fault.RejectsLast:    "rejects.linked#1=EIO/rerun",
	fault.Replaces:       "part.synced#1=stop/racer",
	fault.NoFolderSync:   "part.linked#1=kill/power loss",
	fault.NoHarden:       "part.linked#1=kill/rerun",
	fault.SettlesFirst:   "part.synced#1=kill/rerun",
	fault.SettlesRange:   "an older window waits",
	fault.SettlesForAll:  "shared/listed#1=kill/rerun",
	fault.SettlesAnyone:  "part.hardened#1=stop/redis rolled back under it",
	fault.NoWatermark:    "a part that was lost",
	fault.NoProof:        "a part that was lost",
	fault.GuardByRunID:   "redis follows another server",
	fault.RescuesTwice:   "a rescue that is killed at rescue.readded",
	fault.NoSweep:        "claimed entries are deleted",
}

// TestMutants: for every deliberate error in the protocol there is a case that
// notices. A rig that misses one proves nothing.
func TestMutants(t *testing.T) {
	try(prepareMutants())
	for _, m := range chosenMutants() {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			began, tried := time.Now(), 0
			for _, c := range order(m) {
				tried++
				if err := c.run(m); err != nil {
					forget(err)
					t.Logf("caught after %d cases and %.1f s by %v", tried, time.Since(began).Seconds(), err)
					return
				}
			}
			t.Errorf("%d cases did not notice it", tried)
		})
	}
}

func prepareMutants() error { _, err := mutating(); return err }

func chosenMutants() []fault.Mutant {
	if *onlyMutants == "all" {
		return fault.Mutants()
	}
	return []fault.Mutant{fault.Mutant(*onlyMutants)}
}

// order returns every case, a mutant's hunters first.
func order(m fault.Mutant) []trial {
	all := append(allSpecials(true), sweep(true)...)
	var first, rest []trial
	for _, c := range all {
		if strings.Contains(c.name, hunters[m]) {
			first = append(first, c)
		} else {
			rest = append(rest, c)
		}
	}
	return append(first, rest...)
}

// TestNoMutantIsForgotten: the list that fault has is the list that is hunted.
func TestNoMutantIsForgotten(t *testing.T) {
	for _, m := range fault.Mutants() {
		if len(order(m)) == 0 || hunters[m] == "" || !strings.Contains(order(m)[0].name, hunters[m]) {
			t.Errorf("mutant %s has no case that hunts it: %q", m, hunters[m])
		}
	}
}

// forget removes the folder of a case that failed as it should.
func forget(err error) {
	if _, dir, ok := strings.Cut(err.Error(), "folder: "); ok && !*keep {
		removeAll(dir)
	}
}
