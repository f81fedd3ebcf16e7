// Package verify holds an archive against what the drain promises of it: every
// page of every file is read, every entry is compared with its window and with
// every other entry of it, the run log's files are looked for, and, where a Redis
// is given, the streams must hold nothing that the files have settled.
//
// verify.go walks over the archive, one (window, kind) at a time and several
// side by side; each promise is a check in a file of its own, listed in
// checks.go. A check only looks: nothing is repaired, moved or acked.
//
// The package does not know how an archive came to be. It trusts no footer that
// it can count itself, and may be run while drains are at work: what a drain on
// its way explains is not reported.
package verify
