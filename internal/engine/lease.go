package engine

import (
	"context"
	"maps"

	"atelier/internal/build"
)

// running returns the builds that this engine runs.
func (e *Engine) running() map[build.RecordID]*run {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.active)
}

// renew extends the leases. A build that the database no longer knows as this engine's is ended. One whose lease could not be
// renewed ends by itself before others may take it for lost: see [run.extend].
func (e *Engine) renew() {
	running := e.running() // before the database is asked: a build that is leased later need not be among the answers
	now := e.Now()
	ctx, cancel := context.WithTimeout(e.base, e.LeaseTime/3)
	defer cancel()
	held, err := e.Queue.Renew(ctx, e.Owner, now.Add(e.LeaseTime))
	if err != nil {
		if e.base.Err() == nil {
			e.Log.Error("renew leases", "error", err)
		}
		return
	}
	for _, h := range held {
		r := running[h.ID]
		if r == nil || r.lease.Fence != h.Fence {
			continue
		}
		delete(running, h.ID)
		r.extend(now.Add(e.LeaseTime))
		if h.StopRequested {
			r.cancel(errStopped) // by way of another server
		}
	}
	for _, r := range running {
		r.cancel(errLeaseLost) // unless it has just ended, and then this changes nothing
	}
}
