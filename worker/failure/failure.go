// Package failure knows what errors of the operating system and of the network
// mean: whether the same call may succeed later, and what a person can do where
// it will not.
//
// It knows no Redis, no archive and no exit code; those who call a file system or
// a network ask it.
package failure

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// passing lists the errors after which the same call may succeed later, without
// anybody changing a setting.
var passing = []error{
	// The other side is away, or the way to it is.
	syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT, syscall.ENOTCONN,
	syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ENETRESET,
	io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, os.ErrDeadlineExceeded, context.DeadlineExceeded,
	// Something is used up.
	syscall.ENOSPC, syscall.EDQUOT, syscall.ENOMEM, syscall.ENOBUFS, syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL,
	// The disk, or a file system on the network, may answer another time.
	syscall.EIO, syscall.ESTALE, syscall.EBUSY, syscall.EAGAIN, syscall.EINTR, syscall.ENOLCK,
	// What was there a moment ago is gone, or what is about to come is not there yet.
	fs.ErrNotExist,
}

// Passing reports whether the same call may succeed later. A host name that is
// not known passes too: where containers resolve each other, the name of one that
// is down is unknown until it is up again.
func Passing(err error) bool {
	for _, p := range passing {
		if errors.Is(err, p) {
			return true
		}
	}
	var unresolved *net.DNSError
	var slow interface{ Timeout() bool }
	return errors.As(err, &unresolved) || errors.As(err, &slow) && slow.Timeout()
}

// NeedsHardLinks is what to do where a hard link cannot be made. The kernel has
// several answers for that, and one of them is also that of a missing permission.
const NeedsHardLinks = "use a file system that has hard links (ext4, xfs, btrfs; not FAT, nor many network folders)"

// remedies lists what to do where a person must, one sentence an error.
var remedies = []struct {
	errors []error
	says   string
}{
	{[]error{syscall.EROFS}, "the file system is read-only: mount it writable, or choose another folder"},
	{[]error{fs.ErrPermission}, "give it to the user that runs this (chown, chmod), or choose another place"},
	{[]error{syscall.ENOTDIR, syscall.EEXIST}, "a file stands where a folder should be: move it away, or choose another folder"},
	{[]error{syscall.EISDIR}, "a folder stands where a file should be: move it away, or choose another place"},
	{[]error{syscall.EXDEV}, "put the whole folder on one file system: files get their name by a hard link"},
	{[]error{syscall.ENOTSUP, syscall.ENOSYS}, NeedsHardLinks},
	{[]error{syscall.ENAMETOOLONG, syscall.ELOOP}, "choose a folder with a shorter path, without symbolic links that lead to each other"},
	{[]error{syscall.ENOSPC, syscall.EDQUOT}, "free space, or raise the quota"},
	{[]error{syscall.EIO}, "look at the kernel's log: the disk fails"},
	{[]error{syscall.EMFILE, syscall.ENFILE}, "raise the limit of open files (ulimit -n)"},
}

// Remedy returns what a person can do about the error, or nothing.
func Remedy(err error) string {
	for _, r := range remedies {
		for _, e := range r.errors {
			if errors.Is(err, e) {
				return r.says
			}
		}
	}
	return ""
}

// Explained returns the error with its remedy, where there is one, in the sentence,
// once.
func Explained(err error) error {
	says := Remedy(err)
	if known := (*explained)(nil); says == "" || errors.As(err, &known) {
		return err
	}
	return &explained{err, says}
}

type explained struct {
	error
	says string
}

func (e *explained) Error() string { return e.error.Error() + ": " + e.says }

func (e *explained) Unwrap() error { return e.error }
