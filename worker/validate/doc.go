// Package validate owns the validation programme: steps that try Redis, the program or a running stack,
// or one that they bring up, and say in a table which checks it passes. Each step
// is one file.
//
// It knows nothing of flags, and changes nothing in a stack that a step's usage
// does not announce.
package validate
