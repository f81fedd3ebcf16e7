package verify

import "datawriter/worker/sink"

// checkStray: readers take every file below the archive for a part. Temporary
// files have a folder of their own, where they are nobody's business.
var checkStray = check{
	Name:    "stray",
	Promise: "every file stands under a name that the archive gives",
	hour: func(_ *Verifier, h sink.Hour, say sayer) {
		for _, path := range h.Unknown {
			say(Violation{File: path, Detail: "this is the name of no published file"})
		}
	},
}
