package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"atelier/internal/executor"
)

// bring puts a build's copy of a cache where a step can use it, and returns how the step calls it, and what puts it back afterwards. Steps
// that are kept from the server's files get it in the build's directory, which is all that they have of them.
func (s *session) bring(c executor.Cache) (dir string, back func() error, err error) {
	if s.executor.bubblewrap == nil && s.owner.user == 0 {
		return c.Dir, func() error { return nil }, nil
	}
	name := "cache-" + filepath.Base(c.Tool)
	if err := s.owner.giveCache(c.Dir); err != nil {
		return "", nil, fmt.Errorf("give the cache %s to the build's user: %w", c.Tool, err)
	}
	err = s.discard(context.Background(), name) // which an earlier step may have made
	if err == nil {
		err = os.Rename(c.Dir, s.path(name))
	}
	if err != nil {
		return "", nil, fmt.Errorf("bring the cache %s to the build: %w", c.Tool, err)
	}
	back = func() error {
		err := os.Rename(s.path(name), c.Dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the step removed it, so there is nothing to save
		}
		if err == nil {
			err = s.owner.takeBack(c.Dir)
		}
		if err != nil {
			return fmt.Errorf("take the cache %s back from the build: %w", c.Tool, err)
		}
		return nil
	}
	return filepath.Join(s.insidePath, name), back, nil
}

// giveCache makes a copy of a cache the steps' own. Files that it shares with the cache itself stay as they are, if the steps can read them;
// of others it gets copies.
func (o owner) giveCache(dir string) error {
	return o.each(dir, func(path string, info fs.FileInfo, stat *syscall.Stat_t) error {
		if int(stat.Uid) == o.user {
			return nil
		}
		if info.Mode().IsRegular() && stat.Nlink > 1 {
			if info.Mode().Perm()&0o004 != 0 {
				return nil
			}
			if err := replaceByCopy(path, info.Mode().Perm()); err != nil {
				return err
			}
		}
		return os.Lchown(path, o.user, o.group)
	})
}

// takeBack makes the steps' files in a copy of a cache the server's: what becomes part of the cache must not be for a later build with the same
// user to change. A file that the steps cannot read was not given to them: it is one from elsewhere that a step gave a name here, where the kernel
// lets users link files that are not theirs, and the next build would get a copy of it.
func (o owner) takeBack(dir string) error {
	return o.each(dir, func(path string, info fs.FileInfo, stat *syscall.Stat_t) error {
		switch {
		case int(stat.Uid) == o.user:
			return os.Lchown(path, os.Geteuid(), os.Getegid())
		case info.Mode().IsRegular() && info.Mode().Perm()&0o004 == 0:
			return os.Remove(path)
		default:
			return nil
		}
	})
}

// replaceByCopy gives a file that has several names an own content under this one.
func replaceByCopy(path string, mode fs.FileMode) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path+".copy", os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close(), os.Rename(path+".copy", path))
}
