package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"atelier/internal/dirtree"
	"atelier/internal/executor"
	"atelier/internal/fault"
)

// give makes a file of the server one of the steps. No step may have been able to change the directory that it is in.
func (o owner) give(dir *dirtree.Dir, name string) error {
	if o.user == 0 {
		return nil
	}
	return dir.Chown(name, o.user, o.group)
}

// giveOpen makes a file of the steps of one that the server has made and opened, wherever that is.
func (o owner) giveOpen(f *os.File) error {
	if o.user == 0 {
		return nil
	}
	return f.Chown(o.user, o.group)
}

// each calls f for all that is in a directory, and for the directory, when the steps have a user of their own. No step may run meanwhile.
func (o owner) each(dir string, f func(path string, info fs.FileInfo, stat *syscall.Stat_t) error) error {
	if o.user == 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("the owner of %s is not known", path)
		}
		return f(path, info, stat)
	})
}

// giveAll makes what the server has put into a directory the steps' own. A file with several names may have one that is not in
// the directory, and stays as it is. No step may run meanwhile.
func (o owner) giveAll(dir string) error {
	err := o.each(dir, func(path string, info fs.FileInfo, stat *syscall.Stat_t) error {
		if int(stat.Uid) != os.Geteuid() || !info.IsDir() && stat.Nlink > 1 {
			return nil
		}
		return os.Lchown(path, o.user, o.group)
	})
	if err != nil {
		return fmt.Errorf("give the files of the workspace to its user: %w", err)
	}
	return nil
}

// workspace is the directory of a workspace, seen from outside, whose files belong to the steps.
type workspace struct {
	executor.Directory
	owner owner
}

// ReadFile implements [executor.Files]. It refuses the files of others: a step that may not read one can still give it a name in
// the workspace, where the kernel lets users link files that are not theirs.
func (w workspace) ReadFile(file string) (fs.File, error) {
	f, err := w.Directory.ReadFile(file)
	if err != nil || w.owner.user == 0 {
		return f, err
	}
	if info, err := f.(*os.File).Stat(); err != nil || !ownedBy(info, w.owner.user) {
		return nil, errors.Join(fault.Wrap(err, fault.Invalid, "%q is not a file of the build's user", file), f.Close())
	}
	return f, nil
}

// Pack implements [executor.Files]. It refuses the files of others as ReadFile does.
func (w workspace) Pack(ctx context.Context, dir string, leaveOut func(name string) (this, below bool, err error), out io.Writer) error {
	return w.PackAllowed(ctx, dir, leaveOut, func(info fs.FileInfo) bool { return w.owner.user == 0 || ownedBy(info, w.owner.user) }, out)
}

// ownedBy reports whether a file is a user's.
func ownedBy(info fs.FileInfo, user int) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == user
}

// WriteFile implements [executor.Files].
func (w workspace) WriteFile(ctx context.Context, file string, content io.Reader) error {
	if err := w.Directory.WriteFile(ctx, file, content); err != nil || w.owner.user == 0 {
		return err
	}
	root, err := os.OpenRoot(string(w.Directory))
	if err != nil {
		return err
	}
	defer root.Close()
	for name := path.Clean(file); name != "."; name = path.Dir(name) {
		info, err := root.Lstat(name)
		if err != nil {
			return err
		}
		if ownedBy(info, os.Geteuid()) {
			if err := root.Lchown(name, w.owner.user, w.owner.group); err != nil {
				return fmt.Errorf("give a file of the workspace to its user: %w", err)
			}
		}
	}
	return nil
}
