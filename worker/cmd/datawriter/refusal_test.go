package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/stream/streamtest"
)

// refused runs the drain of the test window and wants it to end at once, with exit
// 2 and a sentence that says what to do.
func refused(t *testing.T, r result, says string) {
	t.Helper()
	doc := document(t, r.stdout)
	if r.code != exitUsage || doc.Class != "configuration" || !strings.Contains(doc.Error, says) {
		t.Errorf("exit %d, class %s, %q; want 2, configuration and %q", r.code, doc.Class, doc.Error, says)
	}
	for _, w := range doc.Windows {
		if w.Attempts > 1 {
			t.Errorf("it tried %d times", w.Attempts)
		}
	}
}

func TestAFolderThatNoRetryMendsIsExit2(t *testing.T) {
	const hour = "2026/11/23/10"
	server := streamtest.Start(t)
	file := func(path string) func(t *testing.T, data string) {
		return func(t *testing.T, data string) { write(t, filepath.Join(data, path)) }
	}
	for _, c := range []struct {
		name, says string
		prepare    func(t *testing.T, data string)
		environ    []string
	}{
		{name: "a file where the data folder should be", says: "move it away", prepare: func(t *testing.T, data string) { write(t, data) }},
		{name: "a link to nowhere", says: "move it away", prepare: func(t *testing.T, data string) {
			if err := os.Symlink(data+"-nowhere", data); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "a file where temporary files belong", says: "move it away", prepare: file("_tmp")},
		{name: "a file where the state belongs", says: "move it away", prepare: file("_state")},
		{name: "a file where the run log belongs", says: "move it away", prepare: file("_state/runs")},
		{name: "a file where the accounts belong", says: "move it away", prepare: file("_state/account")},
		{name: "a file where the year belongs", says: "move it away", prepare: file("2026")},
		{name: "a file where the kind belongs", says: "move it away", prepare: file(hour + "/likes")},
		{name: "a file where the rejects belong", says: "move it away", prepare: file("_rejected")},
		{name: "a folder where the archive's shape belongs", says: "a folder stands", prepare: file("_archive.json/x")},
		{name: "a file system that becomes read-only at the first file", says: "mount it writable", environ: atFault("archive.staged=EROFS")},
		{name: "a file system that becomes read-only at a part", says: "mount it writable", environ: atFault("part.staged=EROFS")},
		{name: "a file system that becomes read-only at a name", says: "mount it writable", environ: atFault("part.linked=EROFS")},
		{name: "a folder that may not be written", says: "chown", environ: atFault("part.linked=EACCES")},
		{name: "rejects that may not be written", says: "chown", environ: atFault("rejects.staged=EACCES")},
	} {
		t.Run(c.name, func(t *testing.T) {
			refill(t, server)
			data := filepath.Join(t.TempDir(), "data")
			if c.prepare != nil {
				c.prepare(t, data)
			}
			r := run(t, append(c.environ, "DATAWRITER_REDIS_URL="+server.URL()), "run", "--window", testWindow, "--data", data, "--log-level", "error")
			if r.stdout == "" { // before there could be a document
				r.stdout = fmt.Sprintf(`{"class": "configuration", "error": %q}`, r.stderr)
			}
			refused(t, r, c.says)
			if c.environ == nil {
				return
			}
			if r := run(t, []string{"DATAWRITER_REDIS_URL=" + server.URL()}, "run", "--window", testWindow, "--data", data); r.code != exitOK {
				t.Fatalf("once it is mended: exit %d\n%s", r.code, r.stderr)
			}
			checkOnce(t, server, data, 3)
		})
	}
}

// refill makes the server one that nobody has drained.
func refill(t *testing.T, server *streamtest.Server) {
	t.Helper()
	if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	fill(t, server, 3)
}

func atFault(spec string) []string { return []string{faultVariable + "=" + spec} }

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADiskThatMayRecoverIsExit75(t *testing.T) {
	server := streamtest.Start(t)
	for _, c := range []struct{ fault, says string }{
		{"part.written=ENOSPC", "free space"},
		{"part.synced=EIO", "kernel's log"},
		{"archive.staged=EDQUOT", "quota"},
	} {
		refill(t, server)
		data := filepath.Join(t.TempDir(), "data")
		r := run(t, append(atFault(c.fault), "DATAWRITER_REDIS_URL="+server.URL(), "DATAWRITER_ATTEMPTS=1"), "run", "--window", testWindow, "--data", data)
		if doc := document(t, r.stdout); r.code != exitUnavailable || doc.Class != "unavailable" || !strings.Contains(doc.Error, c.says) {
			t.Errorf("%s: exit %d, class %s, %q; want 75 and %q", c.fault, r.code, doc.Class, doc.Error, c.says)
		}
	}
}

// A folder that belongs to somebody else, for a user that is not root.
func TestAFolderOfSomebodyElseIsExit2(t *testing.T) {
	server := streamtest.Start(t)
	for name, lock := range map[string]string{"the data folder": ".", "its state": "_state", "a folder of it": "2026"} {
		t.Run(name, func(t *testing.T) {
			refill(t, server)
			root := t.TempDir()
			data := filepath.Join(root, "data")
			for _, folder := range []string{"_tmp", "_state", "2026"} {
				if err := os.MkdirAll(filepath.Join(data, folder), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			c := asNobody(t, "run", "--window", testWindow, "--data", data, "--redis-url", server.URL(), "--log-level", "error")
			for _, folder := range []string{root, data, filepath.Join(data, "_tmp"), filepath.Join(data, "_state"), filepath.Join(data, "2026")} {
				if err := os.Chmod(folder, 0o777); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(filepath.Join(data, lock), 0o555); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(filepath.Join(data, lock), 0o755) })
			var out, errs strings.Builder
			c.Stdout, c.Stderr = &out, &errs
			_ = c.Run()
			if c.ProcessState.ExitCode() != exitUsage || !strings.Contains(out.String()+errs.String(), "chown") {
				t.Errorf("exit %d, want 2 and what to do\n%s%s", c.ProcessState.ExitCode(), &out, &errs)
			}
		})
	}
}

// asNobody is the program as a user for whom permissions hold.
func asNobody(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := command(t, nil, args...)
	if os.Getuid() != 0 {
		return c
	}
	text, err := os.ReadFile(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "datawriter-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	c.Path = filepath.Join(folder, "program")
	if err := os.WriteFile(c.Path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, open := range []string{folder, filepath.Dir(c.Dir), c.Dir} {
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	return c
}

// TestConnectionsThatNoRetryMendsAreExit2 is what a person sees of the table of
// package stream: the code, the class, one attempt and the sentence.
func TestConnectionsThatNoRetryMendsAreExit2(t *testing.T) {
	const secret = "geheim"
	authority := streamtest.NewAuthority(t)
	cert, key := authority.Certificate("127.0.0.1", time.Now().Add(time.Hour))
	strict := streamtest.StartTLS(t, authority, cert, key, "yes")
	plain := streamtest.Start(t)
	master := streamtest.Start(t)
	replica := streamtest.Start(t, "--replicaof", fmt.Sprint("127.0.0.1 ", master.Port), "--repl-diskless-sync-delay", "0")
	waitFor(t, func() bool {
		return strings.Contains(replica.Client().Info(t.Context(), "replication").Val(), "master_link_status:up")
	})
	for _, c := range []struct{ name, url, says string }{
		{"a password that nobody asked for", strings.Replace(plain.URL(), "//", "//:"+secret+"@", 1), "it has no password"},
		{"a database that does not exist", strings.Replace(plain.URL(), "/0", "/99", 1), "does not exist"},
		{"TLS to a port without it", strings.Replace(plain.URL(), "redis", "rediss", 1), "redis:// instead"},
		{"no TLS to a port with it", strings.Replace(strict.TLSURL(), "rediss", "redis", 1), "rediss:// instead"},
		{"an authority that nobody knows", strict.TLSURL(), "--redis-ca-file"},
		{"no certificate", strict.TLSURL() + "?skip_verify=true", "--redis-cert-file"},
		{"a replica", replica.URL(), fmt.Sprint("127.0.0.1:", master.Port)},
		{"XGROUP renamed", streamtest.Start(t, "--rename-command", "XGROUP", "").URL(), "rename-command"},
		{"a URL in quotes", `"` + plain.URL() + `"`, "quotes"},
		{"a password that is not encoded", "redis://:" + secret + "#x@127.0.0.1:1/0", "%23"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, []string{"DATAWRITER_REDIS_URL=" + c.url}, "run", "--window", testWindow, "--log-level", "error")
			if strings.Contains(r.stdout+r.stderr, secret) {
				t.Errorf("the password stands in\n%s%s", r.stdout, r.stderr)
			}
			if r.stdout == "" {
				r.stdout = fmt.Sprintf(`{"class": "configuration", "error": %q}`, r.stderr)
			}
			refused(t, r, c.says)
		})
	}
}

// A failover must not turn a run red for what the next minute mends: the server that
// was drained before, and is a replica now, is worth another try.
func TestAFailoverIsWorthAnotherTry(t *testing.T) {
	first, second := streamtest.Start(t), streamtest.Start(t)
	fill(t, first, 3)
	data := filepath.Join(t.TempDir(), "data")
	environ := []string{"DATAWRITER_REDIS_URL=" + first.URL(), "DATAWRITER_DATA=" + data}
	if r := run(t, environ, "run", "--window", testWindow); r.code != exitOK {
		t.Fatalf("exit %d\n%s", r.code, r.stderr)
	}
	follow := func(s, master *streamtest.Server) {
		if err := s.Client().ReplicaOf(t.Context(), "127.0.0.1", fmt.Sprint(master.Port)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	follow(first, second)
	const next = "2026-11-23T10:10:00Z/5m"
	if r := run(t, environ, "run", "--window", next); r.code != exitUnavailable || !strings.Contains(r.stdout, fmt.Sprint("127.0.0.1:", second.Port)) {
		t.Errorf("as a replica: exit %d, want 75 and the new master\n%s", r.code, r.stdout)
	}
	if err := first.Client().ReplicaOf(t.Context(), "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	if r := run(t, environ, "run", "--window", next); r.code != exitOK {
		t.Errorf("once the address leads to a master: exit %d\n%s", r.code, r.stdout)
	}
}

func TestEveryCommandShowsItsCertificate(t *testing.T) {
	authority := streamtest.NewAuthority(t)
	cert, key := authority.Certificate("127.0.0.1", time.Now().Add(time.Hour))
	server := streamtest.StartTLS(t, authority, cert, key, "yes")
	data := filepath.Join(t.TempDir(), "data")
	environ := []string{
		"DATAWRITER_REDIS_URL=" + server.TLSURL(), "DATAWRITER_REDIS_CA_FILE=" + authority.CA,
		"DATAWRITER_REDIS_CERT_FILE=" + cert, "DATAWRITER_REDIS_KEY_FILE=" + key, "DATAWRITER_DATA=" + data,
	}
	for _, c := range []struct {
		says string
		args []string
	}{
		{`"added":100`, []string{"simulate", "--count", "100"}},
		{`"status":"drained"`, []string{"run", "--window", testWindow}},
		{`"status":"kept"`, []string{"verify", "--against-redis", "--output", "json"}},
		{"against profile", []string{"audit"}},
		{"it answers", []string{"doctor", "--prefect-url", "", "--exporter-url", "", "--host", ""}},
	} {
		if r := run(t, environ, c.args...); !strings.Contains(r.stdout, c.says) || strings.Contains(r.stdout+r.stderr, "certificate") {
			t.Errorf("%s: exit %d\n%s%s", c.args[0], r.code, r.stdout, r.stderr)
		}
	}
	for name, c := range map[string]struct{ page, says string }{
		"exporter": {"/metrics", `datawriter_source_up{source="redis"} 1`},
		"ingest":   {"/metrics", `datawriter_ingest_state{state="connecting"} 1`},
	} {
		address := fmt.Sprintf("127.0.0.1:%d", streamtest.FreePort(t))
		process := command(t, append(environ, "DATAWRITER_HOST=ws://127.0.0.1:1"), name, "--listen", address)
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return strings.Contains(get("http://"+address+c.page), c.says) })
		_ = process.Process.Kill()
		_ = process.Wait()
	}
}

func get(url string) string {
	answer, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}
