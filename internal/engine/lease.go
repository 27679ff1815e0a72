package engine

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// A lease is renewed at every renewInterval, so a build outlasts a database that is away for nearly
//
//	LeaseTime - leaseMargin - renewInterval = 45 s - 15 s - 1 s
//
// whenever that begins. All durations are fractions of LeaseTime; the comments have those of the default, 45 s.

// renewInterval is the pause between renewals: 1 s.
func (e *Engine) renewInterval() time.Duration { return e.LeaseTime / 45 }

// renewTimeout bounds one renewal, so that a connection that hangs costs a part of the lease and not all of it: 5 s.
func (e *Engine) renewTimeout() time.Duration { return e.LeaseTime / 9 }

// storeTimeout bounds every other call of the store: 15 s.
func (e *Engine) storeTimeout() time.Duration { return e.LeaseTime / 3 }

// sweepInterval is the pause between looks for lost builds, which are found within LeaseTime + sweepInterval: 5 s.
func (e *Engine) sweepInterval() time.Duration { return e.LeaseTime / 9 }

// leaseMargin is the last part of a lease, in which the processes of its build end: 15 s, of which they may use [executor.Grace].
// When another engine may take the build nothing of it runs any more.
func (e *Engine) leaseMargin() time.Duration { return e.LeaseTime / 3 }

// running returns the builds that this engine runs.
func (e *Engine) running() map[build.RecordID]*run {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.active)
}

// renew extends the leases of the builds that run. A build that the database no longer knows as this engine's is ended. A renewal
// that fails or is late changes nothing; the next one may succeed. See [run.extend] for builds whose lease runs out.
func (e *Engine) renew() {
	running := e.running() // before the database is asked: a build that is leased later need not be among the answers
	if len(running) == 0 {
		return
	}
	sent := time.Now()
	held, err := e.Queue.Renew(e.base, e.Owner, e.Now().Add(e.LeaseTime))
	if e.failing("renew leases", err) {
		return
	}
	for _, h := range held {
		r := running[h.ID]
		if r == nil || r.lease.Fence != h.Fence {
			continue
		}
		delete(running, h.ID)
		r.extend(sent)
		if h.StopRequested {
			r.cancel(errStopped) // by way of another server
		}
	}
	for _, r := range running {
		r.cancel(errLeaseLost) // unless it has just ended, and then this changes nothing
	}
}

// extend lets the build go on with a lease that was asked for at the given moment. Only this machine's monotonic clock counts, and
// the lease is taken to begin when it was asked for, so its end here is never later than that in the database.
func (r *run) extend(sent time.Time) {
	if !r.Sole {
		r.expiry.Reset(time.Until(sent.Add(r.LeaseTime - r.leaseMargin())))
	}
}

// failing reports whether err is a failure of something that is tried again and again, and logs it: the first time as an error,
// and once more when it is over. Errors of an engine that ends are none.
func (e *Engine) failing(what string, err error) bool {
	if e.base.Err() != nil {
		return err != nil
	}
	e.mu.Lock()
	began, known := e.failures[what]
	switch {
	case err != nil && !known:
		e.failures[what] = time.Now()
	case err == nil && known:
		delete(e.failures, what)
	}
	e.mu.Unlock()
	switch {
	case err != nil && !known:
		e.Log.Error(what, "error", err) //nolint:sloglint // the callers' are constants
	case err == nil && known:
		e.Log.Info(what+": works again", "after", time.Since(began).Round(time.Millisecond)) //nolint:sloglint // the callers' are constants
	}
	return err != nil
}

// guarded does something. A panic is an error, which is logged: it must not end the server, nor what it is done for.
func (e *Engine) guarded(what string, do func()) {
	defer func() {
		if p := recover(); p != nil {
			e.Log.Error(what, "panic", fmt.Sprint(p), "stack", string(debug.Stack())) //nolint:sloglint // the callers' are constants
		}
	}()
	do()
}

// bounded does something with the database that may take no longer than limit. If it takes longer the error is a
// fault.Unavailable, and nobody knows whether it was done.
func bounded(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	try, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := do(try)
	if err != nil && try.Err() != nil && ctx.Err() == nil {
		return fault.Wrap(err, fault.Unavailable, "the database did not answer within %s", limit)
	}
	return err
}

// channelLock is a lock that is held over calls of the database, which can hang. Unlike a mutex, a channel lets a test with a fake
// clock see that who waits for it waits for time to pass. It has the capacity 1.
type channelLock chan struct{}

// Lock implements [sync.Locker].
func (l channelLock) Lock() { l <- struct{}{} }

// Unlock implements [sync.Locker].
func (l channelLock) Unlock() { <-l }
