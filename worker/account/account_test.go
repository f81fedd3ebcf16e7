package account_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	"datawriter/worker/account"
	"datawriter/worker/window"
)

// stream is a Redis stream and its archive, as far as an account sees them.
type stream struct {
	t       *testing.T
	state   account.State
	look    account.Look
	parts   []account.Part
	end     uint64
	scanned int

	kept    int64 // for other groups, in truth
	counted int
	moving  bool // somebody deletes while it is counted
}

func newStream(t *testing.T) *stream {
	return &stream{t: t, look: account.Look{RunID: "a", Exists: true, Grouped: true}}
}

// count is what reading the stream finds of entries that are kept for other groups.
func (s *stream) count() (int64, bool, error) { s.counted++; return s.kept, !s.moving, nil }

// keep publishes n entries and settles them, of which the stream keeps some for others.
func (s *stream) keep(n, kept int64) {
	s.t.Helper()
	s.add(n)
	s.begin()
	s.parts = append(s.parts, account.Part{Entries: n, End: s.end + 10, Added: s.look.Added, RunID: s.look.RunID})
	s.look.Length -= n - kept
	s.kept += kept
	s.state.Keep(s.look.RunID+" "+s.look.ReplID, window.Span{From: s.end, To: s.end + 10}, n, n-kept)
	s.close(n)
}

func (s *stream) files() ([]account.Part, error) { s.scanned++; return s.parts, nil }

func (s *stream) add(n int64) { s.look.Added += n; s.look.Length += n }

// begin is the beginning of a drain.
func (s *stream) begin() {
	s.t.Helper()
	if err := s.state.Begin(s.look, s.files); err != nil {
		s.t.Fatal(err)
	}
	s.look.Exists, s.look.Grouped = true, true // the drain creates the group
}

// file publishes entries, and settles them.
func (s *stream) file(n int64) {
	s.parts = append(s.parts, account.Part{Entries: n, End: s.end + 10, Added: s.look.Added, RunID: s.look.RunID})
	s.look.Length -= n
}

// close is the end of a drain that itself published n.
func (s *stream) close(n int64) {
	s.t.Helper()
	s.end += 10
	look := s.look
	look.End = max(s.end, s.state.NewestBy(look.Clock))
	look.Below = look.Below || look.End > s.end && look.Length > 0
	if err := s.state.End(look, n, s.files, s.count); err != nil {
		s.t.Fatal(err)
	}
}

// window is a healthy drain: n entries are filed, more are there already.
func (s *stream) window(n, more int64) {
	s.t.Helper()
	s.add(n + more)
	s.begin()
	s.file(n)
	s.close(n)
}

func (s *stream) want(losses ...account.Loss) {
	s.t.Helper()
	if len(losses) == 0 && len(s.state.Pending) == 0 {
		return
	}
	if !reflect.DeepEqual(s.state.Pending, losses) {
		s.t.Errorf("losses %v, want %v", s.state.Pending, losses)
	}
}

func TestWhatIsNoLoss(t *testing.T) {
	for name, play := range map[string]func(*stream){
		"windows, one after the other": func(s *stream) {
			for range 100 {
				s.window(50, 7)
				s.look.Length -= 7
				s.parts = append(s.parts, account.Part{Entries: 7, Added: s.look.Added, RunID: "a"})
				s.state.Filed += 7 // the next run's first page
			}
		},
		"the first run on a stream that others have trimmed": func(s *stream) {
			s.add(1000)
			s.look.Length = 30
			s.begin()
			s.file(30)
			s.close(30)
		},
		"a run that was killed after it settled": func(s *stream) {
			s.window(50, 0)
			s.add(40)
			s.begin()
			s.file(40) // and never closed
			s.window(50, 0)
		},
		"a run that was killed before it settled": func(s *stream) {
			s.window(50, 0)
			s.add(40)
			s.begin()
			s.parts = append(s.parts, account.Part{Entries: 40, Added: s.look.Added, RunID: "a"})
			s.begin()
			s.look.Length -= 40
			s.close(0)
		},
		"a newer window that is drained first": func(s *stream) {
			s.window(50, 60)
			s.end += 10
			s.begin()
			s.file(20) // of the newer one
			s.look.Below = true
			s.close(20)
			s.look.Below, s.end = false, 0
			s.begin()
			s.file(40)
			s.close(40)
		},
		"a newer window that is drained first, and older ones one after the other": func(s *stream) {
			s.window(50, 60)
			s.end += 20
			s.begin()
			s.file(20)
			s.look.Below = true
			s.close(20)
			for _, n := range []int64{25, 15} {
				s.end = 0
				s.begin()
				s.file(n)
				s.look.Below = n == 25
				s.close(n)
			}
			if s.scanned > 1 { // when the account was opened
				s.t.Errorf("the files were counted %d times", s.scanned)
			}
		},
		"entries that stand aside, and are added again": func(s *stream) {
			s.window(50, 20)
			s.look.Aside = 20 // of the 20 that are there
			s.window(5, 0)
			s.look.Aside = 8
			s.window(5, 0)
			s.look.Aside = 0
			s.begin()
			s.file(20)
			s.close(20)
		},
		"numbers that a rescue adds again, behind later ones": func(s *stream) {
			s.state.Numbers.Merge([]account.Range{{From: 1, To: 50}})
			s.window(50, 20)
			s.look.Aside = 20 // 51 to 70
			s.state.Numbers.Merge([]account.Range{{From: 71, To: 80}})
			s.window(10, 0)
			s.state.Numbers.Merge([]account.Range{{From: 81, To: 90}})
			s.window(10, 0)
			s.look.Aside = 0
			s.state.Numbers.Merge([]account.Range{{From: 91, To: 100}})
			s.window(10, 0) // some were added again behind its end
			s.state.Numbers.Merge([]account.Range{{From: 51, To: 70}})
			s.begin()
			s.file(20)
			s.close(20)
			s.window(1, 0)
		},
		"an eviction of something else while entries stand aside": func(s *stream) {
			s.window(50, 20)
			s.look.Aside = 20
			s.look.Evicted = 3
			s.window(5, 0)
			s.look.Aside = 0
			s.begin()
			s.file(20)
			s.close(20)
		},
		"windows that are kept for another group, one after the other": func(s *stream) {
			for range 50 {
				s.keep(40, 40)
			}
			if s.counted > 0 || s.scanned > 1 { // when the account was opened
				s.t.Errorf("what is kept was counted %d times, and the files %d times", s.counted, s.scanned)
			}
			if s.state.Open != 0 {
				s.t.Errorf("%d entries are open, and all are in files", s.state.Open)
			}
		},
		"some that another group has acked, and some that it keeps": func(s *stream) {
			for range 5 {
				s.keep(40, 13)
			}
			s.window(20, 0)
		},
		"a kept window that is read again, and deleted": func(s *stream) {
			s.keep(40, 40)
			s.keep(30, 30)
			s.begin()
			s.look.Length, s.kept = s.look.Length-40, s.kept-40
			s.state.Keep("a ", window.Span{From: 0, To: 10}, 40, 40)
			s.close(0)
			s.window(20, 0)
			if s.counted > 0 {
				s.t.Errorf("what is kept was counted %d times", s.counted)
			}
		},
		"a run that was killed after it deleted what was kept": func(s *stream) {
			s.keep(40, 40)
			s.keep(30, 30)
			s.look.Length, s.kept = s.look.Length-25, s.kept-25
			s.window(20, 0)
			if s.counted != 1 {
				s.t.Errorf("what is kept was counted %d times, want once", s.counted)
			}
		},
		"entries that are kept and that somebody else deletes: they are in files": func(s *stream) {
			s.keep(40, 40)
			s.look.Length, s.kept = s.look.Length-7, s.kept-7
			s.window(20, 0)
		},
		"a restart, and all that was kept is read again": func(s *stream) {
			s.keep(40, 40)
			s.look.RunID = "b"
			s.begin()
			s.look.Below = true
			s.close(0)
			s.look.Below = false
			s.state.Keep("b ", window.Span{From: 0, To: 10}, 40, 0)
			s.close(0)
			s.window(20, 0)
		},
		"a difference that cannot be counted, because somebody deletes meanwhile": func(s *stream) {
			s.keep(40, 40)
			s.look.Length, s.kept, s.moving = s.look.Length-7, s.kept-7, true
			s.window(20, 0)
		},
		"a stream with what was kept in it that is deleted": func(s *stream) {
			s.keep(40, 40)
			s.look, s.kept = account.Look{RunID: "a"}, 0
			s.window(20, 0)
		},
		"a racer that files while the account is closed": func(s *stream) {
			s.window(50, 20)
			s.parts = append(s.parts, account.Part{Entries: 20, End: s.end + 20, Added: s.look.Added, RunID: "a"})
			s.close(0)
			s.look.Length -= 20
			s.window(5, 0)
		},
		"a restart, while a newer window is filed and not settled": func(s *stream) {
			s.window(50, 52)
			s.parts = append(s.parts, account.Part{Entries: 52, End: s.end + 20, Added: s.look.Added, RunID: "a"})
			s.look.RunID = "b"
			s.begin()
			s.close(0)
			s.look.Length -= 52 // settled
			s.window(5, 0)
		},
		"an eviction of nothing that a restart undoes, with what was settled before": func(s *stream) {
			s.window(50, 0)
			s.look.Added, s.look.Exists, s.look.Grouped = 0, false, false
			s.begin()
			s.close(0)
			s.look.RunID, s.look.Added, s.look.Length = "b", 54, 4
			s.begin()
			s.look.RunID = "c" // before that run came to its end
			s.begin()
			s.file(4)
			s.close(4)
		},
		"an eviction behind a restart, both at once in sight, that another restart undoes": func(s *stream) {
			s.window(50, 0)
			s.look = account.Look{RunID: "b"}
			s.begin()
			s.close(0)
			s.look.RunID, s.look.Added, s.look.Length = "c", 54, 4
			s.begin()
			s.file(4)
			s.close(4)
		},
		"a restart that loses nothing": func(s *stream) { s.window(50, 5); s.look.RunID = "b"; s.window(5, 0) },
		"a restart that brings settled entries back": func(s *stream) {
			s.window(50, 5)
			s.look.RunID = "b"
			s.look.Length += 30
			s.begin()
			s.look.Length -= 30 // settled again
			s.close(0)
			s.window(5, 0)
		},
		"a restart that forgets entries that are in files": func(s *stream) {
			s.window(50, 0)
			s.look.RunID, s.look.Added = "b", s.look.Added-20
			s.window(50, 0)
		},
		"an empty stream that is deleted": func(s *stream) {
			s.window(50, 0)
			s.look = account.Look{RunID: "a"}
			s.window(20, 3)
			s.window(20, 0)
		},
		"numbers that a killed run has filed, of a stream that is deleted then": func(s *stream) {
			s.state.Numbers.Merge([]account.Range{{From: 1, To: 50}})
			s.window(50, 0)
			s.add(20)
			s.begin()
			s.file(20) // with numbers that it could not note
			s.parts[len(s.parts)-1].Numbers = []account.Range{{From: 51, To: 70}}
			s.look = account.Look{RunID: "a", Exists: true}
			s.state.Numbers.Merge([]account.Range{{From: 71, To: 80}})
			s.window(10, 0)
			s.state.Numbers.Merge([]account.Range{{From: 81, To: 90}})
			s.window(10, 0)
		},
		"numbers of a newer window, that a killed run has filed and not settled, before those between": func(s *stream) {
			s.state.Numbers.Merge([]account.Range{{From: 1, To: 50}})
			s.window(50, 30)
			s.parts = append(s.parts, account.Part{Entries: 10, End: s.end + 30, Added: s.look.Added, RunID: "a"})
			s.state.Numbers.Merge([]account.Range{{From: 71, To: 80}})
			for range 2 {
				s.end -= 10
				s.close(0)          // the first window again
				s.look.Below = true // that of the newer ones, which the account knows by now
			}
			s.look.Below = false
			s.state.Numbers.Merge([]account.Range{{From: 51, To: 70}})
			s.begin()
			s.file(20)
			s.close(20)
		},
		"a stream that is deleted while another run holds what it has read": func(s *stream) {
			s.window(50, 20)
			s.look = account.Look{RunID: "a"}
			s.begin()
			s.parts = append(s.parts, account.Part{Entries: 20, End: s.end, Added: 70, RunID: "a"})
			s.window(5, 0)
		},
		"a stream that is deleted when a killed run had filed all of it, and counts beyond its past since": func(s *stream) {
			s.window(50, 3)
			s.begin()
			s.file(3)
			s.look = account.Look{RunID: "a", Exists: true}
			s.window(60, 0)
		},
		"a restart that brings settled entries back, and a stream that is deleted then": func(s *stream) {
			s.window(50, 0)
			s.look.RunID, s.look.Added, s.look.Length = "b", 48, 30
			s.begin()
			s.look = account.Look{RunID: "b"}
			s.begin()
			s.window(60, 0)
		},
		"an account that is not closed, because a newer window is filed, and a stream that is deleted then": func(s *stream) {
			s.window(50, 20)
			s.parts = append(s.parts, account.Part{Entries: 20, End: s.end + 30, Added: s.look.Added, RunID: "a"})
			s.look.Length -= 20
			s.close(0)
			s.look = account.Look{RunID: "a"}
			s.window(5, 0)
		},
		"a group that is destroyed": func(s *stream) { s.window(50, 9); s.look.Grouped = false; s.window(20, 0) },
		"a state that is lost": func(s *stream) {
			s.window(50, 9)
			s.window(50, 9)
			s.state = account.State{}
			s.window(50, 9)
		},
		"a state of the older program, which kept no replication ID": func(s *stream) {
			s.window(50, 9)
			s.state.ReplID, s.look.ReplID = "", "x"
			s.window(50, 9)
			s.window(50, 9)
		},
		"a replication ID that changes, as with the first replica": func(s *stream) {
			s.look.ReplID = "x"
			s.window(50, 9)
			s.look.ReplID = "y"
			s.window(50, 9)
			s.window(50, 9)
		},
		"other data of the same process, when all of the first is in files": func(s *stream) {
			s.look.ReplID = "x"
			s.window(50, 0)
			s.look = account.Look{RunID: "a", ReplID: "y", Exists: true, Grouped: true, Added: 30, Length: 30}
			s.begin()
			s.file(30)
			s.close(30)
			s.window(50, 9)
		},
		"a replication ID that changes within a drain": func(s *stream) {
			s.look.ReplID = "x"
			s.window(50, 0)
			s.add(20)
			s.begin()
			s.file(20)
			s.look.ReplID = "y"
			s.close(20)
			s.window(50, 9)
		},
		"a state that is lost, and then the group": func(s *stream) {
			s.window(50, 9)
			s.state = account.State{}
			s.begin()
			s.look.Grouped = false
			s.window(9, 0)
		},
		"a state that is lost, and with it the server": func(s *stream) {
			s.window(50, 9)
			s.state, s.look.RunID = account.State{}, "b"
			s.window(50, 9)
			s.window(50, 9)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			play(s)
			s.want()
		})
	}
}

func TestWhatIsALoss(t *testing.T) {
	for name, c := range map[string]struct {
		play func(*stream)
		want account.Loss
	}{
		"entries that somebody trimmed": {func(s *stream) {
			s.window(50, 20)
			s.look.Length -= 8
			s.window(30, 0)
		}, account.Loss{Class: account.Trimmed, Count: 8}},
		"entries of an older window, trimmed while a newer one was drained first": {func(s *stream) {
			s.window(50, 60)
			s.end += 20
			s.begin()
			s.file(20)
			s.look.Below = true
			s.close(20)
			s.look.Length -= 3
			s.end = 0
			s.begin()
			s.file(37)
			s.look.Below = false
			s.close(37)
		}, account.Loss{Class: account.Trimmed, Count: 3}},
		"entries that were trimmed, after a clock that leapt had closed a window of the future": {func(s *stream) {
			s.look.Clock = 5000
			s.end = 990_000
			s.look.Clock = 1_000_000
			s.window(50, 20)
			s.end, s.look.Clock = 100, 5000
			s.window(5, 0)
			s.look.Length -= 8
			s.window(5, 0)
		}, account.Loss{Class: account.Trimmed, Count: 8}},
		"entries that stood aside and were evicted": {func(s *stream) {
			s.window(50, 20)
			s.look.Aside = 20
			s.window(5, 0)
			s.look.Aside, s.look.Length, s.look.Evicted = 0, 0, 1
			s.window(5, 0)
		}, account.Loss{Class: account.Evicted, Count: 20}},
		"entries that stood aside and were deleted": {func(s *stream) {
			s.window(50, 20)
			s.look.Aside = 20
			s.window(5, 0)
			s.look.Aside, s.look.Length = 0, 0
			s.window(5, 0)
		}, account.Loss{Class: account.Trimmed, Count: 20}},
		"entries that were trimmed while others are kept for another group": {func(s *stream) {
			s.keep(40, 40)
			s.add(8) // of a window to come
			s.look.Length -= 8
			s.window(20, 0)
		}, account.Loss{Class: account.Trimmed, Count: 8}},
		"a stream that was deleted": {func(s *stream) {
			s.window(50, 20)
			s.look = account.Look{RunID: "a"}
			s.window(30, 0)
		}, account.Loss{Class: account.Deleted, Count: 20}},
		"a stream that was deleted after a killed run had filed some of it": {func(s *stream) {
			s.window(50, 20)
			s.begin()
			s.file(15)
			s.look = account.Look{RunID: "a"}
			s.window(30, 0)
		}, account.Loss{Class: account.Deleted, Count: 5}},
		"a stream that was deleted while a run filed some of it": {func(s *stream) {
			s.window(50, 20)
			s.begin()
			s.file(15)
			s.look = account.Look{RunID: "a", Exists: true, Grouped: true}
			s.add(4)
			s.close(15)
			s.window(30, 0)
		}, account.Loss{Class: account.Deleted, Count: 5}},
		"a stream that was deleted and has counted beyond its past since": {func(s *stream) {
			s.window(50, 20)
			s.look = account.Look{RunID: "a", Exists: true}
			s.add(500)
			s.window(500, 0)
		}, account.Loss{Class: account.Deleted, Count: 20}},
		"other data of the same process, when some of the first is in no file": {func(s *stream) {
			s.look.ReplID = "x"
			s.window(50, 20)
			s.look = account.Look{RunID: "a", ReplID: "y", Exists: true, Grouped: true, Added: 30, Length: 30}
			s.begin()
			s.file(30)
			s.close(30)
			s.window(50, 9)
		}, account.Loss{Class: account.RolledBack, Count: 20}},
		"a stream that was evicted": {func(s *stream) {
			s.window(50, 20)
			s.look = account.Look{RunID: "a", Evicted: 1}
			s.window(30, 0)
		}, account.Loss{Class: account.Evicted, Count: 20}},
		"a stream that was evicted while another run held some of what it had read": {func(s *stream) {
			s.window(50, 20)
			s.look = account.Look{RunID: "a", Evicted: 1}
			s.begin()
			s.parts = append(s.parts, account.Part{Entries: 15, End: s.end, Added: 70, RunID: "a"})
			s.window(30, 0)
		}, account.Loss{Class: account.Evicted, Count: 5}},
		"a stream that was deleted twice before a run came to its end": {func(s *stream) {
			s.window(50, 20)
			s.look = account.Look{RunID: "a"}
			s.begin()
			s.add(7)
			s.begin()
			s.file(3)
			s.look = account.Look{RunID: "a"}
			s.begin()
			s.window(30, 0)
		}, account.Loss{Class: account.Deleted, Count: 24}},
		"a stream that was deleted, and a server that was restarted before a run came to its end": {func(s *stream) {
			s.window(50, 20)
			s.look = account.Look{RunID: "a"}
			s.begin()
			s.look.RunID = "b"
			s.window(30, 0)
		}, account.Loss{Class: account.Deleted, Count: 20}},
		"a tail that a restart forgot": {func(s *stream) {
			s.window(50, 20)
			s.look.RunID, s.look.Added, s.look.Length = "b", s.look.Added-12, s.look.Length-12
			s.begin()
			s.window(30, 0)
		}, account.Loss{Class: account.RolledBack, Count: 12}},
		"entries that somebody trimmed, after the state was lost": {func(s *stream) {
			s.window(50, 0)
			s.state = account.State{}
			s.add(20)
			s.look.Length -= 20
			s.window(30, 0)
		}, account.Loss{Class: account.Trimmed, Count: 20}},
		"numbers that are missing": {func(s *stream) {
			s.state.Numbers.Merge([]account.Range{{From: 1, To: 50}})
			s.window(50, 0)
			s.state.Numbers.Merge([]account.Range{{From: 55, To: 60}})
			s.window(6, 0)
			s.window(0, 0)
		}, account.Loss{Class: account.Skipped, Count: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			c.play(s)
			s.want(c.want)
			s.state.Reported(s.state.Pending)
			s.window(40, 3)
			s.want() // told once
		})
	}
}

func TestABookKeepsOneAccountAStream(t *testing.T) {
	dir := t.TempDir()
	book := account.OpenBook(dir)
	put := func(n int64) error {
		return book.Update("likes", "bluesky:{likes}", func(s *account.State) error { s.Filed += n; return nil })
	}
	if err := errors.Join(put(3), put(4)); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	if err := book.Update("likes", "bluesky:{likes}", func(s *account.State) error { s.Filed = 99; return failed }); !errors.Is(err, failed) {
		t.Errorf("an error of the change came back as %v", err)
	}
	for stream, want := range map[string]int64{"bluesky:{likes}": 7, "other": 0} {
		if s, err := book.Read("likes", stream); err != nil || s.Filed != want {
			t.Errorf("%s: filed %d, %v, want %d", stream, s.Filed, err, want)
		}
	}
	name := filepath.Join(dir, "account", "likes.json")
	if err := os.WriteFile(name, []byte("{half"), 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err := book.Read("likes", "bluesky:{likes}"); err != nil || s.Filed != 0 {
		t.Errorf("a broken account was read as %+v, %v", s, err)
	}
}

func TestABookWaitsForNobodyForLong(t *testing.T) {
	dir := t.TempDir()
	book := account.OpenBook(dir)
	nothing := func(*account.State) error { return nil }
	if err := book.Update("likes", "s", nothing); err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(filepath.Join(dir, "account", "likes.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := book.Update("likes", "s", nothing); !errors.Is(err, account.ErrBusy) {
		t.Errorf("got %v, want %v", err, account.ErrBusy)
	}
}

func TestRangesOfNumbersAsText(t *testing.T) {
	var q account.Sequence
	for _, n := range []int64{1, 2, 3, 9, 7, 8, 20} {
		q.Add(n)
	}
	if got := q.String(); got != "1-3 7-9 20-20" {
		t.Errorf("ranges %q", got)
	}
	if back, err := account.ParseRanges(q.String()); err != nil || !reflect.DeepEqual(back, q.Seen) {
		t.Errorf("%v, %v", back, err)
	}
	for _, wrong := range []string{"1", "3-2", "0-4", "a-b", "1-2,3-4"} {
		if _, err := account.ParseRanges(wrong); err == nil {
			t.Errorf("%q was taken for ranges", wrong)
		}
	}
}
