package dirtree

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// Info says what something in a directory is like. It implements [fs.FileInfo].
type Info struct {
	name string
	stat unix.Stat_t
}

var _ fs.FileInfo = Info{}

// Name implements [fs.FileInfo].
func (i Info) Name() string { return i.name }

// Size implements [fs.FileInfo].
func (i Info) Size() int64 { return i.stat.Size }

// ModTime implements [fs.FileInfo].
func (i Info) ModTime() time.Time { return time.Unix(i.stat.Mtim.Unix()) }

// IsDir implements [fs.FileInfo].
func (i Info) IsDir() bool { return i.Mode().IsDir() }

// Sys implements [fs.FileInfo].
func (i Info) Sys() any { return nil }

// IsLink reports whether it is a symbolic link.
func (i Info) IsLink() bool { return i.Mode()&fs.ModeSymlink != 0 }

// Owner returns the user that it belongs to.
func (i Info) Owner() int { return int(i.stat.Uid) }

// Links returns how many names it has.
func (i Info) Links() uint64 { return uint64(i.stat.Nlink) } //nolint:unconvert // it has another type elsewhere

// ID is what tells a file from all others of its file system.
func (i Info) ID() uint64 { return i.stat.Ino }

var kinds = map[uint32]fs.FileMode{
	unix.S_IFREG: 0, unix.S_IFDIR: fs.ModeDir, unix.S_IFLNK: fs.ModeSymlink, unix.S_IFIFO: fs.ModeNamedPipe, unix.S_IFSOCK: fs.ModeSocket,
	unix.S_IFCHR: fs.ModeDevice | fs.ModeCharDevice, unix.S_IFBLK: fs.ModeDevice,
}

// Mode implements [fs.FileInfo].
func (i Info) Mode() fs.FileMode {
	bits := uint32(i.stat.Mode) //nolint:unconvert // it has another type elsewhere
	kind, known := kinds[bits&unix.S_IFMT]
	if !known {
		kind = fs.ModeIrregular
	}
	mode := fs.FileMode(bits&0o777) | kind
	for bit, flag := range map[uint32]fs.FileMode{unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky} {
		if bits&bit != 0 {
			mode |= flag
		}
	}
	return mode
}
