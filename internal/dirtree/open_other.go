//go:build !linux

package dirtree

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// openBelow opens what a path below a directory leads to, through no link, and, if sameMount is set, through no mount.
func openBelow(dir int, name string, flags int, mode uint32, sameMount bool) (fd int, err error) {
	if path.IsAbs(name) || strings.Contains(name, "\x00") {
		return -1, unix.EINVAL
	}
	return openStepwise(dir, name, flags, mode, unix.O_RDONLY, sameMount)
}

// chmodAt sets the mode of what has a name in a directory.
func chmodAt(dir int, name string, mode uint32) error {
	return unix.Fchmodat(dir, name, mode, unix.AT_SYMLINK_NOFOLLOW)
}

// chownSame gives what has a name in a directory to a user and a group.
func chownSame(dir int, name string, _ unix.Stat_t, user, group int) error {
	return unix.Fchownat(dir, name, user, group, unix.AT_SYMLINK_NOFOLLOW)
}
