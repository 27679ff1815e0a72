package dirtree

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// openStepwise opens a path one directory after the other, where the kernel cannot be told to go through no link. The directories on
// the way are opened with the flags for the way.
func openStepwise(dir int, name string, flags int, mode uint32, way int, sameMount bool) (int, error) {
	parts := strings.Split(path.Clean(name), "/")
	at := dir
	leave := func() {
		if at != dir {
			unix.Close(at)
		}
	}
	for i, part := range parts {
		if part == ".." {
			leave()
			return -1, unix.EXDEV
		}
		now := flags
		if i < len(parts)-1 {
			now = way | unix.O_DIRECTORY
		}
		var next int
		err := retried(func() (err error) {
			next, err = unix.Openat(at, part, now|unix.O_CLOEXEC|unix.O_NOFOLLOW, mode)
			return err
		})
		if err == nil && sameMount && !sameDevice(at, next) {
			unix.Close(next)
			err = unix.EXDEV
		}
		leave()
		if err != nil {
			return -1, err
		}
		at = next
	}
	return at, nil
}

func sameDevice(a, b int) bool {
	var one, other unix.Stat_t
	return unix.Fstat(a, &one) == nil && unix.Fstat(b, &other) == nil && one.Dev == other.Dev
}
