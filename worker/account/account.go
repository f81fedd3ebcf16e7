// Package account owns the account of one stream: entries added = entries in
// files + entries still there. What is missing from it, Redis took and lost.
//
// It knows the arithmetic and the state file. It does not look at Redis or at
// files itself: drain hands it what a look at the stream showed, and what the
// published files hold. It never alarms without proof: where the numbers leave a
// doubt, it counts the files anew, and what doubt remains counts as no loss.
package account

import "slices"

// Class is the cause of a loss.
type Class string

// Classes. They are labels of metrics, so the set is closed.
const (
	Evicted    Class = "evicted"     // Redis was out of memory and took the stream
	RolledBack Class = "rolled_back" // Redis restarted without the tail of its file, or another server took over
	Deleted    Class = "deleted"     // somebody deleted the stream
	Trimmed    Class = "trimmed"     // somebody deleted entries of the stream
	Skipped    Class = "skipped"     // the producer's sequence has a gap
)

// Classes lists every class.
func Classes() []Class { return []Class{Evicted, RolledBack, Deleted, Trimmed, Skipped} }

// Loss is how many entries Redis took and lost, for one cause. The count is what
// can be proven; 0 means that it is unknown.
type Loss struct {
	Class Class `json:"class"`
	Count int64 `json:"count"`
}

// Look is what one atomic look at a stream shows.
type Look struct {
	RunID   string // of the server
	ReplID  string // of its data; empty where the server tells none
	Evicted int64  // evicted_keys of the server
	Exists  bool
	Grouped bool   // it has our group
	Added   int64  // entries ever added
	Length  int64  // entries that it holds, or a rescue holds of it
	Aside   int64  // of those, what a rescue holds
	End     uint64 // of the window at hand, or of the youngest that was ever drained, in milliseconds
	Below   bool   // it holds entries below End that are not kept for other groups
	Clock   uint64 // of the server, in milliseconds
}

// Part is what the footer of a published file says.
type Part struct {
	Entries int64   // rows or rejects
	End     uint64  // of its window, in milliseconds
	Added   int64   // the stream's count when it was read; negative when unknown
	RunID   string  // of the server then
	Numbers []Range // of the producer
}

// State is the account of one stream, as the state file keeps it.
type State struct {
	Stream  string          `json:"stream"`
	RunID   string          `json:"run_id"`        // at the last look, like the next four
	ReplID  string          `json:"master_replid"` // empty in a state of the older program
	Evicted int64           `json:"evicted_keys"`
	Added   int64           `json:"entries_added"`
	Open    int64           `json:"open"` // entries that were there and in no file
	Base    int64           `json:"base"` // added entries that never came into a file, before the account began or lost since
	Filed   int64           `json:"filed"`
	Since   int64           `json:"since,omitempty"` // entries that came into files since, while older ones waited
	Aside   int64           `json:"aside,omitempty"` // entries that a rescue held at the last look
	Taken   bool            `json:"taken,omitempty"` // they became fewer while Redis evicted
	Newest  uint64          `json:"newest"`          // the end of the youngest window that was drained, in milliseconds
	Shaken  bool            `json:"shaken"`          // the count may have gone back, or the base be too high: a negative difference says nothing
	Renewed bool            `json:"renewed"`         // the group was gone, perhaps with its stream
	Gone    Class           `json:"gone"`            // why the stream was gone under this server, until it is known how much went with it
	Back    int64           `json:"back"`            // how far the count went back under this server, or before it, when the stream may have been deleted or evicted
	Undone  int64           `json:"undone"`          // how much of that a restart since may have undone, with the tail of the file: as much more says nothing
	Lost    map[Class]int64 `json:"lost"`            // ever
	Pending []Loss          `json:"pending"`         // not reported yet
	Numbers Sequence        `json:"numbers"`         // of the producer, where it gives any
	Drained *Drained        `json:"drained"`         // nil until the record begins
	Kept    *Kept           `json:"kept,omitempty"`  // settled, and there for other groups; nil where nothing is
	Recount bool            `json:"recount"`         // parts went missing or came back: what differs says nothing of Redis
}

// Files returns what all published files of the stream's kind say. It is called
// only when the numbers leave a doubt.
type Files func() ([]Part, error)

// Count counts what is kept for other groups, by reading it. ok is false when
// something was deleted since the look, so that the number says nothing of it.
type Count func() (n int64, ok bool, err error)

// Begin compares a look at the beginning of a drain, before the group is created,
// with the last one: a count that went back, or a stream that is gone, is a loss
// of whatever was in no file.
func (s *State) Begin(l Look, files Files) error {
	if !l.Grouped || l.Added < s.Added {
		s.Kept = nil // of a stream or a group that is gone: all is read again
	}
	l.Length -= s.keptOn(l)
	if s.RunID == "" {
		return s.open(l, files)
	}
	same := s.isServed(l)
	if !same {
		if err := s.restarted(files); err != nil {
			return err
		}
	}
	switch back := l.Added < s.Added; {
	case back && same:
		s.vanished(l)
		return nil
	case back:
		return s.rolledBack(l, files)
	case !same:
		s.Shaken = true
	}
	if s.Gone != "" {
		s.Added = l.Added // of the stream that took its place
	}
	s.Renewed = s.Renewed || !l.Grouped
	s.Taken = s.Taken || l.Aside < s.Aside && l.Evicted > s.Evicted
	s.RunID, s.ReplID, s.Evicted = l.RunID, l.ReplID, max(l.Evicted, s.Evicted)
	return nil
}

// isServed reports whether the process and the data are those of the last look.
// Other data under one process, which followed another server meanwhile, is as
// good as another server.
func (s *State) isServed(l Look) bool {
	return l.RunID == s.RunID && (s.ReplID == "" || l.ReplID == s.ReplID)
}

// open begins the account: with a stream that others may have used before, or
// with an archive whose state was lost.
func (s *State) open(l Look, files Files) error {
	parts, err := files()
	if err != nil {
		return err
	}
	s.Filed, s.Base = total(parts), l.Added-l.Length
	if len(parts) > 0 {
		s.Base, s.Shaken = rebuild(parts, l.RunID), true
	}
	s.remember(l, l.Length)
	return nil
}

// restarted notes that another server answers. What a stream took with it that was
// gone before is not to be known any better.
func (s *State) restarted(files Files) error {
	s.Undone, s.Back = s.Undone+s.Back, 0
	if s.Gone == "" {
		return nil
	}
	parts, err := files()
	if err != nil {
		return err
	}
	filed := total(parts)
	s.loseGone(Look{}, filed)
	s.Filed, s.Since, s.Open = filed, 0, 0
	return nil
}

// vanished notes that the stream was deleted or evicted. How much went with it is
// counted when this drain, or a later one, has ended: another run may have read
// some of it before, and still publish it.
func (s *State) vanished(l Look) {
	s.Back = max(s.Back, s.Added-l.Added)
	switch {
	case s.Gone != "":
		s.Open += s.Added // what took its place is gone as well
	case l.Evicted > s.Evicted:
		s.Gone = Evicted
	default:
		s.Gone = Deleted
	}
	s.Shaken, s.Renewed = true, false
	s.remember(l, s.Open)
}

// rolledBack books what was open at the last look of another server and is in no
// file now. The stream may have been deleted or evicted under the new one as well,
// which another restart may undo.
func (s *State) rolledBack(l Look, files Files) error {
	parts, err := files()
	if err != nil {
		return err
	}
	filed := total(parts)
	open := min(l.Length, max(0, l.Added-s.Base-filed)) // what was settled since may be there again
	if n := min(s.Added-l.Added, s.Open) - (filed - s.Filed); n > 0 {
		s.lose(RolledBack, n)
	}
	s.Filed, s.Since, s.Shaken, s.Renewed, s.Back = filed, 0, true, false, s.Added-l.Added
	s.remember(l, open)
	return nil
}

// End closes the account behind a drained window, with a look after its entries
// were settled. published is what this drain itself brought into files. While
// entries of older windows wait, it only notes that.
//
// The look must be older than what files returns: then everything that a drain
// has deleted by the look is in a file by then, and no race raises an alarm.
//
// What is kept for other groups is in files and there. count is asked for it before
// a difference is believed.
func (s *State) End(l Look, published int64, files Files, count Count) error {
	s.Newest = max(s.NewestBy(l.Clock), l.End)
	s.Since += published
	if l.Below || !l.Exists || !s.isServed(l) || l.Added < s.Added {
		// Entries below the end may be in files or not, or Redis has just changed. What
		// is filed and what is open stay those of one moment.
		return nil
	}
	filed := s.Filed + s.Since
	if known, err := s.settle(&l, filed, count); err != nil || !known {
		return err
	}
	ordered := l.Aside == 0 // nothing is overtaken while it waits to be added again
	if s.Recount || s.missing(l, filed) != 0 || s.Gone != "" || ordered && s.Numbers.gap() {
		parts, err := files()
		if err != nil {
			return err
		}
		filed = total(parts)
		if s.Newest = max(s.Newest, newest(parts, l.Clock)); s.Newest > l.End {
			return nil // what was there may be in files, and what is numbered in between still there
		}
	}
	added := max(l.Added, s.Added, filed+l.Length)
	if s.Recount {
		s.Numbers.forgive(added) // what is missing may have been in the parts
	}
	skipped := int64(0)
	if ordered {
		var err error
		if skipped, err = s.Numbers.judge(added, files); err != nil {
			return err
		}
	}
	s.balance(l, filed)
	if skipped > 0 {
		s.lose(Skipped, skipped)
	}
	s.remember(l, l.Length)
	return nil
}

// missing returns how many added entries are neither in files nor there.
// Negative: the stream has counted less than what is in files, or the base was
// rebuilt too high. It is exact when nothing that is there is in a file, and the
// files were counted after the look.
func (s *State) missing(l Look, filed int64) int64 { return l.Added - s.Base - filed - l.Length }

func (s *State) balance(l Look, filed int64) {
	missing := s.missing(l, filed)
	switch {
	case s.Gone != "":
		s.loseGone(l, filed)
	case s.Recount:
	case missing > s.Undone && (s.Taken || l.Aside < s.Aside && l.Evicted > s.Evicted):
		s.lose(Evicted, missing-s.Undone)
	case missing > s.Undone:
		s.lose(Trimmed, missing-s.Undone)
	case missing < 0 && s.Renewed && !s.Shaken: // it was deleted, and has counted beyond the last look since
		class := Deleted
		if l.Evicted > s.Evicted {
			class = Evicted
		}
		if n := s.gone(l, filed); n > 0 {
			s.lose(class, n)
		}
	}
	s.Base += missing
	s.Filed, s.Since, s.Shaken, s.Renewed, s.Undone, s.Recount, s.Taken = filed, 0, false, false, 0, false, false
}

// loseGone books what went with a stream that was gone. An eviction is a loss also
// where it is not known of what.
func (s *State) loseGone(l Look, filed int64) {
	if n := s.gone(l, filed); n > 0 || s.Gone == Evicted {
		s.lose(s.Gone, max(0, n))
	}
	s.Gone = ""
}

// gone returns how much of what was open at the last look went with its stream:
// all but what came into files since. Of what did, the stream that took its place
// has brought what it counts and does not hold.
func (s *State) gone(l Look, filed int64) int64 {
	return s.Open - max(0, filed-s.Filed-(l.Added-l.Length))
}

func (s *State) remember(l Look, open int64) {
	s.RunID, s.ReplID, s.Evicted, s.Added, s.Open, s.Aside = l.RunID, l.ReplID, l.Evicted, l.Added, open, l.Aside
}

// lose books a loss, to be reported.
func (s *State) lose(c Class, n int64) {
	if s.Lost == nil {
		s.Lost = make(map[Class]int64)
	}
	s.Lost[c] += n
	s.Pending = append(s.Pending, Loss{c, n})
}

// Reported removes the losses that a report has told of.
func (s *State) Reported(told []Loss) {
	for _, loss := range told {
		if i := slices.Index(s.Pending, loss); i >= 0 {
			s.Pending = slices.Delete(s.Pending, i, i+1)
		}
	}
}

// NewestBy returns the end of the youngest window that was drained, as far as a
// clock in milliseconds has reached it: one that leapt for a moment may have closed
// windows of the future, of which nothing more is to be known. 0 is no clock.
func (s *State) NewestBy(clock uint64) uint64 {
	if clock > 0 && s.Newest > clock {
		return 0
	}
	return s.Newest
}

// newest returns the end of the youngest window of parts, as far as the clock has
// reached it.
func newest(parts []Part, clock uint64) (end uint64) {
	for _, p := range parts {
		if clock == 0 || p.End <= clock {
			end = max(end, p.End)
		}
	}
	return end
}

func total(parts []Part) (n int64) {
	for _, p := range parts {
		n += p.Entries
	}
	return n
}
