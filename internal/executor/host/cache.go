package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"atelier/internal/dirtree"
	"atelier/internal/executor"
	"atelier/internal/fault"
)

// bring puts a build's copy of a cache where a step can use it, and returns how the step calls it, and what puts it back afterwards. Steps
// that are kept from the server's files get it in the build's directory, which is all that they have of them.
func (s *session) bring(ctx context.Context, c executor.Cache) (dir string, back func() error, err error) {
	if s.executor.bubblewrap == nil && s.owner.user == 0 {
		return c.Dir, func() error { return nil }, nil
	}
	layers, err := dirtree.Open(filepath.Dir(c.Dir))
	if err != nil {
		return "", nil, fmt.Errorf("open the directory of caches: %w", err)
	}
	b := broughtCache{session: s, layers: layers, layer: filepath.Base(c.Dir), name: "cache-" + filepath.Base(c.Tool)}
	if err := b.give(ctx); err != nil {
		return "", nil, errors.Join(fmt.Errorf("bring the cache %s to the build: %w", c.Tool, err), layers.Close())
	}
	back = func() error {
		if err := errors.Join(b.takeBack(ctx), layers.Close()); err != nil {
			return fmt.Errorf("take the cache %s back from the build: %w", c.Tool, err)
		}
		return nil
	}
	return filepath.Join(s.insidePath, b.name), back, nil
}

// broughtCache is a build's copy of a cache that is in the build's directory for a while.
type broughtCache struct {
	*session
	layers *dirtree.Dir // the server's own directory, from which the copy comes
	layer  string       // its name there
	name   string       // and in the build's directory
	shared map[uint64]bool
}

// give makes the copy the steps' own, and moves it. Files that it shares with the cache itself stay as they are, if the steps can read them;
// of others it gets copies.
func (b *broughtCache) give(ctx context.Context) error {
	dir, err := b.layers.OpenDir(b.layer)
	if err != nil {
		return err
	}
	defer dir.Close()
	if b.owner.user != 0 {
		b.shared = make(map[uint64]bool)
		if err := errors.Join(dir.Walk(ctx, b.giveEntry), dir.Own(b.owner.user, b.owner.group)); err != nil {
			return err
		}
	}
	if err := b.discard(ctx, b.name); err != nil { // which an earlier step may have made
		return err
	}
	return b.layers.Rename(b.layer, b.buildDir, b.name)
}

func (b *broughtCache) giveEntry(e dirtree.Entry) error {
	if e.Owner() == b.owner.user {
		return nil
	}
	if e.Mode().IsRegular() && e.Links() > 1 {
		if e.Mode().Perm()&0o004 != 0 {
			b.shared[e.ID()] = true
			return nil
		}
		if err := replaceByCopy(e.Dir, e.Name()); err != nil {
			return err
		}
	}
	return b.owner.give(e.Dir, e.Name())
}

// takeBack moves the copy into the server's directory, and makes it the server's: what becomes part of the cache must not be for a later
// build to change. Whoever has a handle of it may still be changing things.
func (b *broughtCache) takeBack(ctx context.Context) error {
	info, err := b.buildDir.Stat(b.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the step removed it, so there is nothing to save
	}
	if err == nil && info.IsDir() {
		err = b.buildDir.Chmod(b.name, 0o700) // who is not root could not move it otherwise
	}
	if err == nil {
		err = b.buildDir.Rename(b.name, b.layers, b.layer)
	}
	if err != nil || !info.IsDir() || b.owner.user == 0 {
		return err
	}
	dir, err := b.layers.OpenDir(b.layer)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Own(os.Geteuid(), os.Getegid()); err != nil {
		return err
	}
	err = dir.Walk(ctx, b.takeEntry)
	if errors.Is(err, dirtree.ErrTooDeep) {
		return fault.Wrap(err, fault.Invalid, "what the step put into its cache is nested too deep")
	}
	return err
}

// takeEntry takes one entry back. A file of others that the server did not put there is one from elsewhere to which a step gave a name
// here, where the kernel lets users link files that are not theirs: the next build would get a copy of it.
func (b *broughtCache) takeEntry(e dirtree.Entry) error {
	if e.Mode().IsRegular() && e.Owner() != b.owner.user {
		if b.shared[e.ID()] && e.Owner() == os.Geteuid() {
			return nil
		}
		return e.Dir.Remove(e.Name())
	}
	return e.Chown(os.Geteuid(), os.Getegid())
}
