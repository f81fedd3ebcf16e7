package ingest_test

import (
	"bufio"
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"datawriter/worker/event"
)

// drainAll drains what is left, when its window is closed.
func (r *rig) drainAll(window time.Duration) {
	r.t.Helper()
	client := r.redis.Client()
	defer func() { _ = client.Close() }()
	for range 100 {
		out, err := r.command("run", "--window", window.String()).Output()
		left := int64(0)
		for _, kind := range r.kinds() {
			left += client.XLen(r.t.Context(), "bluesky:{"+kind.String()+"}").Val()
		}
		if err == nil && left == 0 {
			return
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 4 {
			r.t.Fatalf("the drain found a contradiction: %s", out)
		}
		time.Sleep(window / 4)
	}
	r.t.Fatal("the drain does not come to its end")
}

// rows returns how often each event stands in the archive.
func (r *rig) rows(key func(*event.Envelope) string) map[string]int {
	r.t.Helper()
	var files []string
	err := filepath.WalkDir(r.data, func(path string, d fs.DirEntry, err error) error {
		inside, _ := filepath.Rel(r.data, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(inside, "_rejected"):
			r.t.Errorf("an event was rejected: %s", path)
		case d.IsDir() && strings.HasPrefix(inside, "_"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".parquet"):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	found := make(map[string]int)
	for some := range slices.Chunk(files, 200) {
		r.cat(some, key, found)
	}
	return found
}

// cat counts the events of some files.
func (r *rig) cat(files []string, key func(*event.Envelope) string, found map[string]int) {
	r.t.Helper()
	c := r.command(append([]string{"cat"}, files...)...)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	var reader event.Envelopes
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		e, ok := reader.Read(lines.Bytes())
		if !ok {
			r.t.Fatalf("a row that is no event: %s", lines.Bytes())
		}
		found[key(&e)]++
	}
	if err := errors.Join(lines.Err(), c.Wait()); err != nil {
		r.t.Fatal(err)
	}
}
