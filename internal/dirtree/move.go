package dirtree

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"
)

// MoveInto moves all that is in the directory into another one, where somebody may be changing things at the same time. Directories that
// are there are merged, and what else is in the way is removed. On another file system it copies. The directory must be one that no
// stranger can reach.
func (d *Dir) MoveInto(ctx context.Context, to *Dir, trash *Trash) error {
	m := move{ctx: ctx, from: d, to: to, trash: trash, pending: []string{"."}}
	for len(m.pending) > 0 {
		last := len(m.pending) - 1
		next := m.pending[last]
		m.pending = m.pending[:last]
		if err := m.directory(next); err != nil {
			return err
		}
	}
	return nil
}

// move is one run of MoveInto.
type move struct {
	ctx      context.Context
	from, to *Dir
	trash    *Trash
	pending  []string // directories, by their paths, that are to be merged
}

func (m *move) directory(dir string) error {
	from, err := m.from.OpenDir(dir)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := m.to.OpenDir(dir)
	if err != nil {
		return err
	}
	defer to.Close()
	names, err := from.Names(maxEntries)
	if err != nil {
		return err
	}
	for _, name := range names {
		if m.ctx.Err() != nil {
			return context.Cause(m.ctx)
		}
		merge, err := m.entry(from, to, name)
		if err != nil {
			return err
		}
		if merge {
			m.pending = append(m.pending, path.Join(dir, name))
		}
	}
	return nil
}

// entry moves one entry, and reports whether it is a directory that is to be merged with one that is there.
func (m *move) entry(from, to *Dir, name string) (merge bool, err error) {
	info, err := from.Stat(name)
	if err != nil {
		return false, err
	}
	there, err := to.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, err
	case info.IsDir() && there.IsDir():
		return true, nil
	case info.IsDir() || there.IsDir():
		if err := m.discard(to, name, there); err != nil {
			return false, err
		}
	}
	err = from.Rename(name, to, name)
	if !errors.Is(err, unix.EXDEV) {
		return false, err
	}
	return m.copied(from, to, info)
}

// discard removes what is in the way. On another file system than the trash's it can only be a file or an empty directory.
func (m *move) discard(dir *Dir, name string, info Info) error {
	if !info.IsDir() {
		return dir.Remove(name)
	}
	return m.trash.Remove(m.ctx, dir, name)
}

// copied copies one entry to another file system. Of a directory it makes only that, which is to be merged then.
func (m *move) copied(from, to *Dir, info Info) (merge bool, err error) {
	name := info.Name()
	if info.IsDir() {
		made, err := to.Mkdir(name, info.Mode())
		if err != nil {
			return false, err
		}
		return true, made.Close()
	}
	if err := to.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return false, CopyFile(from, name, to, name)
}
