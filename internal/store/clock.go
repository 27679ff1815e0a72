package store

import (
	"context"
	"sync"
	"time"
)

// clock is the time of the database.
type clock struct {
	mu    sync.Mutex
	then  time.Time // what the database said; zero where it has no clock of its own
	asked time.Time // when that was
}

// Now returns the time by which builds are queued and leases last. Where servers may share the database it is the database's, so that a
// server whose clock is wrong, or jumps, takes no builds of others for lost and no place in the queue that is not its own.
func (s *Store) Now() time.Time {
	c := &s.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.then.IsZero() {
		return time.Now()
	}
	return c.then.Add(time.Since(c.asked)) // which heeds no jump of this machine's clock
}

// maxClockDelay is how long an answer about the time may take: it may be wrong by half of that.
const maxClockDelay = time.Second

// setClock asks the database for its time, where it has one. An answer that took long is not used, unless there was none before.
func (s *Store) setClock(ctx context.Context) error {
	query := s.dialect.time()
	if query == "" {
		return nil
	}
	var then time.Time
	began := time.Now()
	if err := s.reader.row(ctx, query).Scan(&then); err != nil {
		return err
	}
	took := time.Since(began)
	c := &s.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.then.IsZero() || took <= maxClockDelay {
		c.then, c.asked = then, began.Add(took/2)
	}
	return nil
}
