package failure_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"datawriter/worker/failure"
)

func TestWhatPassesAndWhatAPersonMustMend(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		passes bool
		remedy string
	}{
		{"nobody listens", syscall.ECONNREFUSED, true, ""},
		{"the connection was cut", syscall.ECONNRESET, true, ""},
		{"the other side ended", io.EOF, true, ""},
		{"a reply was cut short", io.ErrUnexpectedEOF, true, ""},
		{"no answer in time", context.DeadlineExceeded, true, ""},
		{"no answer in time, says the network", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, true, ""},
		{"the name is not known", &net.DNSError{Err: "no such host", Name: "redis", IsNotFound: true}, true, ""},
		{"no way to the host", syscall.EHOSTUNREACH, true, ""},
		{"the disk is full", syscall.ENOSPC, true, "free space"},
		{"the quota is used up", syscall.EDQUOT, true, "quota"},
		{"the disk fails", syscall.EIO, true, "kernel's log"},
		{"a file on the network is stale", syscall.ESTALE, true, ""},
		{"too many files are open", syscall.EMFILE, true, "ulimit"},
		{"a file went away meanwhile", os.ErrNotExist, true, ""},
		{"the file system is read-only", syscall.EROFS, false, "mount it writable"},
		{"no permission", syscall.EACCES, false, "chown"},
		{"not even for root", syscall.EPERM, false, "chown"},
		{"a file stands where a folder should be", syscall.ENOTDIR, false, "move it away"},
		{"a folder stands where a file should be", syscall.EISDIR, false, "move it away"},
		{"two file systems", syscall.EXDEV, false, "one file system"},
		{"no hard links", syscall.ENOTSUP, false, "ext4"},
		{"a path that is too long", syscall.ENAMETOOLONG, false, "shorter"},
		{"links that lead to each other", syscall.ELOOP, false, "symbolic links"},
		{"an address that is none", &net.AddrError{Err: "invalid port", Addr: "99999"}, false, ""},
		{"anything else", errors.New("?"), false, ""},
	} {
		wrapped := fmt.Errorf("work: %w", &os.PathError{Op: "open", Path: "x", Err: c.err})
		if got := failure.Passing(wrapped); got != c.passes {
			t.Errorf("%s: passes %v, want %v", c.name, got, c.passes)
		}
		explained := failure.Explained(wrapped)
		if !strings.Contains(explained.Error(), c.remedy) || !errors.Is(explained, c.err) || (c.remedy == "") != (failure.Remedy(wrapped) == "") {
			t.Errorf("%s: %q, want %q in it", c.name, explained, c.remedy)
		}
		if again := failure.Explained(explained); again.Error() != explained.Error() {
			t.Errorf("%s: it is said twice: %q", c.name, again)
		}
	}
}

// The kernel's own answers, not ours: what a table calls an error must be what comes.
func TestRealErrorsAreKnown(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, refused := net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
	_, absent := net.DialTimeout("unix", filepath.Join(folder, "socket"), time.Second)
	_, port := net.DialTimeout("tcp", "127.0.0.1:99999", time.Second)
	_, below := os.Create(filepath.Join(file, "x"))
	_, gone := os.Open(filepath.Join(folder, "gone"))
	for name, c := range map[string]struct {
		err    error
		passes bool
	}{
		"nobody listens": {refused, true}, "no socket yet": {absent, true}, "no such port": {port, false},
		"below a file": {below, false}, "a folder for a file": {os.WriteFile(folder, nil, 0o600), false}, "gone": {gone, true},
	} {
		if c.err == nil || failure.Passing(c.err) != c.passes {
			t.Errorf("%s: %v passes %v, want %v", name, c.err, failure.Passing(c.err), c.passes)
		}
	}
}
