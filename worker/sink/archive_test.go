package sink_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// place puts an empty file under a published name.
func place(t *testing.T, root string, layout sink.Layout, n sink.Name) {
	t.Helper()
	file := filepath.Join(root, layout.Path(n))
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestPartsWithoutTheirShapeAreNotClaimed(t *testing.T) {
	w := window.Window{Start: time.Date(2026, 11, 23, 9, 50, 0, 0, time.UTC), Length: 10 * time.Minute}
	for name, c := range map[string]struct {
		layout sink.Layout
		kind   event.Kind
	}{
		"plain":                           {sink.Plain, event.Likes},
		"hive":                            {sink.Hive, event.Blocks},
		"only a raw kind":                 {sink.Plain, event.Account},
		"hive, although plain is claimed": {sink.Hive, event.Posts},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			s := local(t, root, "")
			place(t, root, c.layout, sink.Name{Window: w, Kind: c.kind})
			want := sink.Archive{WindowLength: 5 * time.Minute, Layout: sink.Plain, SchemaVersion: 1}
			err := sink.Claim(t.Context(), s, want)
			if !errors.Is(err, sink.ErrOtherArchive) {
				t.Fatalf("got %v, want ErrOtherArchive", err)
			}
			if _, err := os.Stat(filepath.Join(root, "_archive.json")); err == nil {
				t.Fatal("a shape was written all the same")
			}
			text := regexp.MustCompile("{.*}").FindString(err.Error()) // as the sentence says
			if err := os.WriteFile(filepath.Join(root, "_archive.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			want.WindowLength, want.Layout = w.Length, c.layout
			if err := sink.Claim(t.Context(), s, want); err != nil {
				t.Errorf("with the file put back as the sentence says: %v", err)
			}
		})
	}
}

func TestWhatIsNoPartDoesNotKeepAnArchiveFromItsFirstClaim(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"2026/11/notes.txt", "_state/account/likes.json", "_rejected/x", "lost+found/y", "2026/11/23/09/likes/x.parquet"} {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	want := sink.Archive{WindowLength: 5 * time.Minute, Layout: sink.Plain, SchemaVersion: 1}
	if err := sink.Claim(t.Context(), local(t, root, ""), want); err != nil {
		t.Error(err)
	}
}
