package verify

// checkDrained: an entry that came late, after a failover or a clock that was
// set back, waits for the next run, which puts it into the next part.
var checkDrained = check{
	Name:    "drained",
	Promise: "no entry of a drained window stands in its stream and in no part",
	needs:   redis,
	left: func(l *leftover, say sayer) {
		if l.unknown.count > 0 {
			say(l.violation(&l.window, l.unknown.count, about(l.unknown.first, "it is in no part of its window: run the window again")))
		}
	},
}
