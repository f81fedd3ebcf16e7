// Package summary owns the daily summary: what the published files of a day hold,
// what its runs did, and how that compares with the day before.
//
// Files are counted from their footers, so the summary is true whatever the run
// log lost. It knows nothing of where the summary is sent.
package summary
