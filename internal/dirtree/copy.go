package dirtree

import (
	"errors"
	"os"
)

// errNoFile is the error of what cannot be copied.
var errNoFile = errors.New("it is neither a file nor a symbolic link")

// CopyFile copies a file or a link, with its mode and the time of its last change, to a name in another directory that is free. Where
// the file system can, the copy shares the blocks of the disk until one of both is written to.
func CopyFile(from *Dir, name string, to *Dir, newName string) (err error) {
	info, err := from.Stat(name)
	if err != nil {
		return err
	}
	if info.IsLink() {
		target, err := from.Readlink(name)
		if err != nil {
			return err
		}
		return to.Symlink(target, newName)
	}
	src, err := from.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	opened, err := src.Stat()
	if err != nil {
		return err
	}
	if !opened.Mode().IsRegular() {
		return from.failed("copy", name, errNoFile)
	}
	dst, err := to.OpenFile(newName, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if opened.Size() > 0 && !clone(dst, src) {
		if _, err := dst.ReadFrom(src); err != nil {
			return err
		}
	}
	if err := dst.Chmod(opened.Mode().Perm()); err != nil {
		return err
	}
	return to.Chtimes(newName, opened.ModTime())
}
