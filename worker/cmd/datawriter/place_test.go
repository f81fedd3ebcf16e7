package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datawriter/worker/stream/streamtest"
)

func TestAFileURLHasItsStateInItsFolder(t *testing.T) {
	server := streamtest.Start(t)
	fill(t, server, 5)
	data := filepath.Join(t.TempDir(), "a b")
	place := (&url.URL{Scheme: "file", Path: data}).String()
	if !strings.Contains(place, "%20") {
		t.Fatal(place)
	}
	for _, args := range [][]string{{"run", "--window", testWindow}, {"verify"}} {
		if r := run(t, nil, append(args, "--data", place, "--redis-url", server.URL())...); r.code != exitOK {
			t.Fatalf("%v: exit %d: %s%s", args, r.code, r.stdout, r.stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(data, "_state", "runs")); err != nil {
		t.Error(err)
	}
	for place, word := range map[string]string{"file://data": "relative folder", "file://host/srv": "on this machine", "file:///a?b": "%3F", "ftp://host/x": "ftp://"} {
		if r := run(t, nil, "run", "--window", testWindow, "--data", place, "--redis-url", server.URL()); r.code != exitUsage || !strings.Contains(r.stderr, word) {
			t.Errorf("--data %s: exit %d: %s", place, r.code, r.stderr)
		}
	}
}

func TestADataFolderThatIsASymlinkIsTheFolder(t *testing.T) {
	server, environ, data := verified(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	r := run(t, environ, "run", "--window", testWindow, "--data", link, "--redis-url", server.URL())
	if r.code != exitOK || !strings.Contains(r.stdout, `"status":"nothing"`) {
		t.Errorf("exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
}

func TestWhatCannotBeRightIsRefusedBeforeAnythingIsRead(t *testing.T) {
	server := streamtest.Start(t)
	fill(t, server, 5)
	data := filepath.Join(t.TempDir(), "data")
	at := []string{"run", "--window", testWindow, "--data", data, "--redis-url", server.URL()}
	if r := run(t, nil, append(at, "--stream-name", "likes=bluesky:{posts}")...); r.code != exitUsage || !strings.Contains(r.stderr, "a stream of its own") {
		t.Errorf("two kinds on one stream: exit %d: %s", r.code, r.stderr)
	}
	if err := server.Client().Set(t.Context(), "bluesky:{likes}:lease:datawriter", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if r := run(t, nil, at...); r.code != exitUsage || !strings.Contains(r.stderr, "no lease of this program") {
		t.Errorf("a key that is no lease: exit %d: %s", r.code, r.stderr)
	}
	if err := os.Remove(filepath.Join(data, "_archive.json")); err != nil {
		t.Fatal(err)
	}
	if r := run(t, nil, at...); r.code != exitUsage || !strings.Contains(r.stderr, `{"window_length":"5m"`) {
		t.Errorf("parts without their shape: exit %d: %s", r.code, r.stderr)
	}
}
