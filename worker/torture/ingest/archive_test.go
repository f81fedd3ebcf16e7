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
	found := make(map[string]int)
	var reader event.Envelopes
	r.lines(r.files(), func(line []byte) {
		e, ok := reader.Read(line)
		if !ok {
			r.t.Fatalf("a row that is no event: %s", line)
		}
		found[key(&e)]++
	})
	return found
}

// files returns the parts of the archive. None may have rejects.
func (r *rig) files() (files []string) {
	r.t.Helper()
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
	return files
}

// lines reads the events of some files, as cat prints them.
func (r *rig) lines(files []string, see func(line []byte)) {
	r.t.Helper()
	for some := range slices.Chunk(files, 200) {
		c := r.command(append([]string{"cat"}, some...)...)
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			r.t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			see(lines.Bytes())
		}
		if err := errors.Join(lines.Err(), c.Wait()); err != nil {
			r.t.Fatal(err)
		}
	}
}
