package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// promise is what holds for a transaction that was committed.
type promise bool

const (
	durable promise = true  // it is never lost
	ordered promise = false // a loss of power may undo it, but not if something durable was committed after it
)

// write runs do in a transaction: committed when it returns nil, undone otherwise. It may run do several times, as a transaction that
// lost a race against another one or its connection is tried again, so do must not touch anything outside of it before it succeeds.
// After a fault.Unavailable nobody knows whether it was committed.
func (s *Store) write(ctx context.Context, do func(t *tx) error) error {
	return s.writeAs(ctx, s.writer, durable, do)
}

// writeOrdered commits without waiting for the disk. Only for state that may be lost with the power, such as a lease, whose owner is
// gone then as well. With PostgreSQL, which may be on another machine, it is write.
func (s *Store) writeOrdered(ctx context.Context, do func(t *tx) error) error {
	return s.writeAs(ctx, s.writer, ordered, do)
}

// writeLeases is writeOrdered for renewals, which must not wait for a connection that something else has.
func (s *Store) writeLeases(ctx context.Context, do func(t *tx) error) error {
	return s.writeAs(ctx, s.leases, ordered, do)
}

func (s *Store) writeAs(ctx context.Context, on *pool, p promise, do func(t *tx) error) error {
	limited, cancel := context.WithTimeout(ctx, on.limit)
	defer cancel()
	once := func() error { return s.transact(limited, on, p, do) }
	if s.turns != nil {
		once = func() error { return s.writeInTurn(limited, p, do) }
	}
	const tries = 8
	var connections retries
	for conflicts := 0; ; {
		err := once()
		switch {
		case s.dialect.isFull(err) && s.room():
			continue
		case isUndone(err) && on.again(limited, &connections, err):
			continue
		case limited.Err() != nil || !s.dialect.isConflict(err):
			return late(ctx, limited, err)
		}
		if conflicts++; conflicts == tries || !pause(limited, time.Duration(conflicts)*5*time.Millisecond) {
			return late(ctx, limited, err)
		}
	}
}

// transact runs do in a transaction of its own, once.
func (s *Store) transact(ctx context.Context, on *pool, p promise, do func(t *tx) error) error {
	sqlTx, done, err := s.dialect.begin(ctx, on.db, p)
	if err != nil {
		return s.dialect.explain(err)
	}
	defer done()
	defer func() { _ = sqlTx.Rollback() }() // does nothing after a commit
	t := &tx{sql: sqlTx, pool: on}
	if s.turns == nil {
		t.ctx = ctx
	}
	if err := do(t); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return commitError{s.dialect.explain(err)}
	}
	if t.noticed {
		select {
		case s.noticed <- struct{}{}:
		default: // whoever listens is about to look
		}
	}
	return nil
}

// turns are those of a database that has one writer at a time. Waiting here is fair and can be given up; waiting for SQLite's lock is
// neither. All that wait when a turn begins share it: they are one transaction, which waits for the disk once.
type turns struct {
	taken   chan struct{} // holds one token during a turn
	mu      sync.Mutex
	waiting []*waiter
}

// waiter is a transaction that waits for its turn.
type waiter struct {
	do      func(t *tx) error
	promise promise
	done    chan error // receives what came of it
}

// maxShared is how many transactions share a turn. Those behind them wait for the next one.
const maxShared = 64

func (s *Store) writeInTurn(ctx context.Context, p promise, do func(t *tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &waiter{do: guarded(do), promise: p, done: make(chan error, 1)}
	s.turns.join(w)
	for {
		select {
		case s.turns.taken <- struct{}{}:
			s.takeTurn()
		case err := <-w.done:
			return err
		case <-ctx.Done():
			if s.turns.leave(w) {
				return ctx.Err()
			}
			return <-w.done // somebody is at it
		}
	}
}

func (t *turns) join(w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, w)
}

// leave takes a transaction back; false when its turn has begun.
func (t *turns) leave(w *waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, w)
	if i < 0 {
		return false
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	return true
}

// next takes those away whose turn it is.
func (t *turns) next() []*waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.waiting), maxShared)
	now := slices.Clone(t.waiting[:n])
	t.waiting = slices.Delete(t.waiting, 0, n)
	return now
}

// takeTurn runs the transactions that wait, as one, and gives the turn back. If that fails as a whole each is run by itself, so that none
// fails for another. One whose caller has given up goes on if its turn has begun: nobody would know else what came of it.
func (s *Store) takeTurn() {
	ctx, now := context.Background(), s.turns.next()
	results := slices.Repeat([]error{errPanic}, len(now))
	defer func() {
		for i, w := range now {
			w.done <- results[i]
		}
		<-s.turns.taken
	}()
	if len(now) > 1 {
		err := s.transact(ctx, s.writer, strictest(now), shared(now, results))
		if err == nil {
			return
		}
		if s.dialect.isConflict(err) { // with another process, as each by itself would have
			results = slices.Repeat([]error{err}, len(now))
			return
		}
	}
	for i, w := range now {
		results[i] = s.transact(ctx, s.writer, w.promise, w.do)
	}
}

// strictest is the promise that keeps those of all.
func strictest(all []*waiter) promise {
	return promise(slices.ContainsFunc(all, func(w *waiter) bool { return w.promise == durable }))
}

// shared is one transaction of several, each of which can fail by itself.
func shared(all []*waiter, results []error) func(t *tx) error {
	return func(t *tx) error {
		for i, w := range all {
			if err := t.nested(w.do, &results[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

// nested runs do as a part of the transaction, and undoes that part when its result is an error. The error that it returns is that of the
// whole transaction.
func (t *tx) nested(do func(t *tx) error, result *error) error {
	ctx := context.Background()
	if _, err := t.sql.ExecContext(ctx, "SAVEPOINT part"); err != nil {
		return err
	}
	noticed := t.noticed
	if *result = do(t); *result != nil {
		t.noticed = noticed
		if _, err := t.sql.ExecContext(ctx, "ROLLBACK TO part"); err != nil {
			return err
		}
	}
	_, err := t.sql.ExecContext(ctx, "RELEASE part")
	return err
}

// guarded makes an error of a panic, which is not for whoever has the turn.
func guarded(do func(t *tx) error) func(t *tx) error {
	return func(t *tx) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = errors.Join(errPanic, fmt.Errorf("%v\n%s", p, debug.Stack()))
			}
		}()
		return do(t)
	}
}

var errPanic = errors.New("panic in a transaction")
