package dirtree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"
)

// Limits of a walk. What is beyond them is an error: no program that goes by paths could use it.
const (
	maxPath    = 4095      // bytes of a path
	maxEntries = 1_000_000 // of one directory
)

// maxHandles is how many directories on the way down are held open at a time.
const maxHandles = 32

// ErrTooDeep is the error of a walk through a tree with paths that are longer than the kernel takes.
var ErrTooDeep = errors.New("the directories are nested too deep: paths have more than 4095 bytes")

// ReadError is the error of a directory that a walk could not read.
type ReadError struct {
	Path string // below where the walk began
	Err  error
}

// Error implements error.
func (e *ReadError) Error() string { return fmt.Sprintf("read the directory %q: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *ReadError) Unwrap() error { return e.Err }

// Entry is something that a walk has come to.
type Entry struct {
	Info
	Dir  *Dir   // that holds it, until the entry has been visited
	Path string // below where the walk began
}

// Chown gives what was visited to a user and a group, unless something else has its name by now.
func (e Entry) Chown(user, group int) error {
	return e.Dir.failed("chown", e.Name(), chownSame(e.Dir.fd(), e.Name(), e.stat, user, group))
}

// Walk calls visit for all that is below the directory, in the order of names: for a directory before what is in it, which
// fs.SkipDir leaves out. It ends with an error of visit, with the cause of ctx, and with what cannot be read.
func (d *Dir) Walk(ctx context.Context, visit func(e Entry) error) error {
	w := walk{ctx: ctx, root: d, visit: visit}
	return w.directory(&level{dir: d})
}

type walk struct {
	ctx    context.Context
	root   *Dir
	visit  func(e Entry) error
	levels []*level // from below the root down to the directory that is visited
}

// level is a directory on the way down.
type level struct {
	path string
	dir  *Dir // nil when it is not held open
}

func (w *walk) directory(l *level) error {
	names, err := l.dir.Names(maxEntries)
	if err != nil {
		return &ReadError{l.path, err}
	}
	for _, name := range names {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		if err := w.entry(l, name); err != nil {
			return err
		}
	}
	return nil
}

// entry visits one entry, and what is below it.
func (w *walk) entry(l *level, name string) (err error) {
	e := Entry{Path: path.Join(l.path, name)}
	if len(e.Path) > maxPath {
		return &ReadError{l.path, ErrTooDeep}
	}
	if l.dir == nil {
		if l.dir, err = w.root.OpenDir(l.path); err != nil {
			return &ReadError{l.path, err}
		}
	}
	e.Dir = l.dir
	switch e.Info, err = l.dir.Stat(name); {
	case errors.Is(err, unix.ENOENT):
		return nil // somebody has removed it
	case err != nil:
		return &ReadError{l.path, err}
	}
	switch err := w.visit(e); {
	case err == nil && e.IsDir():
		return w.below(l, e)
	case errors.Is(err, fs.SkipDir) && e.IsDir():
		return nil
	default:
		return err
	}
}

// below visits what is in a directory that was visited itself.
func (w *walk) below(above *level, e Entry) error {
	dir, err := above.dir.OpenDir(e.Name())
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil // or what was visited has removed it
	case err != nil:
		return &ReadError{e.Path, err}
	}
	l := &level{path: e.Path, dir: dir}
	w.levels = append(w.levels, l)
	defer func() {
		w.levels = w.levels[:len(w.levels)-1]
		l.close()
	}()
	if far := len(w.levels) - maxHandles; far >= 0 {
		w.levels[far].close()
	}
	return w.directory(l)
}

func (l *level) close() {
	if l.dir != nil {
		l.dir.Close()
		l.dir = nil
	}
}
