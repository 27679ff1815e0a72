// Package cache keeps what the tools of builds would otherwise download or make again: for each project and tool, one directory of
// builds of protected branches, and one of all others. The first is what the others begin with as long as they have none of their
// own; nothing of the second ever gets into the first.
//
// What is kept is a generation: a directory that nobody changes. A build works on a layer, a copy of its own. When the build has
// succeeded, the layer is merged with what others have saved meanwhile and becomes the next generation, by one rename. So builds at
// the same time never see each other's files, one that fails changes nothing, and whenever the server is killed there is a whole
// generation. On the disk:
//
//	projects/TENANT/PROJECT/protected/TOOL/NUMBER-BYTES/  the generation; of several, the one with the highest number counts
//	projects/TENANT/PROJECT/protected/TOOL/lock           held by who reads or replaces a generation; its time is that of the last use
//	projects/TENANT/PROJECT/unprotected/TOOL/             the same of builds of branches that are not protected
//	layers/TOOL-N/                                        the layers of running builds
//	old/                                                  what is being removed
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
	inUse map[Key]int     // layers of a cache
}

// Key says whose cache it is, and of what.
type Key struct {
	Tenant    string
	Project   string
	Tool      string
	Protected bool // of builds of protected branches
}

// place is the name of the directory that holds the caches of a project.
func (k Key) place() string {
	if k.Protected {
		return "protected"
	}
	return "unprotected"
}

// sources are the caches that a new layer is made from, the first that holds something.
func (k Key) sources() []Key {
	if k.Protected {
		return []Key{k}
	}
	protected := k
	protected.Protected = true
	return []Key{k, protected}
}

// Open opens a directory that belongs to the store alone. All generations together have at most limit bytes; what no build uses goes first
// that was not used for the longest time.
func Open(dir string, limit int64) (*Store, error) {
	for _, name := range []string{"layers", "old", root} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, fmt.Errorf("make the directory of caches: %w", err)
		}
	}
	return &Store{dir: dir, limit: limit, taken: make(map[string]bool), inUse: make(map[Key]int)}, nil
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
			return fmt.Errorf("remove what a killed server left of the cache %s: %w", k.Tool, err)
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
func (s *Store) removeSuperseded(k Key) error {
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

// Take makes a layer with what a cache holds; one that is not protected and holds nothing begins with what the protected one does.
// Whoever takes a layer ends its use with [Layer.Close].
func (s *Store) Take(ctx context.Context, k Key) (_ *Layer, err error) {
	if !isName(k.Tenant) || !isName(k.Project) || !isName(k.Tool) {
		return nil, fmt.Errorf("the cache of %q in %q for %q cannot be named", k.Tenant, k.Project, k.Tool)
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
func (s *Store) takeName(k Key) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inUse[k]++
	for n := 0; ; n++ {
		if name := k.Tool + "-" + strconv.Itoa(n); !s.taken[name] {
			s.taken[name] = true
			return name
		}
	}
}

func (s *Store) leaveName(k Key, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, name)
	if s.inUse[k]--; s.inUse[k] == 0 {
		delete(s.inUse, k)
	}
}

// isName reports whether something can name a directory in another.
func isName(s string) bool { return fs.ValidPath(s) && s != "." && !strings.ContainsAny(s, "/\x00") }

// root is the name of the directory with the caches of all projects.
const root = "projects"

func toolDir(dir string, k Key) string {
	return filepath.Join(dir, root, k.Tenant, k.Project, k.place(), k.Tool)
}

// generation is one state of a cache.
type generation struct {
	path   string
	number int64
	bytes  int64
}

// generations returns those of a cache, in order; usually one or none.
func generations(dir string, k Key) ([]generation, error) {
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
func current(dir string, k Key) (generation, error) {
	all, err := generations(dir, k)
	if err != nil || len(all) == 0 {
		return generation{}, err
	}
	return all[len(all)-1], nil
}

// next returns the path of the generation after one. A number never comes again, also after the cache was cleared.
func (g generation) next(dir string, k Key, bytes int64) string {
	number := max(time.Now().UnixNano(), g.number+1)
	return filepath.Join(toolDir(dir, k), fmt.Sprintf("%020d-%d", number, bytes))
}

// lock locks a cache: shared to read its generation, exclusive to replace it, and not at all when that would have to wait and how has
// unix.LOCK_NB. Processes and goroutines keep each other out alike.
func lock(dir string, k Key, how int) (*os.File, error) {
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
func list(dir string) (keys []Key, err error) {
	places, err := fs.Glob(os.DirFS(dir), root+"/*/*/*/*/lock") // what else is there is not of this package
	if err != nil {
		return nil, fmt.Errorf("list the caches: %w", err)
	}
	for _, place := range places {
		parts := strings.Split(place, "/")
		k := Key{Tenant: parts[1], Project: parts[2], Tool: parts[4], Protected: parts[3] == "protected"}
		if k.place() == parts[3] {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// byAge orders caches, the one that was not used for the longest time first.
func byAge(a, b Usage) int {
	return cmp.Or(a.Used.Compare(b.Used), strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Project, b.Project), strings.Compare(a.Tool, b.Tool),
		strings.Compare(a.place(), b.place()))
}

// toEvict orders caches for their removal: those of protected branches last, so that others cannot displace them, and then by age.
func toEvict(a, b Usage) int {
	switch {
	case a.Protected == b.Protected:
		return byAge(a, b)
	case b.Protected:
		return -1
	default:
		return 1
	}
}
