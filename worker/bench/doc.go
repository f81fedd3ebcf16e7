// Command bench measures a drain against its limits on this machine, in one
// interleaved run: the program in each of its modes; the bare commands that it
// cannot do without, replies thrown away; encoding alone, from memory; writing
// the same bytes to disk; and a good Python writer of the same columns.
//
// It starts its own Redis (append-only file, everysec) on a free port, loads one
// simulated data set, and gives every measurement a fresh copy of it. Medians
// over rounds, CPU-seconds and ratios; no wall time of a shared machine means
// much alone.
//
//	go run ./worker/bench -events 450000 -rounds 5 -out docs/performance
package main
