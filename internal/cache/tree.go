package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"

	"atelier/internal/dirtree"
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

// describe returns what a file is like.
func describe(e dirtree.Entry) (file, error) {
	if !e.IsLink() {
		return file{size: e.Size(), time: e.ModTime().UnixNano()}, nil
	}
	target, err := e.Dir.Readlink(e.Name())
	return file{target: target}, err
}

// openLayer opens a layer, which the directory that it is in can reach whatever a build has made of it.
func openLayer(root string) (*dirtree.Dir, error) {
	layers, err := dirtree.Open(filepath.Dir(root))
	if err != nil {
		return nil, err
	}
	defer layers.Close()
	name := filepath.Base(root)
	info, err := layers.Stat(name)
	if err != nil || !info.IsDir() {
		return nil, fmt.Errorf("a build put something else in place of its cache: %w", errors.Join(err, fs.ErrInvalid))
	}
	if info.Mode().Perm()&0o700 != 0o700 {
		if err := layers.Chmod(name, info.Mode()|0o700); err != nil {
			return nil, err
		}
	}
	return layers.OpenDir(name)
}

// scan returns the files of a directory, which must be one. What no other build could read is made readable, and what is neither a
// file nor a link is removed, as are files of others that cannot be read. No file gives who runs it the rights of its owner.
func scan(ctx context.Context, root string) (files, error) {
	dir, err := openLayer(root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	all := files{}
	err = dir.Walk(ctx, func(e dirtree.Entry) (err error) {
		switch {
		case e.IsDir():
			return setMode(e, 0o500)
		case !e.IsLink() && !e.Mode().IsRegular(), e.Mode().IsRegular() && !makeReadable(e):
			return e.Dir.Remove(e.Name())
		}
		all[e.Path], err = describe(e)
		return err
	})
	return all, err
}

// special are the bits of a mode that give a file more than its permissions.
const special = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// setMode gives a file or a directory some permissions, and takes the special bits away.
func setMode(e dirtree.Entry, perm fs.FileMode) error {
	if e.Mode()&perm == perm && e.Mode()&special == 0 {
		return nil
	}
	return e.Dir.Chmod(e.Name(), e.Mode()|perm)
}

// makeReadable reports whether a file is one that its owner may read, after it was made so. The mode of a file of others is not changed: it may
// have a name elsewhere.
func makeReadable(e dirtree.Entry) bool {
	if e.Owner() == os.Geteuid() {
		return setMode(e, 0o400) == nil
	}
	f, err := e.Dir.OpenFile(e.Name(), os.O_RDONLY, 0)
	return err == nil && f.Close() == nil && e.Mode()&special == 0
}

// fixed are the files in the caches of some tools that never change although they could be written to: their name is that of their
// content, and the tool writes them elsewhere first, or never again.
var fixed = map[string]*regexp.Regexp{
	"go":     regexp.MustCompile(`^build/[0-9a-f]{2}/[0-9a-f]+-d$`),
	"gradle": regexp.MustCompile(`^caches/modules-2/files-2\.1/`),
	"npm":    regexp.MustCompile(`^_cacache/content-v2/`),
}

// copyTree copies what a generation of a tool's cache holds to a directory, which is empty, and returns the files. What no tool changes is
// shared where that is allowed.
func copyTree(ctx context.Context, tool, from, to string, share bool) (files, error) {
	src, err := dirtree.Open(from)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	dst, err := dirtree.Open(to)
	if err != nil {
		return nil, err
	}
	defer dst.Close()
	c := treeCopy{tool: tool, share: share, to: dst, all: files{}, locked: make(map[string]fs.FileMode)}
	err = src.Walk(ctx, c.entry)
	return c.all, errors.Join(err, c.close())
}

// treeCopy is one run of copyTree.
type treeCopy struct {
	tool   string
	share  bool
	to     *dirtree.Dir
	all    files
	locked map[string]fs.FileMode // directories that their owner may not write to

	dir  *dirtree.Dir // of the last entry; nil before the first
	path string
}

// enter opens the directory into which an entry goes.
func (c *treeCopy) enter(dir string) (err error) {
	if c.dir != nil && c.path == dir {
		return nil
	}
	if err := c.leave(); err != nil {
		return err
	}
	c.path = dir
	c.dir, err = c.to.OpenDir(dir)
	return err
}

func (c *treeCopy) leave() error {
	if c.dir == nil {
		return nil
	}
	dir := c.dir
	c.dir = nil
	return dir.Close()
}

func (c *treeCopy) entry(e dirtree.Entry) (err error) {
	if err := c.enter(path.Dir(e.Path)); err != nil {
		return err
	}
	if e.IsDir() {
		if e.Mode().Perm()&0o200 == 0 {
			c.locked[e.Path] = e.Mode().Perm()
		}
		made, err := c.dir.Mkdir(e.Name(), e.Mode()|0o700)
		if err != nil {
			return err
		}
		return made.Close()
	}
	if c.all[e.Path], err = describe(e); err != nil {
		return err
	}
	return c.file(e)
}

// file makes a copy that may be changed without changing the file. What no tool changes is shared: it becomes a second name of the
// same file, which takes a tenth of the time of a copy. So are the files of Go's modules, which nobody may write to.
func (c *treeCopy) file(e dirtree.Entry) error {
	never := e.Mode().Perm()&0o222 == 0 || fixed[c.tool] != nil && fixed[c.tool].MatchString(e.Path)
	if c.share && never && !e.IsLink() && e.Dir.Link(e.Name(), c.dir, e.Name()) == nil {
		return nil
	}
	return dirtree.CopyFile(e.Dir, e.Name(), c.dir, e.Name())
}

// close locks what was locked.
func (c *treeCopy) close() error {
	err := c.leave()
	for name, mode := range c.locked {
		dir, openErr := c.to.OpenDir(path.Dir(name))
		if openErr != nil {
			err = errors.Join(err, openErr)
			continue
		}
		err = errors.Join(err, dir.Chmod(path.Base(name), mode), dir.Close())
	}
	return err
}

// adopt puts a file of a generation that is about to be removed into a layer, in place of the layer's own. It does nothing and returns
// false when the layer has something else where the directories that lead to the file should be.
func adopt(from, to, name string) (adopted bool, err error) {
	layer, err := openLayer(to)
	if err != nil {
		return false, err
	}
	dir, err := makeDirs(layer, path.Dir(name))
	if err != nil || dir == nil {
		return false, errors.Join(err, layer.Close())
	}
	defer func() { err = errors.Join(err, dir.Close(), layer.Close()) }()
	generation, err := dirtree.Open(filepath.Join(from, filepath.Dir(name)))
	if err != nil {
		return false, err
	}
	defer generation.Close()
	base := path.Base(name)
	if info, err := dir.Stat(base); err == nil && info.IsDir() {
		return false, nil
	}
	return true, unlocked(dir, func() error {
		if err := dir.Remove(base); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return generation.Link(base, dir, base)
	})
}

// makeDirs opens a directory below another one, after it was made; nil when something else is in the way.
func makeDirs(root *dirtree.Dir, dir string) (*dirtree.Dir, error) {
	for end, c := range dir + "/" {
		if c != '/' {
			continue
		}
		at := dir[:end]
		info, err := root.Stat(at)
		if errors.Is(err, fs.ErrNotExist) {
			err = makeDir(root, at)
		} else if err == nil && !info.IsDir() {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return root.OpenDir(dir)
}

func makeDir(root *dirtree.Dir, dir string) error {
	above, err := root.OpenDir(path.Dir(dir))
	if err != nil {
		return err
	}
	defer above.Close()
	return unlocked(above, func() error {
		made, err := above.Mkdir(path.Base(dir), 0o700)
		if err != nil {
			return err
		}
		return made.Close()
	})
}

// removeFile removes a file of a directory, and the directories that hold nothing then.
func removeFile(root, name string) error {
	layer, err := openLayer(root)
	if err != nil {
		return err
	}
	defer layer.Close()
	for first := true; name != "."; first = false {
		dir, err := layer.OpenDir(path.Dir(name))
		if err != nil {
			return err
		}
		err = unlocked(dir, func() error { return dir.Remove(path.Base(name)) })
		if err = errors.Join(err, dir.Close()); err != nil && first {
			return err
		}
		if err != nil {
			return nil // the directory holds something else
		}
		name = path.Dir(name)
	}
	return nil
}

// unlocked does something in a directory while its owner may write to it.
func unlocked(dir *dirtree.Dir, do func() error) error {
	info, err := dir.Info()
	if err != nil || info.Mode().Perm()&0o200 != 0 {
		return errors.Join(err, do())
	}
	if err := dir.SetMode(info.Mode() | 0o200); err != nil {
		return err
	}
	return errors.Join(do(), dir.SetMode(info.Mode()))
}

// removeAll removes what a build or a store has made, whatever that is.
func removeAll(dir string) error { return dirtree.RemoveAll(context.Background(), dir) }
