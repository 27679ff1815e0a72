package dirtree

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxPasses bounds how often one directory is read, in which somebody may be making files all the time.
const maxPasses = 100

// removal removes one tree. It goes down so many levels as there may be handles; what is deeper gets a new name in the trash, and is a tree of
// its own then.
type removal struct {
	*Trash
	ctx   context.Context
	stem  string // of the names of what was moved up
	moved int    // how many
	done  int    // how many of them were removed, or tried
}

// tree removes what has a name in the trash. The error is the first one; all else is removed nevertheless.
func (r *removal) tree(name string) error {
	err := r.entry(r.dir, name, 0)
	return errors.Join(err, r.rest())
}

// all removes all that is in the directory of the trash.
func (r *removal) all() error {
	err := r.empty(r.dir, 0)
	return errors.Join(err, r.rest())
}

// rest removes what was moved up.
func (r *removal) rest() (failed error) {
	for r.done < r.moved {
		r.done++
		if err := r.entry(r.dir, r.name(r.done), 0); failed == nil {
			failed = err
		}
	}
	return failed
}

// name returns the name of something that was moved up.
func (r *removal) name(n int) string { return r.stem + "." + strconv.Itoa(n) }

// entry removes what has a name in a directory.
func (r *removal) entry(dir *Dir, name string, depth int) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	err := unix.Unlinkat(dir.fd(), name, 0)
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case !isDirectory(err):
		return dir.failed("remove", name, err)
	}
	child, openErr := openForRemoval(dir, name)
	if errors.Is(openErr, unix.ENOTDIR) || errors.Is(openErr, unix.ELOOP) {
		return dir.failed("remove", name, err)
	}
	if openErr != nil {
		return openErr
	}
	defer child.Close()
	if depth == maxHandles {
		r.moved++
		return dir.Rename(name, r.dir, r.name(r.moved))
	}
	if err := r.empty(child, depth+1); err != nil {
		return err
	}
	return dir.failed("remove", name, unix.Unlinkat(dir.fd(), name, unix.AT_REMOVEDIR))
}

// empty removes what is in a directory. Some file systems list not all of a directory that changes: it is read until nothing is there.
func (r *removal) empty(dir *Dir, depth int) error {
	for range maxPasses {
		found, removed, err := r.pass(dir, depth)
		if found == 0 || removed == 0 {
			return err
		}
	}
	return dir.failed("remove", "", unix.ENOTEMPTY)
}

// pass reads a directory once and removes what it finds. The error is the first one of those that could not be removed.
func (r *removal) pass(dir *Dir, depth int) (found, removed int, failed error) {
	if _, err := dir.file.Seek(0, io.SeekStart); err != nil {
		return 0, 0, err
	}
	for {
		names, err := dir.file.Readdirnames(batch)
		for _, name := range names {
			if dir == r.dir && strings.HasPrefix(name, r.stem+".") {
				continue // rest removes it
			}
			found++
			if err := r.entry(dir, name, depth); err == nil {
				removed++
			} else if failed == nil {
				failed = err
			}
			if r.ctx.Err() != nil {
				return found, 0, context.Cause(r.ctx)
			}
		}
		if errors.Is(err, io.EOF) {
			return found, removed, failed
		}
		if err != nil {
			return found, 0, errors.Join(failed, err)
		}
	}
}

// openForRemoval opens a directory whose mode may forbid that, on the same mount, and shuts strangers out of it as far as that
// is possible: those that hold a handle of it make no more files.
func openForRemoval(dir *Dir, name string) (*Dir, error) {
	open := func() (int, error) {
		return openBelow(dir.fd(), name, unix.O_RDONLY|unix.O_DIRECTORY, 0, true)
	}
	fd, err := open()
	if errors.Is(err, unix.EACCES) && chmodAt(dir.fd(), name, 0o700) == nil {
		fd, err = open()
	}
	if err != nil {
		return nil, dir.failed("open", name, err)
	}
	d := &Dir{os.NewFile(uintptr(fd), path.Join(dir.file.Name(), name))}
	info, err := d.Info()
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	// Where this fails, so does the removal, with an error of its own.
	if me := os.Geteuid(); me == 0 && info.Owner() != me {
		_ = d.Own(me, os.Getegid())
	}
	if perm := info.Mode().Perm(); perm&0o700 != 0o700 || perm&0o022 != 0 {
		_ = d.file.Chmod(0o700)
	}
	return d, nil
}
