package account_test

import (
	"encoding/json"
	"math"
	"testing"

	"datawriter/worker/account"
)

// number plays windows of numbers as a drain notes them, each by itself, and returns
// what the account tells at the end.
func number(t *testing.T, s *stream, windows ...[]int64) {
	t.Helper()
	for _, numbers := range windows {
		var of account.Sequence
		for _, n := range numbers {
			of.Add(n)
		}
		s.state.Numbers.Note(&of)
		s.window(int64(len(numbers)), 0)
	}
}

func upTo(from, to int64) (numbers []int64) {
	for n := from; n <= to; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

func TestOnlyGapsOfANumberingAreLosses(t *testing.T) {
	const far = math.MaxInt64
	every := func(from, to, step int64) (numbers []int64) {
		for n := from; n <= to; n += step {
			numbers = append(numbers, n)
		}
		return numbers
	}
	for name, c := range map[string]struct {
		windows [][]int64
		lost    int64
		before  int64 // entries without a number
	}{
		"no gap":                            {windows: [][]int64{upTo(1, 20), upTo(21, 40), upTo(41, 60)}},
		"a gap inside a window":             {windows: [][]int64{append(upTo(1, 20), upTo(24, 30)...), {31}, {32}}, lost: 3},
		"a gap between windows":             {windows: [][]int64{upTo(1, 20), upTo(24, 30), {31}, {32}}, lost: 3},
		"two gaps":                          {windows: [][]int64{upTo(1, 20), upTo(24, 30), {35}, {36}, {37}}, lost: 7},
		"as many lost as there ever were":   {windows: [][]int64{upTo(1, 20), upTo(41, 50), {51}, {52}}, lost: 20},
		"numbers that overtake others":      {windows: [][]int64{append(upTo(1, 20), 24, 25), {21, 22, 23}, {26}, {27}}},
		"some of which never come":          {windows: [][]int64{append(upTo(1, 20), 24, 25), {21, 23}, {26}, {27}}, lost: 1},
		"an absurd number":                  {windows: [][]int64{{1, 2}, {far, 3}, {4}, {5}, {6}, {7}}},
		"a loss behind an absurd number":    {windows: [][]int64{{1, 2}, {far, 3}, {4}, {5}, {9}, {10}, {11}}, lost: 3},
		"several absurd ones in one window": {windows: [][]int64{{1, 2}, {far, 3, 1 << 40, 1 << 60, far, far - 5}, {4}, {5}, {9}, {10}, {11}}, lost: 3},
		"only absurd ones":                  {windows: [][]int64{{far}, {far - 1000}, {1 << 50}, {1 << 45}, {7}}},
		"a jump behind which it goes on":    {windows: [][]int64{upTo(1, 20), upTo(1_000_001, 1_000_020), upTo(1_000_021, 1_000_040), upTo(1_000_041, 1_000_060)}},
		"and loses":                         {windows: [][]int64{upTo(1, 20), upTo(1_000_001, 1_000_020), upTo(1_000_024, 1_000_040), {1_000_041}, {1_000_042}}, lost: 3},
		"more than Redis counted, all lost": {windows: [][]int64{upTo(1, 20), upTo(101, 120), upTo(121, 300), upTo(301, 400), {401}}, lost: 80},
		"a producer that begins again":      {windows: [][]int64{upTo(1, 20), upTo(1, 10), upTo(11, 30), {31}}},
		"an older window, drained later":    {windows: [][]int64{upTo(501, 800), upTo(1, 10), {}, {}, upTo(11, 30), {31}}, lost: 490},
		"and loses in its new numbering":    {windows: [][]int64{upTo(501, 800), upTo(1, 10), upTo(15, 30), {31}, {32}}, lost: 4},
		"two producers side by side":        {windows: [][]int64{append(upTo(5001, 5200), upTo(4701, 4800)...), append(upTo(5201, 5300), upTo(4801, 4850)...), append(upTo(5301, 5400), upTo(4851, 4900)...), {4901, 5401}}},
		"duplicates":                        {windows: [][]int64{{1, 2, 2, 3}, {3, 3, 4}, {1, 5}, {far, far}, {far, 6}, {7}}},
		"numbers of all streams together":   {windows: [][]int64{every(1, 6000, 140), every(6021, 12000, 140), every(12041, 18000, 140), {18041}, {18181}}},
		"the same of a stream that is old":  {windows: [][]int64{every(1, 6000, 140), every(6021, 12000, 140), every(12041, 18000, 140), {18041}, {18181}}, before: 100_000},
		"times in microseconds":             {windows: [][]int64{every(1_795_428_300_000_000, 1_795_428_300_900_000, 100), every(1_795_428_301_000_000, 1_795_428_301_900_000, 100), {1_795_428_302_000_000}}},
		"and numbers again behind them":     {windows: [][]int64{every(1_795_428_300_000_000, 1_795_428_300_900_000, 100), upTo(1, 50), upTo(54, 60), {61}, {62}}, lost: 3},
		"more absurd ones than can be kept": {windows: [][]int64{upTo(1, 50), append(every(1<<40, 1<<40+3_000_000, 1000), upTo(51, 60)...), upTo(61, 70), {71}, {72}}},
		"and a loss behind those":           {windows: [][]int64{upTo(1, 50), append(every(1<<40, 1<<40+3_000_000, 1000), upTo(51, 60)...), upTo(61, 70), upTo(74, 80), {81}, {82}}, lost: 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			s.window(c.before, 0)
			number(t, s, c.windows...)
			if got := s.state.Lost[account.Skipped]; got != c.lost {
				t.Errorf("%d numbers are told to be lost, want %d; state %+v", got, c.lost, s.state.Numbers)
			}
		})
	}
}

func TestAnOldStateIsTakenOver(t *testing.T) {
	for name, c := range map[string]struct {
		state       string
		told, later int64 // numbers that are lost in the old state, and in a window behind it
	}{
		"a gap that has not been told":                                              {`{"seen":[{"from":1,"to":20},{"from":24,"to":25}],"high":25}`, 3, 0},
		"everything that an absurd number covers, whose first window is lost on it": {`{"seen":[{"from":1,"to":9223372036854775807}],"high":9223372036854775807}`, 0, 3},
		"an absurd number that stands alone":                                        {`{"seen":[{"from":1,"to":25},{"from":9223372036854775807,"to":9223372036854775807}],"high":9223372036854775807}`, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t)
			s.window(25, 0)
			if err := json.Unmarshal([]byte(c.state), &s.state.Numbers); err != nil {
				t.Fatal(err)
			}
			number(t, s, upTo(26, 30), append(upTo(31, 40), upTo(41+c.later, 50)...), []int64{51}, []int64{52})
			if got := s.state.Lost[account.Skipped]; got != c.told+c.later {
				t.Errorf("%d numbers are told to be lost, want %d; state %+v", got, c.told+c.later, s.state.Numbers)
			}
		})
	}
}

// A range is what all its numbers make of it, in whatever order they come.
func FuzzNumbersInAnyOrderMakeTheSameRanges(f *testing.F) {
	f.Add([]byte{1, 2, 3, 9, 8, 7, 7})
	f.Fuzz(func(t *testing.T, numbers []byte) {
		var one, other account.Sequence
		for _, n := range numbers {
			one.Add(int64(n) + 1)
			other.Merge([]account.Range{{From: int64(n) + 1, To: int64(n) + 1}})
		}
		if one.String() != other.String() {
			t.Errorf("added: %s, merged: %s", one.String(), other.String())
		}
	})
}
