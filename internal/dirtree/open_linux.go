package dirtree

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// noOpenat2 is set when the kernel has no openat2 (before Linux 5.6), or a filter of system calls does not know it.
var noOpenat2 atomic.Bool

// openBelow opens what a path below a directory leads to, through no link, and, if sameMount is set, through no mount.
func openBelow(dir int, name string, flags int, mode uint32, sameMount bool) (fd int, err error) {
	if path.IsAbs(name) || strings.Contains(name, "\x00") {
		return -1, unix.EINVAL
	}
	how := unix.OpenHow{
		Flags: uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&unix.O_CREAT != 0 {
		how.Mode = uint64(mode)
	}
	if sameMount {
		how.Resolve |= unix.RESOLVE_NO_XDEV
	}
	if !noOpenat2.Load() {
		for {
			fd, err = unix.Openat2(dir, name, &how)
			if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
				break
			}
		}
		if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) {
			return fd, err
		}
		noOpenat2.Store(errors.Is(err, unix.ENOSYS))
	}
	return openStepwise(dir, name, flags, mode, unix.O_PATH, sameMount)
}

// chmodAt sets the mode of what has a name in a directory. A handle that gives no rights leads to it, since a path could lead elsewhere.
func chmodAt(dir int, name string, mode uint32) error {
	fd, err := openBelow(dir, name, unix.O_PATH, 0, false)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.ELOOP
	}
	return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode)
}

// chownSame gives what has a name in a directory to a user and a group, if it is still what it was.
func chownSame(dir int, name string, was unix.Stat_t, user, group int) error {
	fd, err := openBelow(dir, name, unix.O_PATH, 0, false)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var is unix.Stat_t
	if err := unix.Fstat(fd, &is); err != nil {
		return err
	}
	if is.Ino != was.Ino || is.Dev != was.Dev {
		return unix.ESTALE
	}
	return unix.Fchownat(fd, "", user, group, unix.AT_EMPTY_PATH)
}
