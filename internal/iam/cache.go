package iam

import (
	"context"
	"sync"
)

// cacheSize bounds a generation of a cache; there are two.
const cacheSize = 4096

// cache keeps what was read from the store for as long as the epoch stays the same.
//
// There are two generations of entries. When the young one is full it becomes the old one, and what was in the old one and was not
// asked for since is gone. So the cache is bounded, and what is asked for often stays. Errors are not kept.
type cache[K comparable, V any] struct {
	epoch func(context.Context) (int64, error)
	load  func(context.Context, K) (V, error)

	mu         sync.RWMutex
	at         int64 // the epoch of what is kept
	young, old map[K]V
}

func newCache[K comparable, V any](epoch func(context.Context) (int64, error), load func(context.Context, K) (V, error)) *cache[K, V] {
	return &cache[K, V]{epoch: epoch, load: load}
}

// get returns what is stored under a key.
func (c *cache[K, V]) get(ctx context.Context, key K) (V, error) {
	// The epoch comes first: what changes after this line has another one, so it cannot be kept under this one for long.
	epoch, err := c.epoch(ctx)
	if err != nil {
		var none V
		return none, err
	}
	c.mu.RLock()
	current := c.at == epoch
	value, ok := c.young[key]
	aged := false
	if !ok {
		value, ok = c.old[key]
		aged = ok
	}
	c.mu.RUnlock()
	switch {
	case ok && current && !aged:
		return value, nil
	case ok && current:
	default:
		if value, err = c.load(ctx, key); err != nil {
			return value, err
		}
	}
	c.put(epoch, key, value)
	return value, nil
}

func (c *cache[K, V]) put(epoch int64, key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch < c.at {
		return // read before a change that others have seen already
	}
	if epoch > c.at {
		c.young, c.old, c.at = nil, nil, epoch
	}
	if len(c.young) >= cacheSize {
		c.young, c.old = nil, c.young
	}
	if c.young == nil {
		c.young = make(map[K]V)
	}
	c.young[key] = value
}
