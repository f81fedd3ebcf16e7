package sink_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/fault"
	"datawriter/worker/sink"
	"datawriter/worker/sink/sinktest"
)

func TestLocalIsASink(t *testing.T) {
	var folders sync.Map // a test's folder outlives its sinks
	sinktest.Run(t, func(t *testing.T) sink.Sink {
		root, _ := folders.LoadOrStore(t.Name(), filepath.Join(t.TempDir(), "deep", "data"))
		return local(t, root.(string), "")
	})
}

func local(t *testing.T, root, fails string) sink.Sink {
	t.Helper()
	injector, err := fault.Parse(fails)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sink.OpenURL(root, injector)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// attempt stages and publishes a file, and returns the first error.
func attempt(s sink.Sink) error {
	staged, err := s.Stage(context.Background(), "part")
	if err != nil {
		return err
	}
	if _, err := io.WriteString(staged, "content"); err != nil {
		return errors.Join(err, staged.Discard())
	}
	if err := staged.Sync(); err != nil {
		return errors.Join(err, staged.Discard())
	}
	return errors.Join(staged.Publish("a/b/c.parquet"), staged.Discard())
}

func TestAFailedStepLeavesNothingBehindOrAWholeFile(t *testing.T) {
	for _, c := range []struct {
		step      string
		published bool // whether the name may be there after the error
	}{
		{fault.Staged, false},
		{fault.Written, false},
		{fault.Synced, false},
		{fault.Linked, false},
		{fault.Hardened, true},
	} {
		for number, errno := range map[string]syscall.Errno{"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC} {
			t.Run(c.step+" answers "+number, func(t *testing.T) {
				root := t.TempDir()
				s := local(t, root, string(fault.Of("part", c.step))+"="+number)
				if err := attempt(s); !errors.Is(err, errno) || errors.Is(err, sink.ErrMisplaced) {
					t.Fatalf("got %v, want %v, worth another try", err, errno)
				}
				_, err := os.Stat(filepath.Join(root, "a/b/c.parquet"))
				if c.published != (err == nil) {
					t.Errorf("published is %v, want %v", err == nil, c.published)
				}
				if left, _ := filepath.Glob(filepath.Join(root, "_tmp", ".*")); len(left) > 0 {
					t.Errorf("temporary files are left: %v", left)
				}
				want := error(nil)
				if c.published {
					want = sink.ErrExists
				}
				if err := attempt(s); !errors.Is(err, want) {
					t.Errorf("the rerun ends with %v, want %v", err, want)
				}
			})
		}
	}
}

func TestAPlaceThatCannotBeUsedSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, place := range map[string]string{
		"a folder below a file":     file + "/data",
		"an unknown scheme":         "ftp://host/data",
		"a file URL that is broken": "file://%zz",
	} {
		if _, err := sink.OpenURL(place, nil); !errors.Is(err, sink.ErrMisplaced) {
			t.Errorf("%s: %v, want ErrMisplaced", name, err)
		}
	}
}

func TestAFileURLIsItsFolder(t *testing.T) {
	root := t.TempDir()
	folder, ok := local(t, "file://"+root, "").(sink.Local)
	if !ok || folder.Root() != root {
		t.Errorf("the sink of file://%s is %v", root, folder)
	}
}

func TestAPlaceIsAFolderOrSaysWhyNot(t *testing.T) {
	for place, want := range map[string]string{
		"/srv/data":                  "/srv/data",
		"data":                       "data",
		"a b%20c":                    "a b%20c",
		"file:///srv/data":           "/srv/data",
		"file:///srv/a%20b":          "/srv/a b",
		"file:///srv/a%23b":          "/srv/a#b",
		"file:/srv/data":             "/srv/data",
		"file://localhost/srv":       "/srv",
		"file://data":                "",
		"file://data/x":              "",
		"file://host/srv/data":       "",
		"file:data":                  "",
		"file:///srv/a?b":            "",
		"file:///srv/a#b":            "",
		"file://":                    "",
		"file:///%zz":                "",
		"s3://bucket/data":           "",
		"https://example.org/folder": "",
	} {
		got, err := sink.FolderOf(place)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, sink.ErrMisplaced) {
			t.Errorf("%s is %q, %v; want %q", place, got, err, want)
		}
	}
}

func TestOnlyOldTemporaryFilesAreAbandoned(t *testing.T) {
	root := t.TempDir()
	folder := local(t, root, "").(sink.Local)
	long := time.Now().Add(-2 * time.Hour)
	for name, age := range map[string]time.Time{".old.tmp": long, ".young.tmp": time.Now(), "not-ours": long} {
		path := filepath.Join(root, "_tmp", name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, age, age)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := folder.RemoveAbandoned(time.Hour); n != 1 || err != nil {
		t.Errorf("removed %d: %v, want the one old file", n, err)
	}
	for name, want := range map[string]bool{".old.tmp": false, ".young.tmp": true, "not-ours": true} {
		if _, err := os.Stat(filepath.Join(root, "_tmp", name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
}

func TestStagingSurvivesASweptFolder(t *testing.T) {
	root := t.TempDir()
	s := local(t, root, "")
	if err := os.RemoveAll(filepath.Join(root, "_tmp")); err != nil {
		t.Fatal(err)
	}
	if err := attempt(s); err != nil {
		t.Error(err)
	}
}

func TestADamagedShapeIsNeverReplaced(t *testing.T) {
	for name, text := range map[string]string{
		"cut off":        `{"window_length":"5m"`,
		"empty":          "",
		"a wrong length": `{"window_length":"7m","layout":"plain","schema_version":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.WriteFile(filepath.Join(root, "_archive.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			want := sink.Archive{WindowLength: 5 * time.Minute, Layout: sink.Plain, SchemaVersion: 1}
			if err := sink.Claim(context.Background(), local(t, root, ""), want); !errors.Is(err, sink.ErrOtherArchive) {
				t.Errorf("got %v, want ErrOtherArchive", err)
			}
			if left, _ := os.ReadFile(filepath.Join(root, "_archive.json")); string(left) != text {
				t.Errorf("the file holds %q now", left)
			}
		})
	}
}

// The answer of the first step that fails counts: "no such file" of a folder that
// could not be made again would hide why.
func TestAStagingFolderThatCannotBeMadeAgainSaysWhy(t *testing.T) {
	root := filepath.Join(t.TempDir(), "data")
	s := local(t, root, "")
	if err := errors.Join(os.RemoveAll(root), os.Symlink(root+"-nowhere", root)); err != nil {
		t.Fatal(err)
	}
	if err := attempt(s); !errors.Is(err, sink.ErrMisplaced) || !errors.Is(err, syscall.EEXIST) {
		t.Errorf("got %v, want ErrMisplaced and that a file stands there", err)
	}
}
