// Package audit owns what a Redis must be like to hold the firehose: each
// requirement with its reason, whether a server meets it, and what would.
//
// It does not know what waits in the streams, and changes nothing unless Fix is
// called.
package audit
