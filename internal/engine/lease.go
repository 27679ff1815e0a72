package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"atelier/internal/build"
)

// keepLeases renews the leases of this engine well before they run out, and looks for those that others lost.
func (e *Engine) keepLeases() {
	ticker := time.NewTicker(e.LeaseTime / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-e.work.Done():
			return
		}
		e.renew()
		if err := e.reclaim(e.work, ""); err != nil && e.work.Err() == nil {
			e.Log.Error("look for lost builds", "error", err)
		}
	}
}

// renew extends the leases. A build that the database no longer knows as this engine's is ended, and so are all when the leases
// could not be renewed in time: another engine may take them for lost.
func (e *Engine) renew() {
	now := e.Now()
	ctx, cancel := context.WithTimeout(e.work, e.LeaseTime/3)
	held, err := e.Queue.Renew(ctx, e.Owner, now.Add(e.LeaseTime))
	cancel()

	e.mu.Lock()
	defer e.mu.Unlock()
	for id, at := range e.stops {
		if now.Sub(at) > time.Minute {
			delete(e.stops, id)
		}
	}
	if err != nil {
		if e.work.Err() == nil {
			e.Log.Error("renew leases", "error", err)
		}
		if e.Now().Sub(e.renewed) > e.LeaseTime*2/3 {
			for _, r := range e.active {
				r.cancel(errLeaseLost)
			}
		}
		return
	}
	e.renewed = now
	fences := make(map[build.RecordID]build.Held, len(held))
	for _, h := range held {
		fences[h.ID] = h
	}
	for id, r := range e.active {
		switch h, ok := fences[id]; {
		case r.lease.Until.After(now.Add(e.LeaseTime * 2 / 3)):
			// Leased while the database was asked, or just before: it need not be among the answers.
		case !ok || h.Fence != r.lease.Fence:
			r.cancel(errLeaseLost)
		case h.StopRequested:
			r.cancel(errStopped)
		}
	}
}

// reclaim ends the builds whose engine is gone. With an owner, those that it held before it began count too.
func (e *Engine) reclaim(ctx context.Context, owner string) error {
	lost, err := e.Queue.Lost(ctx, owner, e.Now())
	if err != nil {
		return fmt.Errorf("find lost builds: %w", err)
	}
	for _, lease := range lost {
		e.mu.Lock()
		_, mine := e.active[lease.Record.ID]
		e.mu.Unlock()
		if mine {
			continue
		}
		if err := e.reclaimOne(ctx, lease); err != nil && !errors.Is(err, build.ErrLeaseLost) {
			return fmt.Errorf("end lost build %s: %w", lease.Record.ID, err)
		}
	}
	return nil
}

// lostMessage is what the record of a lost build says.
const lostMessage = "The server that ran the build ended while the build was running. Start the build again."

// reclaimOne puts a lost build back into the queue when no step of it has begun, and ends it otherwise.
func (e *Engine) reclaimOne(ctx context.Context, lease build.Lease) error {
	record := lease.Record
	e.Log.Warn("a build was lost", "record", record.ID, "job", record.JobID, "number", record.Number, "state", record.State, "owner", lease.Owner)
	now := e.Now()
	if record.State == build.Scheduled {
		if record.StopRequestedAt.IsZero() {
			defer e.Wake()
			return e.Queue.Requeue(ctx, lease)
		}
		return e.Queue.Report(ctx, record.ID, lease.Fence, build.Progress{End: &build.End{State: build.Aborted, Error: stoppedMessage, At: now}})
	}
	log, err := e.Logs.Append(record.ID)
	if err != nil {
		return err
	}
	end := build.End{State: build.Failed, Error: lostMessage, At: now}
	if !record.StopRequestedAt.IsZero() {
		end.State, end.Error = build.Aborted, stoppedMessage
	}
	if err := errors.Join(log.Error("%s", end.Error), log.Close()); err != nil {
		return err
	}
	steps, err := e.Queue.Steps(ctx, record.ID)
	if err != nil {
		return err
	}
	return e.Queue.Report(ctx, record.ID, lease.Fence, build.Progress{Steps: endRunning(steps, now, log.Size()), End: &end})
}

// endRunning returns the steps that were running, as they stand after their build was lost.
func endRunning(steps []build.Step, at time.Time, logEnd int64) []build.Step {
	var ended []build.Step
	for _, s := range steps {
		if s.State == build.StepRunning {
			s.State, s.FinishedAt, s.LogEnd = build.StepFailed, at, logEnd
			ended = append(ended, s)
		}
	}
	return ended
}
