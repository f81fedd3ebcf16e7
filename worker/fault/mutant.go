package fault

// Mutant is a deliberate error in the protocol. A build with the tag mutants
// makes the one that the environment names; every other build makes none, and
// the compiler removes the places that ask. They exist to show that the torture
// rig would notice.
type Mutant string

// Mutants, in the order of the protocol's steps.
const (
	OtherLength    Mutant = "other-length"     // a run with another window length is let into the archive
	LocalClock     Mutant = "local-clock"      // the local clock closes windows
	GroupAtEnd     Mutant = "group-at-end"     // the group is created at $, behind what came before it
	NeedsMemory    Mutant = "needs-memory"     // scripts are refused when Redis is out of memory
	NoFence        Mutant = "no-fence"         // a drained window stays open for late IDs
	FenceGoesBack  Mutant = "fence-goes-back"  // XSETID without a look at where the stream stands
	NoLedger       Mutant = "no-ledger"        // what is published already is not looked up
	LedgerByID     Mutant = "ledger-by-id"     // the hash is no part of an entry's identity
	NoRejectLedger Mutant = "no-reject-ledger" // reject files are not part of the ledger
	LateNumber     Mutant = "late-number"      // the part number is computed when publishing, not when listing
	NoLeftovers    Mutant = "no-leftovers"     // what an earlier run claimed is not read again
	ReadsBeyond    Mutant = "reads-beyond"     // the group read is not bounded by the window
	NotDisturbed   Mutant = "not-disturbed"    // other readers of the group are not noticed
	NoContentSync  Mutant = "no-content-sync"  // files are published without fsync
	IgnoresIOError Mutant = "ignores-io-error" // a failed fsync is not an error
	RejectsLast    Mutant = "rejects-last"     // the part is published before its rejects
	Replaces       Mutant = "replaces"         // rename instead of link
	NoFolderSync   Mutant = "no-folder-sync"   // folders are not synced after a link
	NoHarden       Mutant = "no-harden"        // an earlier run's names are not made durable before settling
	NoWatermark    Mutant = "no-watermark"     // what is drained is not marked
	NoProof        Mutant = "no-proof"         // an empty part is published whatever was drained before
	SettlesFirst   Mutant = "settles-first"    // entries are settled before their part is published
	SettlesRange   Mutant = "settles-range"    // everything below E is deleted, whatever it is
	SettlesForAll  Mutant = "settles-for-all"  // other groups' needs do not count
	SettlesAnyone  Mutant = "settles-anyone"   // settling does not look at run_id
	GuardByRunID   Mutant = "guard-by-run-id"  // settling does not look at the replication ID
	RescuesTwice   Mutant = "rescues-twice"    // what a rescue adds again, it adds twice
	NoSweep        Mutant = "no-sweep"         // pending IDs of vanished entries stay pending
)

// Mutants lists every mutant.
func Mutants() []Mutant {
	return []Mutant{
		OtherLength, LocalClock, GroupAtEnd, NeedsMemory, NoFence, FenceGoesBack, NoLedger, LedgerByID, NoRejectLedger,
		LateNumber, NoLeftovers, ReadsBeyond, NotDisturbed, NoContentSync, IgnoresIOError, RejectsLast, Replaces,
		NoFolderSync, NoHarden, NoWatermark, NoProof, SettlesFirst, SettlesRange, SettlesForAll, SettlesAnyone, GuardByRunID, RescuesTwice, NoSweep,
	}
}
