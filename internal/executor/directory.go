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
	"syscall"

	"atelier/internal/dirtree"
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

// Directory is a workspace that is a directory of this machine. It implements [Files]. Steps, and others to whom a step has given a
// handle, may change anything in it at the same time: that leads nowhere else.
type Directory struct {
	// Parent holds the workspace. It was opened before any step could change it.
	Parent *os.Root

	// Name is that of the workspace in its parent; "." when the parent is the workspace.
	Name string

	// Own gives a file or directory that was just made to who runs the steps; nil when the server's user does.
	Own func(f *os.File) error

	// Allowed reports whether a file may be read; nil for all. A step can give any file a name in the workspace where the kernel lets users
	// link files that are not theirs, also one that it may not read itself.
	Allowed func(info fs.FileInfo) bool
}

var _ Files = Directory{}

// Open opens the workspace. A step may have put something else in its place.
func (d Directory) Open() (*os.Root, error) {
	if info, err := d.Parent.Lstat(d.Name); err != nil || !info.IsDir() {
		return nil, fault.Wrap(err, fault.Invalid, "an earlier step removed the workspace")
	}
	root, err := d.Parent.OpenRoot(d.Name)
	if err != nil {
		return nil, fmt.Errorf("open the workspace: %w", err)
	}
	return root, nil
}

// Walk implements [Files].
func (d Directory) Walk(ctx context.Context, found func(file string) error) error {
	root, err := d.Open()
	if err != nil {
		return err
	}
	defer root.Close()
	return walk(ctx, root, func(e dirtree.Entry) error {
		if e.Mode().IsRegular() || e.IsLink() && isFile(root, e.Path) {
			return found(e.Path)
		}
		return nil
	})
}

// walk visits what is below a root. What cannot be read is the build's fault.
func walk(ctx context.Context, root *os.Root, visit func(e dirtree.Entry) error) error {
	dir, err := dirtree.Of(root)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "a directory of the workspace cannot be read")
	}
	defer dir.Close()
	err = dir.Walk(ctx, visit)
	var unread *dirtree.ReadError
	if errors.As(err, &unread) {
		return fault.Wrap(err, fault.Invalid, "the directory %q of the workspace cannot be read", unread.Path)
	}
	return err
}

// isFile reports whether a link leads to a file in the workspace.
func isFile(root *os.Root, link string) bool {
	info, err := root.Stat(filepath.FromSlash(link))
	return err == nil && info.Mode().IsRegular()
}

// ReadFile implements [Files].
func (d Directory) ReadFile(file string) (fs.File, error) {
	root, err := d.Open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(filepath.FromSlash(file), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0) // a pipe would wait for a writer
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the file %q of the workspace cannot be read", file)
	}
	if _, err := d.check(f, file); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// check returns what an open file is like, which has to be a file and one that may be read.
func (d Directory) check(f *os.File, name string) (fs.FileInfo, error) {
	info, err := f.Stat()
	switch {
	case err != nil || !info.Mode().IsRegular():
		return nil, fault.Wrap(err, fault.Invalid, "%q is not a file of the workspace", name)
	case d.Allowed != nil && !d.Allowed(info):
		return nil, fault.New(fault.Invalid, "%q is not a file of the build's user", name)
	}
	return info, nil
}

// own gives what was just made to who runs the steps, with a mode that the umask does not change.
func (d Directory) own(f *os.File, mode fs.FileMode) error {
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if d.Own == nil {
		return nil
	}
	return d.Own(f)
}

// MakeDir makes a directory of the workspace, with those that lead to it, and opens it. Links may lead to it as long as they stay in the
// workspace. What it makes belongs to who runs the steps.
func (d Directory) MakeDir(dir string) (*os.Root, error) {
	root, err := d.Open()
	if err != nil {
		return nil, err
	}
	dir = path.Clean(dir)
	if dir == "." {
		return root, nil
	}
	defer root.Close()
	made, err := d.makeDirs(root, dir)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid,
			"the directory %s of the workspace cannot be made: something is in its way, or a link leads out of the workspace", dir)
	}
	return made, nil
}

func (d Directory) makeDirs(root *os.Root, dir string) (*os.Root, error) {
	for end, c := range dir + "/" {
		if c != '/' {
			continue
		}
		if err := d.makeDir(root, dir[:end]); err != nil {
			return nil, err
		}
	}
	return root.OpenRoot(dir)
}

// makeDir makes one directory, unless it is there.
func (d Directory) makeDir(root *os.Root, dir string) error {
	switch err := root.Mkdir(dir, 0o755); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	f, err := root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	// Somebody may have put another directory in its place by now: one that is not the server's stays as it is.
	if info, err := f.Stat(); err != nil || !isOwn(info) {
		return errors.Join(err, f.Close())
	}
	return errors.Join(d.own(f, 0o755), f.Close())
}

// isOwn reports whether a file belongs to this process's user.
func isOwn(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// WriteFile implements [Files].
func (d Directory) WriteFile(ctx context.Context, file string, content io.Reader) (err error) {
	inTheWay := func(err error) error {
		return fault.Wrap(err, fault.Invalid, "the file %q of the workspace cannot be written: something is in its way, or a link leads out of the workspace", file)
	}
	dir, name := path.Split(path.Clean(file))
	if path.IsAbs(file) || name == "." || name == ".." {
		return inTheWay(fs.ErrInvalid)
	}
	root, err := d.MakeDir(dir)
	if err != nil {
		return inTheWay(err)
	}
	defer root.Close()
	temporary := ".atelier-" + rand.Text()
	f, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
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
	if err := errors.Join(d.own(f, 0o644), f.Close()); err != nil {
		return fmt.Errorf("write a file of the workspace: %w", err)
	}
	if err := root.Rename(temporary, name); err != nil {
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
