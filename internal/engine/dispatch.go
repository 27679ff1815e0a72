package engine

import (
	"context"
	"time"

	"atelier/internal/build"
)

// dispatch takes builds from the queue as long as there are slots, and sleeps until somebody wakes it.
func (e *Engine) dispatch() {
	poll := time.NewTicker(e.PollTime)
	defer poll.Stop()
	for {
		select {
		case e.slots <- struct{}{}:
		case <-e.quit:
			return
		}
		if e.take() {
			continue
		}
		<-e.slots
		select {
		case <-e.wake:
		case <-poll.C: // another server may have queued it, or the database was away
		case <-e.quit:
			return
		}
	}
}

// take leases the next build and begins to run it; the build then has the slot.
func (e *Engine) take() bool {
	now := e.Now()
	lease, ok, err := e.Queue.Lease(e.work, e.Owner, now, now.Add(e.LeaseTime))
	if err != nil {
		e.Log.Error("take a build from the queue", "error", err)
		return false
	}
	if !ok {
		return false
	}
	r := e.register(lease)
	e.runs.Go(func() {
		defer func() {
			e.forget(r)
			<-e.slots
			poke(e.wake) // for the slot
		}()
		r.run()
	})
	return true
}

// register makes a run of a lease, which from now on can be stopped.
func (e *Engine) register(lease build.Lease) *run {
	r := &run{Engine: e, record: lease.Record, lease: lease}
	r.ctx, r.cancel = context.WithCancelCause(e.work)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.active[lease.Record.ID] = r
	if _, stopped := e.stops[lease.Record.ID]; stopped || !lease.Record.StopRequestedAt.IsZero() {
		delete(e.stops, lease.Record.ID)
		r.cancel(errStopped)
	}
	return r
}

func (e *Engine) forget(r *run) {
	r.cancel(nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.active, r.record.ID)
}
