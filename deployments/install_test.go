package deployments_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// everything is what a machine has that lacks nothing.
var everything = []string{"gcc", "curl", "redis-server", "redis-cli", "prometheus", "promtool", "prometheus-alertmanager", "amtool", "prometheus-redis-exporter", "npm"}

const allPackages = "gcc libc6-dev curl redis-server redis-tools prometheus prometheus-alertmanager prometheus-redis-exporter npm"

func but(missing ...string) []string {
	return slices.DeleteFunc(slices.Clone(everything), func(name string) bool { return slices.Contains(missing, name) })
}

func TestWhatTheTestsRunIsInstalled(t *testing.T) {
	for _, row := range []struct {
		name      string
		has       []string          // programs that do nothing
		scripts   map[string]string // programs that do this; on each machine but those that say otherwise, root and apt-get
		installed string            // packages
		disabled  string            // services
		refusal   string            // a pattern of the one line that it ends with
	}{
		{name: "where nothing is missing nothing is done", has: everything},
		{name: "a bare Debian gets everything", installed: allPackages},
		{name: "what bears the name of its project is not missing",
			has: []string{"gcc", "curl", "valkey-server", "redis-cli", "prometheus", "promtool", "alertmanager", "amtool", "redis_exporter", "npm"}},
		{name: "a compiler without the headers of the C library is missing", has: but("gcc"), scripts: map[string]string{"gcc": "exit 1"}, installed: "gcc libc6-dev"},
		{name: "one program of the two in a package is missing", has: but("promtool"), installed: "prometheus"},
		{name: "the service of a new package stays down, one that was there is left alone", has: but("curl", "prometheus-alertmanager"),
			scripts: map[string]string{"systemctl": ""}, installed: "curl prometheus-alertmanager", disabled: "prometheus-alertmanager"},
		{name: "who is not root is told what to type", has: but("curl", "npm"), scripts: map[string]string{"id": "echo 1000"},
			refusal: `The tests need curl, npm, which .* only root .*: sudo apt-get install --no-install-recommends curl npm`},
		{name: "who has another system is told what is missing", has: but("amtool"), scripts: map[string]string{"apt-get": "-"},
			refusal: `The tests need amtool, which .* releases of their projects\.`},
		{name: "a package that cannot be had is named", has: but("gcc"), scripts: map[string]string{"apt-get": `[ "${@: -1}" = update ]`}, installed: "gcc libc6-dev",
			refusal: `apt-get could not install .*: gcc libc6-dev`},
		{name: "a mirror that does not answer is seen before anything is installed", has: but("gcc"), scripts: map[string]string{"apt-get": `exit 100`},
			refusal: `apt-get could not install .*: gcc libc6-dev`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			scripts := map[string]string{"apt-get": "", "id": "echo 0"}
			maps.Copy(scripts, row.scripts)
			m := newMachine(t, row.has, scripts)
			code, _, said := m.run("tools.sh")
			if (code != 0) != (row.refusal != "") || !regexp.MustCompile(`^(`+row.refusal+`\n)?$`).MatchString(said) {
				t.Errorf("exit %d, %q", code, said)
			}
			if got := m.called(`apt-get .* install -y --no-install-recommends (.*)`); got != row.installed {
				t.Errorf("installed %q, want %q", got, row.installed)
			}
			if got := m.called(`systemctl disable --quiet --now (.*)`); got != row.disabled {
				t.Errorf("disabled %q, want %q", got, row.disabled)
			}
		})
	}
}

// machine has on its PATH what a test says, and beside that only what scripts take
// for granted.
type machine struct {
	t   *testing.T
	bin string
}

// newMachine makes programs that do nothing, and those that do what their scripts
// say; where that is "-" there is none.
func newMachine(t *testing.T, has []string, scripts map[string]string) machine {
	t.Helper()
	m := machine{t, t.TempDir()}
	for _, name := range []string{"bash", "env", "dirname", "date", "mktemp", "rm", "tee", "tail", "grep", "awk"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(m.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range has {
		scripts[name] = ""
	}
	for name, does := range scripts {
		if does == "-" {
			continue
		}
		script := "#!/bin/bash\necho \"${0##*/} $*\" >> " + filepath.Join(m.bin, "calls") + "\n" + does + "\n"
		if err := os.WriteFile(filepath.Join(m.bin, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// run returns the exit code of a script, and what it said on standard output and
// standard error.
func (m machine) run(script string) (code int, said, complained string) {
	m.t.Helper()
	var out, err bytes.Buffer
	cmd := exec.CommandContext(m.t.Context(), filepath.Join(m.bin, "bash"), script)
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{"PATH=" + m.bin}, &out, &err
	if failed := cmd.Run(); cmd.ProcessState == nil {
		m.t.Fatal(failed)
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

// called returns what the pattern found in the calls of programs, line by line.
func (m machine) called(pattern string) string {
	m.t.Helper()
	calls, err := os.ReadFile(filepath.Join(m.bin, "calls"))
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	var found []string
	for _, match := range regexp.MustCompile(`(?m)^`+pattern+`$`).FindAllStringSubmatch(string(calls), -1) {
		found = append(found, match[1])
	}
	return strings.Join(found, "\n")
}

// runMake runs make in the root and returns its exit code and all that it said.
func runMake(t *testing.T, args ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "make", append([]string{"-C", "..", "--no-print-directory"}, args...)...)
	for _, variable := range os.Environ() { // of a make that runs this test
		if name, _, _ := strings.Cut(variable, "="); !slices.Contains([]string{"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}, name) {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// A newcomer who types `make test` hears of a missing program before the first
// test runs, not after it.
func TestTheFirstTestComesAfterTheLastInstallation(t *testing.T) {
	// As on a machine that has never seen the project; -B makes everything, -n only says what.
	code, said := runMake(t, "-n", "-B", "test")
	if code != 0 {
		t.Fatal(said)
	}
	first := regexp.MustCompile(`go vet|go test|-m pytest|bin/datawriter validate`).FindStringIndex(said)
	last := regexp.MustCompile(`(?s).*(tools\.sh|find-server\.sh|pip install|go mod download|check\.sh|go build -modfile)`).FindStringIndex(said)
	if first == nil || last == nil || first[0] < last[1] {
		t.Errorf("something is installed after the first test:\n%s", said)
	}
	if installs := regexp.MustCompile(`tools\.sh|pip install|go mod download|check\.sh|go build -modfile`).FindString(said); installs != "tools.sh" {
		t.Errorf("%s comes before tools.sh, which may refuse", installs)
	}
}

func TestMakeSaysWhatItLacks(t *testing.T) {
	python3, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	python := func(does string) string {
		return "PYTHON=" + filepath.Join(newMachine(t, nil, map[string]string{"python": does}).bin, "python")
	}
	for _, row := range []struct{ name, target, setting, want string }{
		{"no Go", "build", "GO=no-such-go", `Go 1\.26 or newer is needed, and there is no no-such-go on the PATH: https://go\.dev/dl`},
		{"no Python", "venv", "PYTHON=no-such-python", `Python 3\.11 or newer is needed, and there is no no-such-python on the PATH`},
		{"an old Python", "engines", python(`exec ` + python3 + ` -c "import sys; sys.version_info, sys.version = (3, 9, 2), '3.9.2 (main)'; exec(sys.argv[1])" "$2"`), `Python 3\.11 or newer is needed, this is 3\.9\.2`},
		{"a Python without venv", "redis", python(`[ "$2" != "import ensurepip" ]`), `python makes no virtual environments: install the package python3-venv`},
	} {
		t.Run(row.name, func(t *testing.T) {
			// -B: as if it had never been made; the refusal comes before anything is.
			code, said := runMake(t, "-B", row.target, row.setting)
			if line, _, _ := strings.Cut(said, "\n"); code == 0 || !regexp.MustCompile(row.want).MatchString(line) {
				t.Errorf("exit %d: %s", code, said)
			}
		})
	}
}

// `make up` may have found no Redis, and `make test` installed one.
func TestTheRedisOfLastTimeIsNotTakenForGranted(t *testing.T) {
	cache := t.TempDir()
	found := filepath.Join(cache, "redis-server")
	write(t, found, "/gone/valkey-server\n")
	if code, said := runMake(t, "redis", "CACHE="+cache, "REDIS_SERVER=/usr/local/bin/another"); code != 0 {
		t.Fatal(said)
	}
	if path := read(t, found); path != "/usr/local/bin/another\n" {
		t.Errorf("the tests would use %s", path)
	}
}

// What ends last is chance, so the script says itself what ran, or what failed.
func TestTheContinuousIntegrationEndsWithWhatRan(t *testing.T) {
	for _, row := range []struct{ name, made, want string }{
		{"all passed", "echo 'ok  \tdatawriter/a\t1s'; echo '11 passed in 9s'; echo 'ok  \tdatawriter/b\t2s'; echo '59 passed, 2 warnings in 3s'; echo '?  \tdatawriter/c'",
			"packages: 2 passed, 0 failed\ntests: 70 passed, 0 failed\n"},
		{"a test failed far above", "echo '--- FAIL: TestA (1s)'; for i in {1..99}; do echo line; done; echo 'ok  \tdatawriter/b\t2s'; exit 2",
			"What failed:\n--- FAIL: TestA (1s)\n"},
		{"something else failed", "echo 'no space left'; exit 2", "What failed:\nno space left\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := newMachine(t, nil, map[string]string{"make": row.made})
			code, said, complained := m.run("../.ci/run")
			if (code != 0) != strings.Contains(row.made, "exit 2") || !strings.HasSuffix(said, row.want) {
				t.Errorf("exit %d: %s%s", code, said, complained)
			}
		})
	}
}
