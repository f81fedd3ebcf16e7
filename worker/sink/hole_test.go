package sink_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

func TestHolesAreFoundWhereTheyWereAccepted(t *testing.T) {
	for _, layout := range []sink.Layout{sink.Plain, sink.Hive} {
		t.Run(string(layout), func(t *testing.T) {
			ctx, root := t.Context(), t.TempDir()
			s := local(t, root, "")
			at := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
			w := window.Window{Start: time.Date(2026, 11, 23, 23, 55, 0, 0, time.UTC), Length: 5 * time.Minute}
			var want []sink.Hole
			for _, of := range []struct {
				w    window.Window
				kind event.Kind
			}{{w, event.Posts}, {w, event.Likes}, {w.Next(), event.Likes}} {
				h := sink.Hole{Window: of.w, Kind: of.kind, By: "a@b", At: at, Reason: "no copy"}
				want = append(want, h)
				for n, fresh := range []bool{true, false} {
					h.Reason = h.Reason[n:] // what stands stays
					if got, err := sink.AcceptHole(ctx, s, layout, h); err != nil || got != fresh {
						t.Fatalf("accept %v, time %d: %t, %v", of, n+1, got, err)
					}
				}
			}
			if err := os.WriteFile(filepath.Join(root, "_holes", "notes.txt"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			holes := func(from, to time.Time) (all []sink.Hole) {
				if err := sink.WalkHoles(ctx, s, layout, from, to, func(h sink.Hole) error { all = append(all, h); return nil }); err != nil {
					t.Fatal(err)
				}
				return all
			}
			if got := holes(time.Time{}, time.Time{}); len(got) != 3 || !got[2].Window.Start.Equal(w.End()) || got[2].Reason != "no copy" {
				t.Errorf("all holes: %+v", got)
			}
			if got := holes(w.End(), time.Time{}); !reflect.DeepEqual(got, want[2:]) {
				t.Errorf("from the second window on: %+v, want %+v", got, want[2:])
			}
			if got := holes(time.Time{}, w.End()); len(got) != 2 {
				t.Errorf("up to the second window: %+v", got)
			}
			likes, err := sink.Holes(ctx, s, layout, event.Likes, w.Start, w.End())
			if err != nil || !reflect.DeepEqual(likes, map[window.Window]bool{w: true}) {
				t.Errorf("of likes in the first window: %v, %v", likes, err)
			}
			if err := sink.Walk(ctx, s, layout, time.Time{}, time.Time{}, func(h sink.Hour) error {
				t.Errorf("a walk over the parts sees %+v", h)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestTheNewestPartIsFoundByKind(t *testing.T) {
	for _, layout := range []sink.Layout{sink.Plain, sink.Hive} {
		ctx, root := t.Context(), t.TempDir()
		s := local(t, root, "")
		if _, ok, err := sink.Newest(ctx, s, layout, event.Likes); ok || err != nil {
			t.Errorf("%s: an empty archive has a newest part: %v", layout, err)
		}
		w := window.Window{Start: time.Date(2026, 11, 23, 9, 55, 0, 0, time.UTC), Length: 5 * time.Minute}
		for _, n := range []sink.Name{
			{Window: w, Kind: event.Likes}, {Window: w.Previous(), Kind: event.Likes}, {Window: w.Next(), Kind: event.Posts},
			{Window: w.Next().Next(), Kind: event.Likes, Rejects: true},
		} {
			file := filepath.Join(root, layout.Path(n))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.MkdirAll(filepath.Join(root, "2027", "notes"), 0o755); err != nil {
			t.Fatal(err)
		}
		if end, ok, err := sink.Newest(ctx, s, layout, event.Likes); !ok || err != nil || !end.Equal(w.End()) {
			t.Errorf("%s: the newest part of the likes ends at %v (%v, %v), want %v", layout, end, ok, err, w.End())
		}
	}
}
