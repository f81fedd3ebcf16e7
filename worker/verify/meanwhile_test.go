package verify_test

import (
	"os"
	"path"
	"path/filepath"
	"testing"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/window"
)

// Tests of this file publish files behind the back of a verification: files are
// taken away before it, and put back at a certain moment of it.

// hide takes files away and returns what puts them back.
func (p *place) hide(paths ...string) (publish func()) {
	p.Helper()
	contents := make(map[string][]byte)
	for _, file := range paths {
		contents[file] = p.read(file)
		p.ok(os.Remove(file))
	}
	return func() {
		for file, content := range contents {
			p.write(file, content)
		}
	}
}

// hideWindow hides every file of a window.
func (p *place) hideWindow(w window.Window) (publish func()) {
	p.Helper()
	var all []string
	for _, tree := range []string{"", "_rejected"} {
		matches, err := filepath.Glob(filepath.Join(p.data, tree, w.Start.Format("2006/01/02/15"), "*", w.Stem()+"-*"))
		p.ok(err)
		all = append(all, matches...)
	}
	return p.hide(all...)
}

// when calls do before the nth listing of a folder.
func (p *place) when(nth int, folder string, do func()) {
	p.listing = func(listed string) {
		if listed != folder {
			return
		}
		if nth--; nth == 0 {
			do()
		}
	}
}

func TestFilesThatAppearMeanwhile(t *testing.T) {
	good := newPlace(t, streamtest.Start(t))
	for _, w := range []window.Window{w1, w2, w3, after} {
		good.fill(w)
	}
	good.drain(after)
	folder := path.Dir(sink.Plain.Path(likes2))
	rejects, hour := path.Join("_rejected", folder), path.Dir(folder)
	refused := sink.Name{Window: w2, Kind: event.Likes, Rejects: true}
	for _, c := range []struct {
		name   string
		happen func(p *place)
		rows   int64 // that the verification saw
		want   []string
	}{
		{"a part, a moment after its rejects", func(p *place) {
			p.when(2, folder, p.hide(p.path(likes2)))
		}, 4 * 70, nil},
		{"a part that never comes", func(p *place) { p.remove(likes2) }, 4*70 - 50, []string{"numbers", "missing"}},
		{"a part and its rejects, between the two listings", func(p *place) {
			p.when(1, rejects, p.hide(p.path(likes2), p.path(refused)))
		}, 4 * 70, nil},
		{"a kind, behind the walk", func(p *place) {
			p.when(1, rejects, p.hide(p.path(sink.Name{Window: w2, Kind: event.Posts})))
		}, 4*70 - 20, nil},
		{"a window, behind the walk", func(p *place) { p.when(2, hour, p.hideWindow(w2)) }, 3 * 70, nil},
		{"a window of a gap of two, behind the walk", func(p *place) {
			publish := p.hideWindow(w2)
			p.hideWindow(w3)
			p.when(2, hour, publish)
		}, 2 * 70, []string{"missing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := good.copy(t)
			c.happen(p)
			r := p.want(nothingElse, c.want...)
			if r.Rows != c.rows {
				t.Errorf("it saw %d rows, want %d", r.Rows, c.rows)
			}
			for _, v := range r.Violations {
				if v.Check == "missing" && v.Kind == nil && (*v.Window != w3 || v.Count != 1) {
					t.Errorf("missing are %d windows from %s on, want %s alone", v.Count, v.Window, w3)
				}
			}
		})
	}
}
