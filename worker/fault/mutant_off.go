//go:build !mutants

package fault

// Is reports whether the program makes this error. It never does.
func (Mutant) Is() bool { return false }
