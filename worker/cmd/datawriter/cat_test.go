package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"datawriter/worker/stream/streamtest"
)

// drained returns a part of three likes, and the archive that it stands in.
func drained(t *testing.T) (part, data string) {
	t.Helper()
	server := streamtest.Start(t)
	fill(t, server, 3)
	data = filepath.Join(t.TempDir(), "data")
	if r := run(t, []string{"DATAWRITER_REDIS_URL=" + server.URL()}, "run", "--window", testWindow, "--data", data); r.code != exitOK {
		t.Fatalf("exit %d\n%s", r.code, r.stderr)
	}
	return filepath.Join(data, "2026/11/23/10/likes/20261123T100500Z-5m-00.parquet"), data
}

func TestCatNamesWhatIsNoPartAndPrintsTheOthers(t *testing.T) {
	good, data := drained(t)
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	const ours, foreign = "20261123T100500Z-5m-07.parquet", "other.parquet"
	half, version := content[:len(content)/2], []byte("datawriter.schema_version\x18\x01")
	if !bytes.Contains(content, version) {
		t.Fatal("the footer has no schema version where this test looks for it")
	}
	flipped := bytes.Clone(content)
	flipped[len(flipped)/8] ^= 0xff
	for _, c := range []struct {
		name, file string
		content    []byte
		code       int
		says       string
	}{
		{"a text", "notes.txt", []byte("hello, this is no Parquet at all"), exitUsage, "is no part"},
		{"an empty file", "empty.parquet", nil, exitUsage, "is no part"},
		{"JSON lines", "events.jsonl", []byte(`{"did":"d"}` + "\n" + `{"did":"e"}` + "\n"), exitUsage, "is no part"},
		{"Parquet of another program", foreign, bytes.ReplaceAll(content, []byte("datawriter."), []byte("someothers.")), exitUsage, "nothing in it says that datawriter wrote it"},
		{"half a file of whoever", foreign, half, exitUsage, "nothing in it says that datawriter wrote it"},
		{"a part of a later version", ours, bytes.ReplaceAll(content, append(bytes.Clone(version), '1'), append(bytes.Clone(version), '9')), exitUsage, "use the version that wrote the file"},
		{"a part under another name", foreign, content, exitOK, ""},
		{"half a part", ours, half, exitIntegrity, "integrity violation"},
		{"a part without a byte", ours, nil, exitIntegrity, "integrity violation"},
		{"a part that became zeros", ours, make([]byte, len(content)), exitIntegrity, "integrity violation"},
		{"a part with a wrong byte", ours, flipped, exitIntegrity, "integrity violation"},
		{"the same, under another name", foreign, flipped, exitIntegrity, "integrity violation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			catTwo(t, path, good, c.code, c.says)
		})
	}
	pipe, list := filepath.Join(t.TempDir(), "pipe"), filepath.Join(data, "2026/11/23/10/likes")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, says string }{
		"a file that is missing": {filepath.Join(data, "nowhere.parquet"), "nowhere.parquet"}, "a folder": {list, list + "/*.parquet"},
		"the whole archive": {data, "is a folder"}, "a pipe": {pipe, "no regular file"}, "a device": {"/dev/null", "no regular file"}, "standard input": {"-", "no standard input"},
		"a file below a file": {good + "/x", "move it away"},
	} {
		t.Run(name, func(t *testing.T) { catTwo(t, c.path, good, exitUsage, c.says) })
	}
	// Of several, the gravest counts.
	torn := filepath.Join(t.TempDir(), ours)
	if err := os.WriteFile(torn, half, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, nil, "cat", "/dev/null", torn, list, good); r.code != exitIntegrity || strings.Count(r.stdout, "\n") != 3 || strings.Count(r.stderr, "\n") != 3 {
		t.Errorf("exit %d, want 4, three rows and three sentences\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// catTwo prints a file before a good one.
func catTwo(t *testing.T, path, good string, code int, says string) {
	t.Helper()
	r := run(t, nil, "cat", path, good)
	if r.code != code || !strings.Contains(r.stderr, says) {
		t.Errorf("exit %d, want %d and %q\n%s", r.code, code, says, r.stderr)
	}
	if code == exitUsage && strings.Contains(r.stderr, "integrity") {
		t.Errorf("it is called a violation: %s", r.stderr)
	}
	if n := strings.Count(r.stdout, `"did:plc:tmakk4opsnbywozo6oa2afff"`); n < 3 {
		t.Errorf("%d rows of the good part are printed, want 3", n)
	}
}

// Files and folders that a command is given and cannot use are named, and stay as they were.
func TestWhatIsNoArchiveIsLeftAlone(t *testing.T) {
	_, data := drained(t)
	other, file, empty := t.TempDir(), filepath.Join(t.TempDir(), "file"), filepath.Join(t.TempDir(), "empty")
	for path, text := range map[string]string{file: "text\n", empty: "", filepath.Join(other, "a.parquet"): "x"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	none := t.TempDir()
	for _, c := range []struct {
		name, says string
		args       []string
	}{
		{"verify of an empty folder", "_archive.json", []string{"verify", "--data", none}},
		{"verify of a folder of other files", "_archive.json", []string{"verify", "--data", other}},
		{"verify of a file", "a file stands", []string{"verify", "--data", file}},
		{"verify of nothing", "nowhere", []string{"verify", "--data", "nowhere"}},
		{"report of an empty folder", "_archive.json", []string{"report", "--data", none}},
		{"report of a file", "a file stands", []string{"report", "--data", file}},
		{"report to a webhook that is a folder", "a folder stands", []string{"report", "--data", data, "--webhook-file", none}},
		{"a replay that is a folder", "directory", []string{"simulate", "--replay", none}},
		{"a replay without an event", "none of its lines", []string{"simulate", "--replay", file}},
		{"a URL file that is empty", "is empty", []string{"run", "--window", "5m", "--redis-url-file", empty}},
		{"a password file that is empty", "is empty", []string{"run", "--window", "5m", "--redis-password-file", empty}},
		{"a URL file that is a folder", "a folder stands", []string{"run", "--window", "5m", "--redis-url-file", none}},
		{"a result that is a folder", "directory", []string{"simulate", "--count", "1", "--output", none}},
		{"the health of a file", "http://", []string{"health", file}},
		{"an Alertmanager that is a file", "address", []string{"ack", "--alertmanager-url", file}},
	} {
		t.Run(c.name, func(t *testing.T) {
			environ := []string{"DATAWRITER_REDIS_URL=" + streamtest.Start(t).URL()}
			if r := run(t, environ, c.args...); r.code != exitUsage || !strings.Contains(r.stderr, c.says) {
				t.Errorf("exit %d, want 2 and %q\n%s%s", r.code, c.says, r.stdout, r.stderr)
			}
		})
	}
	for _, folder := range []string{none, other} {
		if left, _ := os.ReadDir(folder); len(left) > 0 && left[0].Name() != "a.parquet" || len(left) > 1 {
			t.Errorf("%s holds %v now", folder, left)
		}
	}
}

func TestAWindowThatIsAMistakeIsExit2(t *testing.T) {
	server := streamtest.Start(t)
	for _, window := range []string{"2062-11-23T10:05:00Z/5m", "1999-11-23T10:05:00Z/5m"} {
		r := run(t, []string{"DATAWRITER_REDIS_URL=" + server.URL(), "DATAWRITER_WAIT=1s"}, "run", "--window", window)
		refused(t, r, "the window is a mistake")
	}
}
