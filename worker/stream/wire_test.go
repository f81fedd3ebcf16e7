package stream

import (
	"bytes"
	"fmt"
	"testing"

	"datawriter/worker/event"
)

// reply is an XREADGROUP reply of two entries, one with two fields.
const sampleReply = "*1\r\n*2\r\n$5\r\nlikes\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$5\r\nevent\r\n$4\r\n\r\n{}\r\n*2\r\n$3\r\n2-7\r\n*4\r\n$5\r\nevent\r\n$0\r\n\r\n$3\r\nseq\r\n$1\r\n9\r\n"

func TestAFrameEndsWhereItsReplyEndsHoweverItArrives(t *testing.T) {
	whole := []byte(sampleReply)
	for first := range whole {
		f := frame{values: 1}
		for _, n := range []int{first, first + (len(whole)-first)/2} {
			if done, err := f.advance(whole[:n]); done || err != nil {
				t.Fatalf("after %d of %d bytes: done %t, %v", n, len(whole), done, err)
			}
		}
		if done, err := f.advance(whole); !done || err != nil {
			t.Fatalf("the whole, first cut at %d: done %t, %v", first, done, err)
		}
	}
}

func TestAPageOfASampleReply(t *testing.T) {
	var p Page
	if err := p.load([]byte(sampleReply), true); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%v %q", p.Entries[1].ID, p.Entries[1].Fields)
	if want := fmt.Sprintf("%v %q", event.ID{MS: 2, Seq: 7}, []string{"event", "", "seq", "9"}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestErrorRepliesAreErrors(t *testing.T) {
	var p Page
	if err := p.load([]byte("-NOGROUP no such group\r\n"), true); !hasCode(err, []string{"NOGROUP"}) {
		t.Errorf("got %v", err)
	}
	for _, nothing := range []string{"*-1\r\n", "*0\r\n"} {
		if err := p.load([]byte(nothing), true); err != nil || len(p.Entries) != 0 {
			t.Errorf("%q: %v, %d entries", nothing, err, len(p.Entries))
		}
	}
}

// FuzzReply holds the frame and the page together: whatever the bytes, neither
// panics, and a page is read only from what is one whole frame.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{sampleReply, "*-1\r\n", "-ERR x\r\n", ":1\r\n", "$-1\r\n", "*1\r\n*2\r\n$1\r\nx\r\n*0\r\n", "$99999999999\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		whole := frame{values: 1}
		done, err := whole.advance(reply)
		for _, wrapped := range []bool{true, false} {
			var p Page
			loaded := p.load(bytes.Clone(reply), wrapped)
			if loaded == nil && (!done || err != nil) {
				t.Errorf("wrapped %t: a page was read from what is not one whole reply: %q", wrapped, reply)
			}
		}
		byByte := frame{values: 1}
		for n := range len(reply) + 1 {
			d, e := byByte.advance(reply[:n])
			if e != nil || d {
				if n < len(reply) {
					return // the rest is another reply, or it is broken before its end
				}
				if d != done || (e == nil) != (err == nil) {
					t.Errorf("byte by byte: done %t, %v; at once: done %t, %v", d, e, done, err)
				}
			}
		}
	})
}

// FuzzLength compares the quick way of reading a length with the careful one.
func FuzzLength(f *testing.F) {
	for _, seed := range []string{"$12\r\nx", "*-1\r\n", "$\r\n", "$1", "$12\n", "$99999999999999999999\r\n", "*3\r\n"} {
		f.Add([]byte(seed), byte('$'))
	}
	f.Fuzz(func(t *testing.T, reply []byte, want byte) {
		quick, careful := respReader{rest: reply}, respReader{rest: reply}
		a, b := quick.length(want), careful.lengthOfLine(want)
		if a != b || (quick.err == nil) != (careful.err == nil) || !bytes.Equal(quick.rest, careful.rest) {
			t.Errorf("%q: %d, %v, rest %q; the careful way: %d, %v, rest %q", reply, a, quick.err, quick.rest, b, careful.err, careful.rest)
		}
	})
}
