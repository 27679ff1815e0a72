package executor

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"atelier/internal/dirtree"
	"atelier/internal/fault"
)

// Pack implements [Files].
func (d Directory) Pack(ctx context.Context, dir string, leaveOut func(name string) (this, below bool, err error), out io.Writer) error {
	workspace, err := d.Open()
	if err != nil {
		return err
	}
	defer workspace.Close()
	root, err := workspace.OpenRoot(filepath.FromSlash(path.Join(".", dir)))
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "%q is not a directory of the workspace", path.Join(".", dir))
	}
	defer root.Close()
	p := packer{ctx: ctx, check: d.check, out: tar.NewWriter(out)}
	err = walk(ctx, root, func(e dirtree.Entry) error {
		this, below, err := leaveOut(e.Path)
		if err == nil && !this {
			err = p.entry(e)
		}
		if err == nil && below && e.IsDir() {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		return err
	}
	return p.out.Close()
}

// packer writes a directory to an archive.
type packer struct {
	ctx   context.Context
	check func(f *os.File, name string) (fs.FileInfo, error)
	out   *tar.Writer
}

// entry writes one file, directory or link.
func (p packer) entry(e dirtree.Entry) error {
	switch kind := e.Mode().Type(); kind {
	case 0:
		return p.file(e)
	case fs.ModeDir:
		return p.header(e.Path, e, "")
	case fs.ModeSymlink:
		target, err := e.Dir.Readlink(e.Name())
		if err != nil {
			return unreadable(e, err)
		}
		return p.header(e.Path, e, target)
	default:
		return nil
	}
}

func unreadable(e dirtree.Entry, err error) error {
	return fault.Wrap(err, fault.Invalid, "%q of the workspace cannot be read", e.Path)
}

func (p packer) file(e dirtree.Entry) (err error) {
	f, err := e.Dir.OpenFile(e.Name(), os.O_RDONLY, 0)
	if err != nil {
		return unreadable(e, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := p.check(f, e.Path)
	if err != nil {
		return err
	}
	if err := p.header(e.Path, info, ""); err != nil {
		return err
	}
	_, err = io.CopyN(p.out, untilDone{p.ctx, f}, info.Size())
	return err
}

func (p packer) header(name string, info fs.FileInfo, target string) error {
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return fmt.Errorf("pack %s: %w", name, err)
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname, h.Format = name, 0, 0, "", "", tar.FormatPAX
	if info.IsDir() {
		h.Name += "/"
	}
	return p.out.WriteHeader(h)
}
