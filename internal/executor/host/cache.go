package host

import (
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
func (s *session) bring(c executor.Cache) (dir string, back func(), err error) {
	if s.executor.sandbox == nil && s.owner.user == 0 {
		return c.Dir, func() {}, nil
	}
	name := "cache-" + filepath.Base(c.Tool)
	if err := s.owner.giveCache(c.Dir); err != nil {
		return "", nil, fmt.Errorf("give the cache %s to the build's user: %w", c.Tool, err)
	}
	if err := os.Rename(c.Dir, s.path(name)); err != nil {
		return "", nil, fmt.Errorf("bring the cache %s to the build: %w", c.Tool, err)
	}
	return filepath.Join(s.inside, name), func() { _ = os.Rename(s.path(name), c.Dir) }, nil // or there is nothing to save
}

// giveCache makes a copy of a cache the steps' own. Files that it shares with the cache itself stay as they are, if the steps can read them;
// of others it gets copies.
func (o owner) giveCache(dir string) error {
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
		if !ok || int(stat.Uid) == o.user {
			return nil
		}
		if entry.Type().IsRegular() && stat.Nlink > 1 {
			if info.Mode().Perm()&0o004 != 0 {
				return nil
			}
			if err := replaceByCopy(path, info.Mode().Perm()); err != nil {
				return err
			}
		}
		return o.give(path)
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
