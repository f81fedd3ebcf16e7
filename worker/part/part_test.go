package part

import (
	"fmt"
	"reflect"
	"testing"

	"datawriter/worker/event"
)

func TestRoundTrip(t *testing.T) {
	for _, codec := range codecs() {
		for _, kind := range event.Kinds() {
			t.Run(fmt.Sprintf("%s with %s", kind, codec), func(t *testing.T) {
				for _, count := range []int{0, 1, 699, 700, 2500} {
					roundTrip(t, event.RowColumns(kind), tight(codec), testMeta(kind, int64(count), 3), count)
				}
			})
		}
		t.Run(fmt.Sprintf("rejects with %s", codec), func(t *testing.T) {
			for _, count := range []int{0, 1, 2500} {
				roundTrip(t, event.RejectColumns(), tight(codec), testMeta(event.Likes, 9, int64(count)), count)
			}
		})
	}
}

// roundTrip writes a sample, reads it back, and compares every cell and the Meta.
func roundTrip[R any](t *testing.T, columns []event.Column[R], o Options, m Meta, count int) {
	t.Helper()
	f := openBytes(t, writeSample(t, columns, o, m, count, 5))
	m.SchemaVersion = SchemaVersion
	if f.Meta() != m {
		t.Errorf("meta is %+v, want %+v", f.Meta(), m)
	}
	if f.NumRows() != int64(count) {
		t.Errorf("%d rows, want %d", f.NumRows(), count)
	}
	g, at := newGenerator(5), 0
	err := ReadRows(f, columns, func(got *R) error {
		var want R
		fill(g, columns, &want, at)
		if !reflect.DeepEqual(*got, want) {
			return fmt.Errorf("row %d is\n%+v, want\n%+v", at, *got, want)
		}
		at++
		return nil
	})
	if err != nil || at != count {
		t.Fatalf("read %d of %d rows: %v", at, count, err)
	}
}

func TestIdentities(t *testing.T) {
	columns := event.RowColumns(event.Posts)
	f := openBytes(t, writeSample(t, columns, tight(Zstd), testMeta(event.Posts, 1000, 0), 1000, 6))
	g, at := newGenerator(6), 0
	err := f.Identities(func(id event.ID, hash uint64) error {
		var want event.Row
		fill(g, columns, &want, at)
		if id != want.ID() || int64(hash) != want.EntryHash.Value {
			return fmt.Errorf("entry %d is %s %x, want %s %x", at, id, hash, want.ID(), want.EntryHash.Value)
		}
		at++
		return nil
	})
	if err != nil || at != 1000 {
		t.Fatalf("read %d of 1000 identities: %v", at, err)
	}
}
