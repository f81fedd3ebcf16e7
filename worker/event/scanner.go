package event

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may nest: the limit of encoding/json.
const maxDepth = 10_000

// scanner reads JSON text once, from left to right, without building values.
// It accepts what encoding/json accepts, save that it takes any bytes from 0x80
// on inside a string: whether they are UTF-8 is for the caller to check, and
// only if wide says that there are any.
//
// An error is sticky and moves the scanner to the end of the text, where every
// loop over members or elements stops: callers look at failed once, at the end.
type scanner struct {
	data    []byte
	pos     int
	depth   int
	fresh   bool // a container has just been opened: no comma before its first member
	failed  bool
	wide    bool   // a string may have bytes from 0x80 on
	lone    bool   // a string, a name perhaps, had half a surrogate pair
	key     []byte // of the member that nextMember found
	scratch []byte // strings that had escapes, one behind the other
}

func (s *scanner) start(data []byte) {
	*s = scanner{data: data, scratch: s.scratch[:0]}
}

func (s *scanner) fail() {
	s.failed = true
	s.pos = len(s.data)
}

// peek skips white space and returns the next byte without consuming it, or 0
// at the end; a NUL byte in the text is no token either.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// atEnd reports whether nothing but white space is left.
func (s *scanner) atEnd() bool {
	return s.peek() == 0 && s.pos == len(s.data)
}

// open consumes the bracket that peek has shown.
func (s *scanner) open() {
	s.pos++
	s.fresh = true
	if s.depth++; s.depth > maxDepth {
		s.fail()
	}
}

// nextMember goes to the next value of the open object and leaves its name in
// key. It returns false behind the closing brace.
func (s *scanner) nextMember() bool {
	if !s.more('}') {
		return false
	}
	if s.peek() != '"' {
		s.fail()
		return false
	}
	s.key = s.text()
	if s.peek() != ':' {
		s.fail()
		return false
	}
	s.pos++
	return true
}

// nextElement goes to the next value of the open array. It returns false
// behind the closing bracket.
func (s *scanner) nextElement() bool { return s.more(']') }

// more consumes what stands between two values, or the closing bracket. That
// a comma is followed by a value is for the value's reader to find.
func (s *scanner) more(closing byte) bool {
	first := s.fresh
	s.fresh = false
	switch c := s.peek(); {
	case c == closing:
		s.pos++
		s.depth--
		return false
	case c == 0:
		s.fail()
		return false
	case first:
		return true
	case c == ',':
		s.pos++
		return true
	}
	s.fail()
	return false
}

// skip consumes any one value.
func (s *scanner) skip() {
	switch c := s.peek(); c {
	case '"':
		kept := len(s.scratch)
		s.text()
		s.scratch = s.scratch[:kept]
	case '{':
		for s.open(); s.nextMember(); {
			s.skip()
		}
	case '[':
		for s.open(); s.nextElement(); {
			s.skip()
		}
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

func (s *scanner) literal(word string) {
	end := s.pos + len(word)
	if end > len(s.data) || string(s.data[s.pos:end]) != word {
		s.fail()
		return
	}
	s.pos = end
}

// number consumes a number and returns it as it is written.
func (s *scanner) number() []byte {
	begin := s.pos
	s.accept('-')
	if !s.accept('0') {
		s.digits()
	}
	if s.accept('.') {
		s.digits()
	}
	if s.accept('e') || s.accept('E') {
		if !s.accept('+') {
			s.accept('-')
		}
		s.digits()
	}
	return s.data[begin:s.pos]
}

// accept consumes c if it is the next byte.
func (s *scanner) accept(c byte) bool {
	if s.pos < len(s.data) && s.data[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// digits consumes one digit or more.
func (s *scanner) digits() {
	begin := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	if s.pos == begin {
		s.fail()
	}
}

// plain marks the bytes that stand for themselves inside a string.
var plain = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return table
}()

// text consumes the string whose opening quote peek has shown and returns its
// value, never nil: a slice of the text where that is possible, else of
// scratch. U+FFFD stands for a lone surrogate, which no UTF-8 can hold, as in
// encoding/json; lone says that there was one.
func (s *scanner) text() []byte {
	begin := s.pos + 1
	end := s.plainEnd(begin)
	if end < len(s.data) && s.data[end] == '"' {
		s.pos = end + 1
		return s.data[begin:end:end]
	}
	return s.escapedText(begin, end)
}

// plainEnd returns the position of the first byte at or after from that does
// not stand for itself, or the end of the text. It looks at eight bytes at a time.
func (s *scanner) plainEnd(from int) int {
	seen := uint64(0)
	for ; from+8 <= len(s.data); from += 8 {
		word := binary.LittleEndian.Uint64(s.data[from:])
		seen |= word
		if special := specials(word); special != 0 {
			s.wide = s.wide || seen&high != 0
			return from + bits.TrailingZeros64(special)/8
		}
	}
	s.wide = s.wide || seen&high != 0
	return s.plainEndByBytes(from)
}

func (s *scanner) plainEndByBytes(from int) int {
	for i, c := range s.data[from:] {
		s.wide = s.wide || c >= utf8.RuneSelf
		if !plain[c] {
			return from + i
		}
	}
	return len(s.data)
}

const (
	each = 0x0101010101010101 // times a byte: that byte in each of eight
	high = 0x80 * each
)

// specials marks, with its highest bit, each byte of word that is a control
// character, a quote or a backslash. A difference borrows from the byte above
// only where it marks its own, so the lowest mark is right, and the others may
// not be.
func specials(word uint64) uint64 {
	return ((word - ' '*each) | ((word ^ '"'*each) - each) | ((word ^ '\\'*each) - each)) & ^word & high
}

// escapedText continues text at the first byte that is not plain.
func (s *scanner) escapedText(begin, end int) []byte {
	kept := len(s.scratch)
	for {
		s.scratch = append(s.scratch, s.data[begin:end]...)
		s.pos = end
		if s.accept('"') {
			return s.scratch[kept:len(s.scratch):len(s.scratch)]
		}
		if !s.accept('\\') {
			s.fail() // a control character, or the end of the text
			return s.data[:0]
		}
		s.escape()
		begin = s.pos
		end = s.plainEnd(begin)
	}
}

// escape appends what the escape behind a backslash stands for to scratch.
func (s *scanner) escape() {
	if s.pos == len(s.data) {
		s.fail()
		return
	}
	c := s.data[s.pos]
	s.pos++
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		s.unicodeEscape()
		return
	default:
		s.fail()
		return
	}
	s.scratch = append(s.scratch, c)
}

// unicodeEscape appends the character of \uXXXX, or of the two escapes of a
// surrogate pair.
func (s *scanner) unicodeEscape() {
	r, ok := s.hex4(s.pos)
	if !ok {
		s.fail()
		return
	}
	s.pos += 4
	if utf16.IsSurrogate(r) {
		r, ok = s.pair(r)
		s.lone = s.lone || !ok
	}
	s.scratch = utf8.AppendRune(s.scratch, r)
}

// pair consumes the escape of the low surrogate that makes a character with
// high. What follows a lone surrogate is left alone, as encoding/json leaves it.
func (s *scanner) pair(high rune) (r rune, ok bool) {
	if s.pos+1 < len(s.data) && s.data[s.pos] == '\\' && s.data[s.pos+1] == 'u' {
		if low, ok := s.hex4(s.pos + 2); ok {
			if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
				s.pos += 6
				return r, true
			}
		}
	}
	return utf8.RuneError, false
}

// hex4 reads four hexadecimal digits at a position.
func (s *scanner) hex4(at int) (r rune, ok bool) {
	if at+4 > len(s.data) {
		return 0, false
	}
	for _, c := range s.data[at : at+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
