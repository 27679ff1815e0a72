package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Layer is a build's own copy of a cache. It is used by one goroutine at a time.
type Layer struct {
	store *Store
	key   Key
	name  string
	base  string // path of the generation of its own cache that was copied; it may be gone
	files files  // as they were copied
}

// Tool returns the name of the tool.
func (l *Layer) Tool() string { return l.key.Tool }

// Dir returns the directory, which lasts until the layer is saved or closed.
func (l *Layer) Dir() string { return filepath.Join(l.store.dir, "layers", l.name) }

// Bytes returns how much the cache held when the layer was made.
func (l *Layer) Bytes() int64 { return l.files.bytes() }

// restore copies what the layer begins with into it.
func (l *Layer) restore(ctx context.Context) error {
	for _, k := range l.key.sources() {
		if found, err := l.restoreFrom(ctx, k); found || err != nil {
			return err
		}
	}
	return nil
}

// restoreFrom copies the generation of a cache that counts into the new layer, if there is one. What comes from another cache than
// the layer's own is copied in full: of a file with two names, who may change the one changes the other.
func (l *Layer) restoreFrom(ctx context.Context, k Key) (found bool, err error) {
	held, err := lock(l.store.dir, k, unix.LOCK_SH)
	if err != nil {
		return false, err
	}
	defer held.Close()
	g, err := current(l.store.dir, k)
	if err != nil || g.path == "" && k != l.key {
		return false, err
	}
	now := time.Now()
	if err := os.Chtimes(held.Name(), now, now); err != nil {
		return false, fmt.Errorf("note that a cache is used: %w", err)
	}
	if g.path == "" {
		return false, nil
	}
	if k == l.key {
		l.base = g.path
	}
	if l.files, err = copyTree(ctx, l.key.Tool, g.path, l.Dir(), l.store.Share && k == l.key); err != nil {
		return false, fmt.Errorf("restore a cache: %w", err)
	}
	return true, nil
}

// Saved is what became of a layer.
type Saved struct {
	Bytes     int64 // that the cache holds now
	Unchanged bool  // the build changed nothing
	TooLarge  bool  // the layer alone is more than the limit, so the cache holds nothing now
}

// Save makes the layer what the cache holds, for builds that begin from now on. What other builds have saved since the layer was made
// is kept, and what this one removed is not. No process may use the layer any more; it is to be closed then. After an error, the
// cache is as it was.
func (l *Layer) Save(ctx context.Context) (Saved, error) {
	held, err := lock(l.store.dir, l.key, unix.LOCK_EX)
	if err != nil {
		return Saved{}, err
	}
	saved, err := l.replace(ctx)
	held.Close()
	if err != nil {
		return saved, fmt.Errorf("save a cache: %w", err)
	}
	return saved, l.store.evict()
}

// replace makes the layer the next generation. The cache is locked.
func (l *Layer) replace(ctx context.Context) (Saved, error) {
	if err := os.Mkdir(l.Dir(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) { // a build may remove all of it
		return Saved{}, err
	}
	own, err := scan(ctx, l.Dir())
	if err != nil {
		return Saved{}, err
	}
	before, err := current(l.store.dir, l.key)
	if err != nil {
		return Saved{}, err
	}
	if before.path == l.base && maps.Equal(own, l.files) {
		return Saved{Bytes: before.bytes, Unchanged: true}, nil
	}
	if before.path != l.base {
		if own, err = l.merge(ctx, own, before.path); err != nil {
			return Saved{}, err
		}
	}
	bytes := own.bytes()
	if bytes > l.store.limit {
		for _, g := range []string{before.path, l.Dir()} {
			if g != "" {
				err = errors.Join(err, discard(l.store.dir, g))
			}
		}
		return Saved{TooLarge: true}, err
	}
	if err := syncFiles(l.Dir()); err != nil {
		return Saved{}, err
	}
	if err := os.Rename(l.Dir(), before.next(l.store.dir, l.key, bytes)); err != nil {
		return Saved{}, err
	}
	if before.path != "" {
		err = discard(l.store.dir, before.path)
	}
	return Saved{Bytes: bytes}, err
}

// merge brings into the layer what other builds have done to the cache since the layer was made from its base. Of a file that both have
// changed, the layer's counts.
func (l *Layer) merge(ctx context.Context, own files, latest string) (files, error) {
	theirs := files{}
	if latest != "" {
		var err error
		if theirs, err = scan(ctx, latest); err != nil {
			return nil, err
		}
	}
	for name, f := range own {
		if _, stays := theirs[name]; !stays && l.files[name] == f {
			if err := removeFile(l.Dir(), name); err != nil {
				return nil, err
			}
			delete(own, name)
		}
	}
	for name, f := range theirs {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		mine, have := own[name]
		was, had := l.files[name]
		switch {
		case !have && had, have && (!had || mine != was), have && mine == f:
			continue // removed, changed, or the same
		}
		added, err := adopt(latest, l.Dir(), name)
		if err != nil {
			return nil, err
		}
		if added {
			own[name] = f
		}
	}
	return own, nil
}

// Close removes what is left of the layer. It may be called again.
func (l *Layer) Close() error {
	if l.name == "" {
		return nil
	}
	err := discard(l.store.dir, l.Dir())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("remove a layer: %w", err) // nobody gets its name
	}
	l.store.leaveName(l.key, l.name)
	l.name = ""
	return nil
}
