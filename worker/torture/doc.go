// Package torture proves the promise of the drain: no entry is lost or written
// twice, whatever is killed, stopped, filled up, rolled back or run side by side.
//
// It is all test: real Redis servers, real processes, the real binary. A journal
// of every acknowledged entry is the oracle. The sweep visits every crash point
// and every I/O error with every aftermath, without chance; seeds draw whole
// schedules of faults; mutants, which are deliberate errors in the protocol,
// show that the rig would notice. It looks at Redis and at files only from
// outside, and knows of the drain only its command line and its fault points.
package torture
