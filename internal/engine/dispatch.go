package engine

import (
	"sync"
	"time"

	"atelier/internal/build"
	"atelier/internal/crash"
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
		if e.quitting() { // when a slot becomes free at the same moment, select may not have seen it
			return
		}
		var took, more bool
		e.guarded("take a build from the queue", func() { took, more = e.take() })
		if !took {
			<-e.slots
		}
		if more {
			continue
		}
		select {
		case <-e.wake:
		case <-poll.C: // another server may have queued it, or the database was away
		case <-e.quit:
			return
		}
	}
}

func (e *Engine) quitting() bool {
	select {
	case <-e.quit:
		return true
	default:
		return false
	}
}

// take leases the next build and begins to run it; the build then has the slot. There may be more where it came from.
func (e *Engine) take() (took, more bool) {
	if e.isFull() {
		return false, false
	}
	r, more, err := e.next()
	if e.work.Err() == nil {
		e.failing("take a build from the queue", err)
	}
	if r == nil {
		return false, false
	}
	r.leaveSlot = sync.OnceFunc(func() {
		<-e.slots
		e.wakeLimited()
	})
	e.runs.Go(func() {
		defer r.leaveSlot()
		r.run(r.perform)
		e.forget(r)
	})
	return true, more
}

// wakeLimited has the dispatcher look at the queue when a limit may have kept it from a build that is free to run now.
func (e *Engine) wakeLimited() {
	if e.Limits != (build.Limits{}) {
		e.Wake()
	}
}

// next leases the next build, which from then on can be stopped. It returns nil when there is none.
func (e *Engine) next() (r *run, more bool, err error) {
	e.leasing.Lock()
	defer e.leasing.Unlock()
	e.mu.Lock()
	e.stops = make(map[build.RecordID]bool)
	e.mu.Unlock()
	now, sent := e.Now(), time.Now()
	taken, ok, err := e.Queue.Lease(e.work, build.Claim{Offer: e.offer(), Limits: e.Limits, Now: now, Until: now.Add(e.LeaseTime)})
	if ok {
		crash.At(crash.BuildLeased)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	stops := e.stops
	e.stops = nil
	if err != nil || !ok {
		return nil, false, err
	}
	r = newRun(e, taken.Lease, sent)
	r.what.config, r.what.configErr = taken.Config, taken.ConfigErr
	r.editor, r.job = taken.Editor, taken.Job
	e.active[r.record.ID] = r
	if stops[r.record.ID] || !r.record.StopRequestedAt.IsZero() {
		r.cancel(errStopped)
	}
	return r, taken.More, nil
}

func (e *Engine) forget(r *run) {
	r.release()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.active, r.record.ID)
}
