package logs

import "golang.org/x/sys/unix"

// giveName gives a file another name, which no file has yet.
func giveName(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err == unix.EINVAL || err == unix.ENOSYS { // some file systems cannot do it at once
		return linkName(from, to)
	}
	return err
}
