package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Usage says how large a cache is.
type Usage struct {
	Tenant string
	Tool   string
	Bytes  int64
	Used   time.Time // last, by a build
}

// Usages returns the caches in a directory that hold something, the one that was not used for the longest time first. A store may be
// working there.
func Usages(dir string) ([]Usage, error) {
	keys, err := list(dir)
	if err != nil {
		return nil, err
	}
	var all []Usage
	for _, k := range keys {
		g, err := current(dir, k)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(filepath.Join(toolDir(dir, k), "lock"))
		if g.path == "" || err != nil {
			continue
		}
		all = append(all, Usage{Tenant: k.tenant, Tool: k.tool, Bytes: g.bytes, Used: info.ModTime()})
	}
	slices.SortFunc(all, byAge)
	return all, nil
}

// Clear empties caches of a tenant: that of a tool, or all when tool is empty. A store may be working there: builds keep their layers, but
// what they had from a cache does not come back with them. It returns what the caches held.
func Clear(dir, tenant, tool string) ([]Usage, error) {
	all, err := Usages(dir)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(u Usage) bool { return u.Tenant != tenant || tool != "" && u.Tool != tool })
	for _, u := range all {
		if _, err := empty(dir, key{u.Tenant, u.Tool}, unix.LOCK_EX); err != nil {
			return nil, fmt.Errorf("clear the cache %s: %w", u.Tool, err)
		}
	}
	return all, nil
}

// empty removes what a cache holds; false when it would have had to wait for a lock and how forbids that.
func empty(dir string, k key, how int) (bool, error) {
	held, err := lock(dir, k, how)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer held.Close()
	all, err := generations(dir, k)
	for _, g := range all {
		err = errors.Join(err, discard(dir, g.path))
	}
	return err == nil, err
}

// evict empties caches until the limit is kept. One that a build uses stays, even if that means that it cannot be kept.
func (s *Store) evict() error {
	s.evicting.Lock()
	defer s.evicting.Unlock()
	all, err := Usages(s.dir)
	if err != nil {
		return err
	}
	var total int64
	for _, u := range all {
		total += u.Bytes
	}
	for _, u := range all {
		if total <= s.limit {
			break
		}
		k := key{u.Tenant, u.Tool}
		if s.isInUse(k) {
			continue
		}
		gone, err := empty(s.dir, k, unix.LOCK_EX|unix.LOCK_NB)
		if err != nil {
			return fmt.Errorf("make room for caches: %w", err)
		}
		if gone {
			total -= u.Bytes
		}
	}
	return nil
}

func (s *Store) isInUse(k key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inUse[k] > 0
}
