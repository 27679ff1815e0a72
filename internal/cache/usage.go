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
	Key
	Bytes int64
	Used  time.Time // last, by a build
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
		all = append(all, Usage{Key: k, Bytes: g.bytes, Used: info.ModTime()})
	}
	slices.SortFunc(all, byAge)
	return all, nil
}

// Clear empties the caches of a tenant of a project and a tool, or of all where these are empty. A store may be working there: builds keep their layers, but
// what they had from a cache does not come back with them. It returns what the caches held.
func Clear(dir, tenant, project, tool string) ([]Usage, error) {
	all, err := Usages(dir)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(u Usage) bool {
		return u.Tenant != tenant || project != "" && u.Project != project || tool != "" && u.Tool != tool
	})
	for _, u := range all {
		if _, err := empty(dir, u.Key, unix.LOCK_EX); err != nil {
			return nil, fmt.Errorf("clear the cache %s: %w", u.Tool, err)
		}
	}
	return all, nil
}

// empty removes what a cache holds; false when it would have had to wait for a lock and how forbids that.
func empty(dir string, k Key, how int) (bool, error) {
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
	slices.SortFunc(all, toEvict)
	for _, u := range all {
		if total <= s.limit {
			break
		}
		if s.isInUse(u.Key) {
			continue
		}
		gone, err := empty(s.dir, u.Key, unix.LOCK_EX|unix.LOCK_NB)
		if err != nil {
			return fmt.Errorf("make room for caches: %w", err)
		}
		if gone {
			total -= u.Bytes
		}
	}
	return nil
}

func (s *Store) isInUse(k Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inUse[k] > 0
}
