//go:build mutants

package fault

import "os"

// MutantEnv names the error that a build with the tag mutants makes.
const MutantEnv = "MUTANT"

// Is reports whether the program makes this error.
func (m Mutant) Is() bool { return os.Getenv(MutantEnv) == string(m) }
