// Package cache keeps what the tools of builds would otherwise download or make again: one directory for each tenant and tool.
//
// What is kept is a generation: a directory that nobody changes. A build works on a layer, a copy of its own. When the build has
// succeeded, the layer is merged with what others have saved meanwhile and becomes the next generation, by one rename. So builds at
// the same time never see each other's files, one that fails changes nothing, and whenever the server is killed there is a whole
// generation. On the disk:
//
//	tenants/TENANT/TOOL/NUMBER-BYTES/  the generation; of several, the one with the highest number counts
//	tenants/TENANT/TOOL/lock           held by who reads or replaces a generation; its time is that of the last use
//	layers/TOOL-N/                     the layers of running builds
//	old/                               what is being removed
//
// A layer's name is the lowest that is free, not the build's: Go's compiler takes the path of a source file for part of it, so that
// what one build has compiled helps only a build that has its modules at the same place.
package cache

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Store holds the caches of all tenants. It may be used by many goroutines; one process at a time has a store of a directory.
type Store struct {
	// Share says that files which no tool changes may be shared by a cache and the layers of running builds. It is for builds that
	// have another user than the server: who owns a file can change it, whatever its mode is.
	Share bool

	dir   string
	limit int64

	evicting sync.Mutex

	mu    sync.Mutex
	taken map[string]bool // names of layers
	inUse map[key]int     // layers of a cache
}

// key says whose cache it is, and of what.
type key struct{ tenant, tool string }

// Open opens a directory that belongs to the store alone. All generations together have at most limit bytes; what no build uses goes first
// that was not used for the longest time.
func Open(dir string, limit int64) (*Store, error) {
	for _, name := range []string{"layers", "old", "tenants"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, fmt.Errorf("make the directory of caches: %w", err)
		}
	}
	return &Store{dir: dir, limit: limit, taken: make(map[string]bool), inUse: make(map[key]int)}, nil
}

// Recover removes what a store that was killed left in the directory. It is called once, before the first layer is taken, and when nothing
// runs any more that could write to an old one.
func (s *Store) Recover() error {
	failed := s.clear()
	keys, err := list(s.dir)
	if err != nil {
		return errors.Join(failed, err)
	}
	for _, k := range keys {
		if err := s.removeSuperseded(k); err != nil {
			return fmt.Errorf("remove what a killed server left of the cache %s: %w", k.tool, err)
		}
	}
	if failed != nil {
		return fmt.Errorf("remove what a killed server left of its caches: %w", failed)
	}
	return s.evict()
}

// clear removes all layers, and what is left of what was to be removed. What cannot be removed stays among the latter.
func (s *Store) clear() error {
	layers, old := filepath.Join(s.dir, "layers"), filepath.Join(s.dir, "old")
	if err := errors.Join(os.Rename(layers, filepath.Join(old, rand.Text())), os.Mkdir(layers, 0o700)); err != nil {
		return err
	}
	entries, err := os.ReadDir(old)
	for _, e := range entries {
		err = errors.Join(err, removeAll(filepath.Join(old, e.Name())))
	}
	return err
}

// removeSuperseded removes all generations but the one that counts.
func (s *Store) removeSuperseded(k key) error {
	all, err := generations(s.dir, k)
	if err != nil || len(all) == 0 {
		return err
	}
	for _, g := range all[:len(all)-1] {
		if err := discard(s.dir, g.path); err != nil {
			return err
		}
	}
	return nil
}

// Take makes a layer with what a tenant's cache of a tool holds. Whoever takes it ends its use with [Layer.Close].
func (s *Store) Take(ctx context.Context, tenant, tool string) (_ *Layer, err error) {
	k := key{tenant, tool}
	if !isName(tenant) || !isName(tool) {
		return nil, fmt.Errorf("the cache of %q for %q cannot be named", tenant, tool)
	}
	l := &Layer{store: s, key: k, name: s.takeName(k)}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if err := os.Mkdir(l.Dir(), 0o700); err != nil {
		return nil, fmt.Errorf("make a layer: %w", err)
	}
	return l, l.restore(ctx)
}

// takeName returns the lowest name of a layer that is free.
func (s *Store) takeName(k key) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inUse[k]++
	for n := 0; ; n++ {
		if name := k.tool + "-" + strconv.Itoa(n); !s.taken[name] {
			s.taken[name] = true
			return name
		}
	}
}

func (s *Store) leaveName(k key, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, name)
	if s.inUse[k]--; s.inUse[k] == 0 {
		delete(s.inUse, k)
	}
}

// isName reports whether something can name a directory in another.
func isName(s string) bool { return fs.ValidPath(s) && s != "." && !strings.ContainsAny(s, "/\x00") }

func toolDir(dir string, k key) string { return filepath.Join(dir, "tenants", k.tenant, k.tool) }

// generation is one state of a cache.
type generation struct {
	path   string
	number int64
	bytes  int64
}

// generations returns those of a cache, in order; usually one or none.
func generations(dir string, k key) ([]generation, error) {
	entries, err := os.ReadDir(toolDir(dir, k)) // by name, which is the order of the numbers: they have leading zeros
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []generation
	for _, entry := range entries {
		number, bytes, ok := strings.Cut(entry.Name(), "-")
		n, err1 := strconv.ParseInt(number, 10, 64)
		b, err2 := strconv.ParseInt(bytes, 10, 64)
		if ok && err1 == nil && err2 == nil {
			all = append(all, generation{path: filepath.Join(toolDir(dir, k), entry.Name()), number: n, bytes: b})
		}
	}
	return all, err
}

// current returns the generation that counts, which has an empty path when there is none. The cache has to be locked.
func current(dir string, k key) (generation, error) {
	all, err := generations(dir, k)
	if err != nil || len(all) == 0 {
		return generation{}, err
	}
	return all[len(all)-1], nil
}

// next returns the path of the generation after one. A number never comes again, also after the cache was cleared.
func (g generation) next(dir string, k key, bytes int64) string {
	number := max(time.Now().UnixNano(), g.number+1)
	return filepath.Join(toolDir(dir, k), fmt.Sprintf("%020d-%d", number, bytes))
}

// lock locks a cache: shared to read its generation, exclusive to replace it, and not at all when that would have to wait and how has
// unix.LOCK_NB. Processes and goroutines keep each other out alike.
func lock(dir string, k key, how int) (*os.File, error) {
	if err := os.MkdirAll(toolDir(dir, k), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(toolDir(dir, k), "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock the cache: %w", err)
		}
	}
}

// discard removes a directory: at once for all who look, and then in fact. What cannot be removed is tried again by [Store.Recover].
func discard(dir, path string) error {
	old := filepath.Join(dir, "old", rand.Text())
	if err := os.Rename(path, old); err != nil {
		return err
	}
	_ = removeAll(old)
	return nil
}

// list returns the keys of all caches, also of those that hold nothing.
func list(dir string) ([]key, error) {
	tenants, err := os.ReadDir(filepath.Join(dir, "tenants"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the caches: %w", err)
	}
	var keys []key
	for _, tenant := range tenants {
		tools, err := os.ReadDir(filepath.Join(dir, "tenants", tenant.Name()))
		if err != nil {
			return nil, fmt.Errorf("list the caches: %w", err)
		}
		for _, tool := range tools {
			keys = append(keys, key{tenant.Name(), tool.Name()})
		}
	}
	return keys, nil
}

// byAge orders caches, the one that was not used for the longest time first.
func byAge(a, b Usage) int {
	return cmp.Or(a.Used.Compare(b.Used), strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Tool, b.Tool))
}
