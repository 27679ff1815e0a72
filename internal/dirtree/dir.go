// Package dirtree works in directories that strangers have written to, and may be writing to at the same time.
//
// It goes by handles: a directory is opened once, and what is in it is reached by its name in that directory, or by a path that
// is resolved below the directory and refuses every symbolic link. So nobody can lead it anywhere else by putting a link, or
// another directory, in the way. The number of handles that are open at a time is bounded, however deep a tree is, and so is the
// memory. A stranger may hand in anything: directories that nobody may read, pipes, devices, files of others.
//
// [Dir] is a directory, [Dir.Walk] visits what is below it, [Dir.MoveInto] merges it into another one, and [Trash] removes trees.
package dirtree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is an open directory. Its methods take names of what is in it, except where they say that they take a path. None of them
// follows a link. Several goroutines may use it, unless they list it.
type Dir struct{ file *os.File }

// Open opens a directory by a path that no stranger can change. The last part of it must not be a link.
func Open(path string) (*Dir, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	return &Dir{file}, nil
}

// Of opens the directory of a root once more.
func Of(root *os.Root) (*Dir, error) {
	file, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	return &Dir{file}, nil
}

// Name returns the path by which the directory was opened; it may have another one by now.
func (d *Dir) Name() string { return d.file.Name() }

// Close closes the handle.
func (d *Dir) Close() error { return d.file.Close() }

func (d *Dir) fd() int { return int(d.file.Fd()) }

// failed adds to an error of the kernel what was to be done and with what.
func (d *Dir) failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path.Join(d.file.Name(), name), Err: err}
}

// OpenDir opens a directory below this one by its path.
func (d *Dir) OpenDir(path string) (*Dir, error) {
	file, err := d.open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Dir{file}, nil
}

// OpenFile opens what a path leads to, as [os.OpenFile] does. It does not wait for the other end of a pipe.
func (d *Dir) OpenFile(path string, flags int, perm fs.FileMode) (*os.File, error) {
	return d.open(path, flags|unix.O_NONBLOCK|unix.O_NOCTTY, perm)
}

func (d *Dir) open(name string, flags int, perm fs.FileMode) (*os.File, error) {
	fd, err := openBelow(d.fd(), name, flags, uint32(perm.Perm()), false)
	if err != nil {
		return nil, d.failed("open", name, err)
	}
	return os.NewFile(uintptr(fd), path.Join(d.file.Name(), name)), nil
}

// Stat returns what a path leads to is like; of a link, the link.
func (d *Dir) Stat(name string) (Info, error) {
	info := Info{name: path.Base(name)}
	dir, base, err := d.parent(name)
	if err != nil {
		return Info{}, err
	}
	defer dir.leave(d)
	err = retried(func() error { return unix.Fstatat(dir.fd(), base, &info.stat, unix.AT_SYMLINK_NOFOLLOW) })
	return info, d.failed("stat", name, err)
}

// parent opens the directory that holds what a path leads to; it is d for a name. It is to be left afterwards.
func (d *Dir) parent(name string) (dir *Dir, base string, err error) {
	above := path.Dir(name)
	if above == "." {
		return d, name, nil
	}
	dir, err = d.OpenDir(above)
	return dir, path.Base(name), err
}

func (d *Dir) leave(of *Dir) {
	if d != of {
		d.Close()
	}
}

// Names returns the names of what is in the directory, sorted. More than limit, or than fit into the memory that a directory may take, are
// an error.
func (d *Dir) Names(limit int) ([]string, error) {
	if _, err := d.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var names []string
	for bytes := 0; ; {
		some, err := d.file.Readdirnames(batch)
		for _, name := range some {
			bytes += len(name)
		}
		if names = append(names, some...); len(names) > limit || bytes > maxNameBytes {
			return nil, d.failed("list", "", fmt.Errorf("the directory has more than %d entries, or their names more than %d bytes", limit, maxNameBytes))
		}
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

const (
	batch        = 1000     // names that are read from a directory at a time
	maxNameBytes = 32 << 20 // of all names of a directory that is listed as a whole
)

// Mkdir makes a directory with a mode that the umask does not change, and opens it.
func (d *Dir) Mkdir(name string, perm fs.FileMode) (*Dir, error) {
	if err := unix.Mkdirat(d.fd(), name, 0o700); err != nil {
		return nil, d.failed("mkdir", name, err)
	}
	made, err := d.OpenDir(name)
	if err != nil {
		return nil, err
	}
	if perm.Perm() != 0o700 {
		if err := made.file.Chmod(perm.Perm()); err != nil {
			return nil, errors.Join(err, made.Close())
		}
	}
	return made, nil
}

// Remove removes a file, a link or an empty directory.
func (d *Dir) Remove(name string) error {
	err := unix.Unlinkat(d.fd(), name, 0)
	if isDirectory(err) {
		err = unix.Unlinkat(d.fd(), name, unix.AT_REMOVEDIR)
	}
	return d.failed("remove", name, err)
}

// isDirectory reports whether an error is how a kernel refuses to remove a directory as if it were a file.
func isDirectory(err error) bool { return errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EPERM) }

// Rename gives something a name in another directory, in place of what has it there.
func (d *Dir) Rename(name string, to *Dir, newName string) error {
	return d.failed("rename", name, unix.Renameat(d.fd(), name, to.fd(), newName))
}

// Link gives a file a second name in another directory.
func (d *Dir) Link(name string, to *Dir, newName string) error {
	return d.failed("link", name, unix.Linkat(d.fd(), name, to.fd(), newName, 0))
}

// Symlink makes a link.
func (d *Dir) Symlink(target, name string) error {
	return d.failed("symlink", name, unix.Symlinkat(target, d.fd(), name))
}

// maxTarget is more than a link can hold.
const maxTarget = 64 << 10

// Readlink returns where a link leads.
func (d *Dir) Readlink(name string) (string, error) {
	for size := 256; ; size *= 4 {
		target := make([]byte, size)
		n, err := unix.Readlinkat(d.fd(), name, target)
		if err != nil {
			return "", d.failed("readlink", name, err)
		}
		if n < size || size > maxTarget {
			return string(target[:n]), nil
		}
	}
}

// Chown gives something to a user and a group; of a link, the link.
func (d *Dir) Chown(name string, user, group int) error {
	return d.failed("chown", name, unix.Fchownat(d.fd(), name, user, group, unix.AT_SYMLINK_NOFOLLOW))
}

// Chmod sets the mode of something that is no link. It needs no right to read it.
func (d *Dir) Chmod(name string, mode fs.FileMode) error {
	return d.failed("chmod", name, chmodAt(d.fd(), name, uint32(mode.Perm())))
}

// Chtimes sets when something was last changed.
func (d *Dir) Chtimes(name string, modified time.Time) error {
	stamp, err := unix.TimeToTimespec(modified)
	if err != nil {
		return err
	}
	return d.failed("chtimes", name, unix.UtimesNanoAt(d.fd(), name, []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW))
}

// Own gives the directory itself to a user and a group.
func (d *Dir) Own(user, group int) error { return d.file.Chown(user, group) }

// SetMode sets the mode of the directory itself.
func (d *Dir) SetMode(mode fs.FileMode) error { return d.file.Chmod(mode.Perm()) }

// Info returns what the directory itself is like.
func (d *Dir) Info() (Info, error) {
	info := Info{name: path.Base(d.file.Name())}
	err := unix.Fstat(d.fd(), &info.stat)
	return info, d.failed("stat", "", err)
}

// retried does something again that a signal has interrupted.
func retried(do func() error) error {
	for {
		if err := do(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
