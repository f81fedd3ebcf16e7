package verify

// checkSettled: entries in a part and still in the stream are what a run leaves
// that was killed before it settled. They cost memory and no data.
var checkSettled = check{
	Name:    "settled",
	Promise: "no entry of a drained window stands in a part and still in its stream, where no other group reads it",
	needs:   redis,
	left: func(l *leftover, say sayer) {
		if l.known.count > 0 {
			say(l.violation(&l.window, l.known.count, about(l.known.first, "it is in a part and was not deleted: run the window again")))
		}
	},
}
