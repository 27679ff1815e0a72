package executor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"atelier/internal/fault"
)

// Files are the files of a build's workspace, for steps that the service does itself. Paths are relative to the workspace and have
// slashes. No link leads out of the workspace, whatever the build has made there. Errors that the build is to blame for are
// fault.Invalid errors.
type Files interface {
	// Walk calls found for every file, in the order of names, also for each link to a file in the workspace. It does not go through links
	// to directories. An error of found ends the walk and is returned, and so is the cause of ctx.
	Walk(ctx context.Context, found func(file string) error) error

	// Pack writes a directory as a tar archive, with modes and links, and with names seen from the directory. Files that leaveOut names
	// are not in it, nor are those in directories that it names with all that is below. Owners and what is neither a file, a directory
	// nor a link are left out too. Errors of leaveOut and of out are returned, and so is the cause of ctx.
	Pack(ctx context.Context, dir string, leaveOut func(name string) (this, below bool, err error), out io.Writer) error
	// ReadFile opens a file.
	ReadFile(file string) (fs.File, error)

	// WriteFile makes a file, or replaces one, with the directories that lead to it. The file is there when all of content is in
	// it; an error of content is returned as it is, and then nothing has changed.
	WriteFile(ctx context.Context, file string, content io.Reader) error
}

// Directory is a workspace that is a directory of this machine. It implements [Files]. No step may run meanwhile.
type Directory string

var _ Files = Directory("")

// open opens the workspace. A step may have put something else in its place.
func (d Directory) open() (*os.Root, error) {
	if info, err := os.Lstat(string(d)); err != nil || !info.IsDir() {
		return nil, fault.Wrap(err, fault.Invalid, "an earlier step removed the workspace")
	}
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, fmt.Errorf("open the workspace: %w", err)
	}
	return root, nil
}

// Walk implements [Files].
func (d Directory) Walk(ctx context.Context, found func(file string) error) error {
	root, err := d.open()
	if err != nil {
		return err
	}
	defer root.Close()
	return walk(ctx, root, "", found)
}

// walk walks below a directory. Package fs would refuse names that are not UTF-8.
func walk(ctx context.Context, root *os.Root, dir string, found func(file string) error) error {
	entries, err := readDir(root, dir)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "the directory %q of the workspace cannot be read", dir)
	}
	for _, entry := range entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name := path.Join(dir, entry.Name())
		var err error
		switch kind := entry.Type(); {
		case kind.IsDir():
			err = walk(ctx, root, name, found)
		case kind.IsRegular(), kind == fs.ModeSymlink && isFile(root, name):
			err = found(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readDir returns what is in a directory, by name.
func readDir(root *os.Root, dir string) ([]fs.DirEntry, error) {
	f, err := root.Open(filepath.FromSlash(path.Join(".", dir)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// isFile reports whether a link leads to a file in the workspace.
func isFile(root *os.Root, link string) bool {
	info, err := root.Stat(filepath.FromSlash(link))
	return err == nil && info.Mode().IsRegular()
}

// ReadFile implements [Files].
func (d Directory) ReadFile(file string) (fs.File, error) {
	root, err := d.open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(filepath.FromSlash(file), os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for a writer
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the file %q of the workspace cannot be read", file)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, fault.Wrap(err, fault.Invalid, "%q is not a file of the workspace", file)
	}
	return f, nil
}

// WriteFile implements [Files].
func (d Directory) WriteFile(ctx context.Context, file string, content io.Reader) (err error) {
	root, err := d.open()
	if err != nil {
		return err
	}
	defer root.Close()
	inTheWay := func(err error) error {
		return fault.Wrap(err, fault.Invalid, "the file %q of the workspace cannot be written: something is in its way, or a link leads out of the workspace", file)
	}
	if err := root.MkdirAll(filepath.FromSlash(path.Dir(file)), 0o755); err != nil {
		return inTheWay(err)
	}
	temporary := filepath.FromSlash(path.Join(path.Dir(file), ".atelier-"+rand.Text()))
	f, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return inTheWay(err)
	}
	defer func() {
		if err != nil {
			_ = root.Remove(temporary)
		}
	}()
	if _, err := io.Copy(f, untilDone{ctx, content}); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write a file of the workspace: %w", err)
	}
	if err := root.Rename(temporary, filepath.FromSlash(file)); err != nil {
		return inTheWay(err)
	}
	return nil
}

// untilDone reads until a context ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}
