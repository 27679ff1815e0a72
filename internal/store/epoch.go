package store

import (
	"context"
	"sync"
	"time"

	"atelier/internal/fault"
)

// epochAge is how long another process's change may stay unseen.
const epochAge = time.Second

// epochCache remembers the epoch for a moment.
type epochCache struct {
	mu      sync.Mutex
	value   int64
	checked time.Time
	failed  time.Time // when the database last did not answer
	failure error     // and what that was
}

// Epoch returns a number that grows when something changes that caches hold: users, keys, tokens, roles, deleted jobs.
// Whoever keeps such things in memory drops them when the number differs from the one of before. A change made through this
// Store is seen at once, one made by another process within a second.
func (s *Store) Epoch(ctx context.Context) (int64, error) {
	c, asked := &s.epoch, time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed.After(asked) { // or those that wait would be told one after another, each after the limit of an operation
		return 0, c.failure
	}
	if now := time.Now(); now.Sub(c.checked) >= epochAge {
		// Under the lock on purpose: the others wait for this answer instead of asking too.
		var value int64
		if err := s.reader.row(ctx, `SELECT value FROM settings WHERE name = 'epoch'`).Scan(&value); err != nil {
			if fault.Is(err, fault.Unavailable) {
				c.failed, c.failure = time.Now(), err
			}
			return 0, err
		}
		c.value, c.checked = max(value, c.value), now
	}
	return c.value, nil
}

// newEpoch, at the end of a transaction, makes every cache forget. It returns what to call after the commit.
func (s *Store) newEpoch(ctx context.Context, t *tx) (committed func(), err error) {
	var value int64
	if err := t.row(ctx, `UPDATE settings SET value = value + 1 WHERE name = 'epoch' RETURNING value`).Scan(&value); err != nil {
		return nil, err
	}
	return func() {
		s.epoch.mu.Lock()
		defer s.epoch.mu.Unlock()
		s.epoch.value = max(value, s.epoch.value)
	}, nil
}

// writeEpoch is write for changes of what caches hold.
func (s *Store) writeEpoch(ctx context.Context, do func(t *tx) error) error {
	var committed func()
	err := s.write(ctx, func(t *tx) error {
		if err := do(t); err != nil {
			return err
		}
		var err error
		committed, err = s.newEpoch(ctx, t)
		return err
	})
	if err == nil {
		committed()
	}
	return err
}
