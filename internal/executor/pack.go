package executor

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"atelier/internal/fault"
)

// Pack implements [Files].
func (d Directory) Pack(ctx context.Context, dir string, leaveOut func(name string) (this, below bool, err error), out io.Writer) error {
	return d.PackAllowed(ctx, dir, leaveOut, func(fs.FileInfo) bool { return true }, out)
}

// PackAllowed does the same, and refuses files that are not allowed.
func (d Directory) PackAllowed(ctx context.Context, dir string, leaveOut func(name string) (this, below bool, err error), allowed func(fs.FileInfo) bool, out io.Writer) error {
	workspace, err := d.open()
	if err != nil {
		return err
	}
	defer workspace.Close()
	root, err := workspace.OpenRoot(filepath.FromSlash(path.Join(".", dir)))
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "%q is not a directory of the workspace", path.Join(".", dir))
	}
	defer root.Close()
	p := packer{ctx: ctx, root: root, leaveOut: leaveOut, allowed: allowed, out: tar.NewWriter(out)}
	if err := p.directory(""); err != nil {
		return err
	}
	return p.out.Close()
}

// packer writes a directory to an archive.
type packer struct {
	ctx      context.Context
	root     *os.Root
	leaveOut func(name string) (this, below bool, err error)
	allowed  func(fs.FileInfo) bool
	out      *tar.Writer
}

func (p packer) directory(dir string) error {
	entries, err := readDir(p.root, dir)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "the directory %q of the workspace cannot be read", dir)
	}
	for _, entry := range entries {
		if p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		name := path.Join(dir, entry.Name())
		this, below, err := p.leaveOut(name)
		if err != nil {
			return err
		}
		if !this {
			if err := p.entry(name, entry.Type()); err != nil {
				return err
			}
		}
		if entry.IsDir() && !below {
			if err := p.directory(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry writes one file, directory or link.
func (p packer) entry(name string, kind fs.FileMode) error {
	if !kind.IsRegular() && !kind.IsDir() && kind != fs.ModeSymlink {
		return nil
	}
	unreadable := func(err error) error {
		return fault.Wrap(err, fault.Invalid, "%q of the workspace cannot be read", name)
	}
	system := filepath.FromSlash(name)
	if kind != fs.ModeSymlink && !kind.IsRegular() {
		info, err := p.root.Lstat(system)
		if err != nil {
			return unreadable(err)
		}
		return p.header(name, info, "")
	}
	if kind == fs.ModeSymlink {
		info, err := p.root.Lstat(system)
		if err != nil {
			return unreadable(err)
		}
		target, err := p.root.Readlink(system)
		if err != nil {
			return unreadable(err)
		}
		return p.header(name, info, target)
	}
	f, err := p.root.OpenFile(system, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return unreadable(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return unreadable(err)
	}
	if !p.allowed(info) {
		return fault.New(fault.Invalid, "%q is not a file of the build's user", name)
	}
	if err := p.header(name, info, ""); err != nil {
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
