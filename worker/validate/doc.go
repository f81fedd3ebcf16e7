// Package validate owns the validation programme: steps that try Redis, the
// program or a running stack, hold what they measure against criteria, and leave a
// report with plots. Each step is one file.
//
// It knows nothing of flags. It fills, restarts and kills only what it started
// itself; on a Redis that it was given it touches only keys of its own, and it
// refuses where those are somebody else's.
package validate
