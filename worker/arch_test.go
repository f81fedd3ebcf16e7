// Package worker_test holds the layers of the house as a test. A package may
// import only lower floors, and each library has its owners: what a newcomer
// reads in DESIGN.md cannot drift from what the code does.
package worker_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floors lists every package of the house. A new package is a line here.
var floors = map[string]int{
	"window": 0, "event": 0, "fault": 0, "failure": 0,
	"stream": 1, "part": 1, "sink": 1, "ledger": 1, "runlog": 1, "account": 1, "monitor": 1, "prefect": 1,
	"drain": 2, "ingest": 2, "simulate": 2, "verify": 2, "exporter": 2, "summary": 2, "audit": 2,
	"doctor": 3, "validate": 3, "torture": 3, "torture/ingest": 3,
	"cmd/datawriter": 4, "bench": 4,
}

// testSupport lists packages that only tests may import: servers and suites.
var testSupport = []string{"ingest/ingesttest", "ingest/ingesttest/jetstream", "stream/streamtest", "sink/sinktest"}

// owners lists who may import a library, with the reason for the ban.
var owners = []struct {
	library string
	allowed []string
	reason  string
}{
	{"github.com/redis/go-redis", []string{"stream", "audit", "exporter", "validate", "cmd/datawriter", "bench"}, "stream alone owns the commands of Redis Streams"},
	{"github.com/xitongsys/parquet-go", []string{"part"}, "part alone knows the file format"},
	{"github.com/apache/thrift", []string{"part"}, "part alone knows the file format"},
	{"github.com/urfave/cli", []string{"cmd/datawriter"}, "only commands read flags"},
	{"github.com/coder/websocket", []string{"ingest"}, "only ingest talks to Jetstream"},
	{"github.com/prometheus/client_golang", []string{"exporter", "ingest"}, "only long-running commands have metrics"},
	{"github.com/prometheus/exporter-toolkit", []string{"exporter"}, "only the exporter serves metrics under TLS and passwords"},
	{"go.uber.org/zap", []string{"drain", "ingest", "simulate", "verify", "audit", "exporter", "validate", "cmd/datawriter"}, "floors 0 and 1 return errors and never log"},
}

// forbidden names say nothing about what a package holds.
var forbidden = []string{"utils", "util", "common", "helpers", "types", "internal", "pkg"}

const module = "datawriter/worker/"

func TestImportsGoDown(t *testing.T) {
	forEachImport(t, func(from, imported string, inTest bool) {
		to, ours := strings.CutPrefix(imported, module)
		if !ours || inTest || isTestSupport(from) {
			return
		}
		if isTestSupport(to) {
			t.Errorf("%s imports %s outside its tests", from, to)
			return
		}
		fromFloor, known := floors[from]
		toFloor, toKnown := floors[to]
		if !known || !toKnown {
			t.Errorf("%s or %s has no floor: add it to floors and to DESIGN.md", from, to)
			return
		}
		if fromFloor <= toFloor {
			t.Errorf("%s (floor %d) imports %s (floor %d): a package imports only lower floors", from, fromFloor, to, toFloor)
		}
	})
}

func TestLibrariesHaveOwners(t *testing.T) {
	forEachImport(t, func(from, imported string, inTest bool) {
		if inTest || isTestSupport(from) {
			return
		}
		for _, o := range owners {
			if strings.HasPrefix(imported, o.library) && !slices.Contains(o.allowed, from) {
				t.Errorf("%s imports %s: %s", from, imported, o.reason)
			}
		}
	})
}

func TestEveryPackageHasItsFloor(t *testing.T) {
	seen := make(map[string]bool)
	forEachImport(t, func(from, _ string, _ bool) {
		if seen[from] {
			return
		}
		seen[from] = true
		if _, known := floors[from]; !known && !isTestSupport(from) && from != "." {
			t.Errorf("%s has no floor: add it to floors and to DESIGN.md", from)
		}
		for part := range strings.SplitSeq(from, "/") {
			if slices.Contains(forbidden, part) {
				t.Errorf("%s: the name %q says nothing about what is in it", from, part)
			}
		}
	})
}

func isTestSupport(name string) bool { return slices.Contains(testSupport, name) }

// forEachImport calls see for every import below worker/. Packages are named by
// their path below it.
func forEachImport(t *testing.T, see func(from, imported string, inTest bool)) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range file.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			see(path.Dir(filepath.ToSlash(name)), imported, strings.HasSuffix(name, "_test.go"))
			seen++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Fatalf("only %d imports were looked at: the test looks in the wrong place", seen)
	}
}
