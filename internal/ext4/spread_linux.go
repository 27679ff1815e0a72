// Package ext4 knows what helps this file system of Linux. On others it does nothing.
package ext4

import (
	"os"

	"golang.org/x/sys/unix"
)

// Spread says that what is in one directory below dir has nothing to do with what is in another, as chattr +T does. Then each new directory,
// with what is in it, gets inodes from a part of the disk of its own. From one part for all, ext4 without a journal takes the longer to give an
// inode the more were given back in the last minutes.
func Spread(dir string) {
	const topDirectory = 0x20000 // FS_TOPDIR_FL of linux/fs.h
	f, err := os.Open(dir)
	if err != nil {
		return // whoever uses the directory sees why
	}
	defer f.Close()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil && flags&topDirectory == 0 {
		_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags|topDirectory))
	}
}
