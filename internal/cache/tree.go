package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// files are those of a directory, by their paths in it.
type files map[string]file

// file is what tells a file from what it was before: two that are equal have the same content.
type file struct {
	size   int64
	time   int64  // of the last change, in nanoseconds; 0 of a link
	target string // of a symbolic link
}

// block is what the smallest file takes of a disk, with its inode when it is empty.
const block = 4096

// bytes returns about how much of a disk files take.
func (f files) bytes() (total int64) {
	for _, one := range f {
		total += max(1, (one.size+block-1)/block) * block
	}
	return total
}

// walk calls found for the files of a directory, and dir for the directories before what is in them. It follows no link.
func walk(ctx context.Context, root string, dir func(name string, info fs.FileInfo) error, found func(name string, info fs.FileInfo) error) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(path, root), "/")
		if info.IsDir() {
			return dir(name, info)
		}
		return found(name, info)
	})
}

// describe returns what a file is like.
func describe(path string, info fs.FileInfo) (file, error) {
	if info.Mode()&fs.ModeSymlink == 0 {
		return file{size: info.Size(), time: info.ModTime().UnixNano()}, nil
	}
	target, err := os.Readlink(path)
	return file{target: target}, err
}

// scan returns the files of a directory, which must be one. What no other build could read is made readable, and what is neither a
// file nor a link is removed.
func scan(ctx context.Context, root string) (files, error) {
	if info, err := os.Lstat(root); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("a build put something else in place of its cache: %w", errors.Join(err, fs.ErrInvalid))
	}
	all := files{}
	dir := func(name string, info fs.FileInfo) error {
		if info.Mode().Perm()&0o500 == 0o500 {
			return nil
		}
		return os.Chmod(filepath.Join(root, name), info.Mode().Perm()|0o500)
	}
	err := walk(ctx, root, dir, func(name string, info fs.FileInfo) (err error) {
		path := filepath.Join(root, name)
		regular := info.Mode().IsRegular()
		switch {
		case !regular && info.Mode()&fs.ModeSymlink == 0:
			return os.Remove(path)
		case regular && info.Mode().Perm()&0o400 == 0:
			err = os.Chmod(path, info.Mode().Perm()|0o400)
		}
		if err == nil {
			all[name], err = describe(path, info)
		}
		return err
	})
	return all, err
}

// fixed are the files in the caches of some tools that never change although they could be written to: their name is that of their
// content, and the tool writes them elsewhere first, or never again.
var fixed = map[string]*regexp.Regexp{
	"go":     regexp.MustCompile(`^build/[0-9a-f]{2}/[0-9a-f]+-d$`),
	"gradle": regexp.MustCompile(`^caches/modules-2/files-2\.1/`),
	"npm":    regexp.MustCompile(`^_cacache/content-v2/`),
}

// copyTree copies what a generation of a tool's cache holds to a directory, which is empty, and returns the files.
func copyTree(ctx context.Context, tool, from, to string) (files, error) {
	all := files{}
	locked := make(map[string]fs.FileMode) // directories that their owner may not write to
	dir := func(name string, info fs.FileInfo) error {
		if info.Mode().Perm()&0o200 == 0 {
			locked[name] = info.Mode().Perm()
		}
		if name == "" {
			return nil
		}
		return os.Mkdir(filepath.Join(to, name), info.Mode().Perm()|0o700)
	}
	err := walk(ctx, from, dir, func(name string, info fs.FileInfo) (err error) {
		if all[name], err = describe(filepath.Join(from, name), info); err != nil {
			return err
		}
		shared := info.Mode().Perm()&0o222 == 0 || fixed[tool] != nil && fixed[tool].MatchString(name)
		return copyFile(filepath.Join(from, name), filepath.Join(to, name), info, shared)
	})
	for name, mode := range locked {
		err = errors.Join(err, os.Chmod(filepath.Join(to, name), mode))
	}
	return all, err
}

// copyFile makes a copy that may be changed without changing the file. What no tool changes is shared: it becomes a second name of the
// same file, which takes a tenth of the time of a copy. So are the files of Go's modules, which nobody may write to. Of any other the
// disk's blocks are shared until one is written to, where the file system can do that, and copied where it cannot.
func copyFile(from, to string, info fs.FileInfo, shared bool) (err error) {
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	if shared && os.Link(from, to) == nil {
		return nil
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if info.Size() > 0 && !clone(dst, src) {
		_, err = dst.ReadFrom(src)
	}
	err = errors.Join(err, dst.Chmod(info.Mode().Perm()), dst.Close())
	return errors.Join(err, os.Chtimes(to, info.ModTime(), info.ModTime()))
}

// adopt puts a file of a generation that is about to be removed into a layer, in place of the layer's own. It does nothing and returns
// false when the layer has something else where the directories that lead to the file should be: a link may lead anywhere.
func adopt(from, to, name string) (bool, error) {
	var dir string
	for part := range strings.SplitSeq(filepath.Dir(name), "/") {
		dir = filepath.Join(dir, part)
		info, err := os.Lstat(filepath.Join(to, dir))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := os.Mkdir(filepath.Join(to, dir), 0o700); err != nil {
				return false, err
			}
		case err != nil:
			return false, err
		case !info.IsDir():
			return false, nil
		}
	}
	old, path := filepath.Join(from, name), filepath.Join(to, name)
	unlock, err := unlockDir(filepath.Dir(path))
	if err != nil {
		return false, err
	}
	defer unlock()
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return false, nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, os.Link(old, path)
}

// removeFile removes a file of a directory, and the directories that hold nothing then.
func removeFile(root, name string) error {
	unlock, err := unlockDir(filepath.Dir(filepath.Join(root, name)))
	if err != nil {
		return err
	}
	err = os.Remove(filepath.Join(root, name))
	unlock()
	for dir := filepath.Dir(name); dir != "." && os.Remove(filepath.Join(root, dir)) == nil; {
		dir = filepath.Dir(dir)
	}
	return err
}

// unlockDir lets the owner write to a directory until what it returns is called.
func unlockDir(dir string) (func(), error) {
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&0o200 != 0 {
		return func() {}, err
	}
	return func() { _ = os.Chmod(dir, info.Mode().Perm()) }, os.Chmod(dir, info.Mode().Perm()|0o200)
}

// removeAll removes a directory with all that is in it, also directories that their owner may not write to. It follows no link.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			return os.Chmod(path, 0o700) // before its entries are read
		}
		return nil // what cannot be opened up shows when it cannot be removed
	})
	return os.RemoveAll(dir)
}
