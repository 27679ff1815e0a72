package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"atelier/internal/build"
	"atelier/internal/crash"
)

// lostMessage is what the record of a lost build says.
const lostMessage = "The server that ran the build was lost, or lost its database. Start the build again."

func (e *Engine) lookForLost() {
	e.failing("look for lost builds", e.reclaim(e.base))
}

// reclaim ends the builds that nobody runs: those whose lease has run out, and those that are this engine's by the database but
// not by itself. Such are left by an earlier life, and by a database that was away when the end of a build should have been
// stored. A build that cannot be ended now is tried again later.
func (e *Engine) reclaim(ctx context.Context) error {
	lost, err := e.lost(ctx)
	if err != nil {
		return fmt.Errorf("find lost builds: %w", err)
	}
	for _, lease := range lost {
		err := e.reclaimOne(ctx, lease)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && !errors.Is(err, build.ErrLeaseLost) {
			e.Log.Error("end a lost build", "record", lease.Record.ID, "error", err)
		}
	}
	return nil
}

func (e *Engine) lost(ctx context.Context) ([]build.Lease, error) {
	e.leasing.Lock()
	defer e.leasing.Unlock()
	running := e.running() // before the database is asked: a build that ends meanwhile is not lost
	lost, err := e.Queue.Lost(ctx, e.Owner, e.Now())
	return slices.DeleteFunc(lost, func(l build.Lease) bool { return running[l.Record.ID] != nil }), err
}

// Of a build that ends whoever prepares it, there must not be another try forever. Each takes two fences, that of the lease and that of who finds the
// build lost.
const (
	maxFence      = 40
	poisonMessage = "The servers that prepared the build were lost, twenty times or more, so it is not tried again."
)

// reclaimOne puts a lost build back into the queue when no step of it has begun, and ends it otherwise.
func (e *Engine) reclaimOne(ctx context.Context, lease build.Lease) error {
	record, owner, sent := lease.Record, lease.Owner, time.Now()
	lease, err := e.Queue.Seize(ctx, lease, e.Owner, e.Now().Add(e.LeaseTime))
	if err != nil {
		return err // its owner is back, or somebody else was quicker
	}
	crash.At(crash.BuildSeized)
	e.Log.Warn("a build was lost", "record", record.ID, "job", record.JobID, "number", record.Number, "state", record.State, "owner", owner)
	if record.Flow {
		e.resume(lease, sent)
		return nil
	}
	defer e.Wake() // it is in the queue again, or a limit kept another one there
	defer e.tell(record)
	end := build.End{State: build.Failed, Error: lostMessage}
	switch {
	case !record.StopRequestedAt.IsZero():
		end = build.End{State: build.Aborted, Error: build.StoppedMessage}
	case record.State == build.Scheduled && lease.Fence >= maxFence:
		end = build.End{State: build.Unschedulable, Error: poisonMessage}
	case record.State == build.Scheduled:
		err := e.Queue.Requeue(ctx, lease, build.Needs{}) // the next engine finds out again
		crash.At(crash.BuildRequeued)
		return err
	}
	steps, err := e.Queue.Steps(ctx, record.ID)
	if err != nil {
		return err
	}
	logEnd, err := e.appendFinalLine(record.ID, end.Error)
	if err != nil { // which must not keep the build from ending
		e.Log.Error("write the log of a lost build", "record", record.ID, "error", err)
	}
	end.At, end.Logged = moment(e.Now()), err == nil || record.State == build.Running
	err = e.Queue.Report(ctx, record.ID, lease.Fence, build.Progress{Steps: endRunning(steps, end.At, logEnd), End: &end})
	if err == nil {
		e.Logs.Finished(record.ID)
	}
	return err
}

// endOverdue ends the builds that have waited in the queue for too long.
func (e *Engine) endOverdue() {
	for {
		ended, err := e.endOldest(e.base)
		if e.failing("end builds that have waited too long", err) || !ended {
			return
		}
	}
}

// endOldest ends the build that has waited longest, if that is too long.
func (e *Engine) endOldest(ctx context.Context) (ended bool, err error) {
	e.leasing.Lock() // so that nobody takes the build for lost meanwhile
	defer e.leasing.Unlock()
	now := e.Now()
	lease, ok, err := e.Queue.LeaseOverdue(ctx, e.Owner, now.Add(-e.QueueTimeout), now, now.Add(e.LeaseTime))
	if err != nil || !ok {
		return false, err
	}
	end := build.End{State: build.Unschedulable, Error: fmt.Sprintf("The build waited for an executor for longer than %s.", e.QueueTimeout), At: moment(now)}
	_, err = e.appendFinalLine(lease.Record.ID, end.Error)
	if end.Logged = err == nil; err != nil { // which must not keep the build from ending
		e.Log.Error("write the log of a build that waited too long", "record", lease.Record.ID, "error", err)
	}
	defer e.tell(lease.Record)
	return true, e.Queue.Report(ctx, lease.Record.ID, lease.Fence, build.Progress{End: &end})
}

// appendFinalLine ends the log of a build with an error, and returns how long it is then.
func (e *Engine) appendFinalLine(id build.RecordID, text string) (int64, error) {
	log, err := e.Logs.Append(id)
	if err != nil {
		return 0, err
	}
	_ = log.Error("%s", text) // the error comes again
	err = log.Close()
	return log.Size(), err
}

// endRunning returns the steps that were running, as they stand after their build was lost.
func endRunning(steps []build.Step, at time.Time, logEnd int64) []build.Step {
	var ended []build.Step
	for _, s := range steps {
		if s.State == build.StepRunning {
			s.State, s.FinishedAt, s.LogEnd = build.StepFailed, at, max(s.LogStart, logEnd)
			ended = append(ended, s)
		}
	}
	return ended
}

// moment returns a time with the precision that is stored.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
