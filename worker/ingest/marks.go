package ingest

import (
	"strconv"
	"strings"
)

const (
	// blockEvents is how many events a server of the second kind keeps in memory
	// before it writes them: that many numbers it gives again after a crash
	// (segment.DefaultMaxEventsPerBlock of Jetstream 0.2.0).
	blockEvents = 4096
	// seqMargin is how many numbers before its position a connection begins. Two
	// blocks: an operator may have made them larger.
	seqMargin = 2 * blockEvents
	// nearMargin is the margin behind a connection that ended before it had brought
	// anything new: else those that all break early would never get on. It is that
	// of positions without marks too: the version that wrote them remembered fewer
	// events.
	nearMargin = 1000

	marksKept  = 8
	marksApart = seqMargin / marksKept
)

// marks are events with their numbers, "seq:hash seq:hash …", oldest first. A
// host that still has such an event under its number numbers as it did up to
// there; one that has another event there was killed, and gives numbers again.
type marks string

type mark struct {
	seq int64
	id  uint32
}

func markOf(seq int64, id identity) mark { return mark{seq, uint32(id.a)} }

func (m marks) list() (list []mark) {
	for field := range strings.FieldsSeq(string(m)) {
		seq, id, _ := strings.Cut(field, ":")
		number, err := strconv.ParseInt(seq, 10, 64)
		hash, err2 := strconv.ParseUint(id, 16, 32)
		if err == nil && err2 == nil {
			list = append(list, mark{number, uint32(hash)})
		}
	}
	return list
}

func marksText(list []mark) marks {
	var b []byte
	for i, m := range list {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, m.seq, 10)
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(m.id), 16)
	}
	return marks(b)
}

// numbering compares what a host delivers with the marks, and sets new ones.
type numbering struct {
	expected []mark // still to come
	shown    bool   // one was there: up to it the numbers are those of before
	kept     []mark // of this numbering, marksApart from each other
	newest   mark
}

// The verdicts about an event's number.
type verdict int

const (
	asBefore verdict = iota
	wentBack         // behind what was shown, numbers are given again
	unknown          // nothing shows that the numbers are those of before
)

func newNumbering(before marks) numbering { return numbering{expected: before.list()} }

// delivered notes an event that is ours.
func (n *numbering) delivered(seq int64, id identity) verdict {
	v := asBefore
	for len(n.expected) > 0 && n.expected[0].seq <= seq {
		m := n.expected[0]
		n.expected = n.expected[1:]
		if m == markOf(seq, id) {
			n.shown = true
			continue
		}
		if n.shown {
			v = wentBack
			n.expected = nil
		} else if m.seq == seq || len(n.expected) == 0 {
			return unknown
		}
	}
	n.keep(markOf(seq, id))
	return v
}

// keep sets a mark every marksApart numbers, and one at the newest event.
func (n *numbering) keep(m mark) {
	if m.seq <= n.newest.seq {
		return // sent again
	}
	if len(n.kept) == 0 || m.seq >= n.kept[len(n.kept)-1].seq+marksApart {
		if len(n.kept) == marksKept {
			n.kept = append(n.kept[:0], n.kept[1:]...)
		}
		n.kept = append(n.kept, m)
	}
	n.newest = m
}

func (n *numbering) marks() marks {
	if len(n.kept) == 0 {
		return ""
	}
	list := n.kept
	if list[len(list)-1] != n.newest {
		list = append(list[:len(list):len(list)], n.newest)
	}
	return marksText(list)
}
