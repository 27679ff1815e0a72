package engine

import (
	"context"
	"time"

	"atelier/internal/build"
)

// Queue is where builds wait and where their progress is kept. The store implements it. An error may mean that something was done
// all the same, so each method may be called again with the same arguments.
type Queue interface {
	// Announce says that an engine takes builds until the given moment.
	Announce(ctx context.Context, offer build.Offer, until time.Time) error
	// Lease gives the oldest queued build that the claim's engine can run and that the limits allow; false when there is none.
	Lease(ctx context.Context, claim build.Claim) (build.Taken, bool, error)
	// LeaseOverdue gives the oldest build that was queued before the given moment to owner; false when there is none.
	LeaseOverdue(ctx context.Context, owner string, queuedBefore, now, until time.Time) (build.Lease, bool, error)
	// Renew extends every lease of owner, and returns what it holds. It shortens none.
	Renew(ctx context.Context, owner string, until time.Time) ([]build.Held, error)
	// Lost returns the builds that owner holds, and those whose lease has run out.
	Lost(ctx context.Context, owner string, now time.Time) ([]build.Lease, error)
	// Seize gives a lost build to owner, under a new fence. The error is [build.ErrLeaseLost] when it is no more as it was found.
	Seize(ctx context.Context, lease build.Lease, owner string, until time.Time) (build.Lease, error)
	// Requeue puts a leased build whose first step has not begun back into the queue, for an engine that has what it needs.
	Requeue(ctx context.Context, lease build.Lease, needs build.Needs) error
	// Waiting returns builds that were queued before the given moment, the oldest first.
	Waiting(ctx context.Context, queuedBefore time.Time, limit int) ([]build.Waiting, error)
	// Standing says where a queued build stands; any other is a fault.NotFound error.
	Standing(ctx context.Context, id build.RecordID, now time.Time) (build.Standing, error)
	// NoteWait stores what the log of a queued build is to say; false when the build does not wait, or that was stored before.
	NoteWait(ctx context.Context, id build.RecordID, what build.WaitFor) (bool, error)
	// Report stores progress. The error is [build.ErrLeaseLost] when the fence is old or the build is over, unless it ended with
	// this very report.
	Report(ctx context.Context, id build.RecordID, fence int64, p build.Progress) error
	// Steps returns the steps of a build.
	Steps(ctx context.Context, id build.RecordID) ([]build.Step, error)
	// Flow returns the jobs of a flow in order, with their builds as they stand.
	Flow(ctx context.Context, id build.RecordID) ([]build.FlowJob, error)
	// StartChild stores the build of a job of a flow under the flow's lease. A job that has a build already keeps it.
	StartChild(ctx context.Context, flow build.Lease, child build.Record) error
	// RequestStop ends a queued build, and marks one that an engine has. One that is over is a fault.Finished error.
	RequestStop(ctx context.Context, id build.RecordID, by build.Actor, at time.Time) error
}

// boundedQueue gives up a call that takes too long: a connection may hang for as long as it likes. See [bounded].
type boundedQueue struct {
	Queue
	renew, other time.Duration // how long a renewal may take, and everything else
}

// ask is bounded for what has a result.
func ask[T any](ctx context.Context, limit time.Duration, do func(context.Context) (T, error)) (result T, err error) {
	err = bounded(ctx, limit, func(ctx context.Context) (err error) {
		result, err = do(ctx)
		return err
	})
	return result, err
}

func (q boundedQueue) Announce(ctx context.Context, offer build.Offer, until time.Time) error {
	return bounded(ctx, q.other, func(ctx context.Context) error { return q.Queue.Announce(ctx, offer, until) })
}

func (q boundedQueue) Lease(ctx context.Context, claim build.Claim) (taken build.Taken, ok bool, err error) {
	err = bounded(ctx, q.other, func(ctx context.Context) (err error) {
		taken, ok, err = q.Queue.Lease(ctx, claim)
		return err
	})
	return taken, ok, err
}

func (q boundedQueue) LeaseOverdue(ctx context.Context, owner string, queuedBefore, now, until time.Time) (lease build.Lease, ok bool, err error) {
	err = bounded(ctx, q.other, func(ctx context.Context) (err error) {
		lease, ok, err = q.Queue.LeaseOverdue(ctx, owner, queuedBefore, now, until)
		return err
	})
	return lease, ok, err
}

func (q boundedQueue) Renew(ctx context.Context, owner string, until time.Time) ([]build.Held, error) {
	return ask(ctx, q.renew, func(ctx context.Context) ([]build.Held, error) { return q.Queue.Renew(ctx, owner, until) })
}

func (q boundedQueue) Lost(ctx context.Context, owner string, now time.Time) ([]build.Lease, error) {
	return ask(ctx, q.other, func(ctx context.Context) ([]build.Lease, error) { return q.Queue.Lost(ctx, owner, now) })
}

func (q boundedQueue) Seize(ctx context.Context, lease build.Lease, owner string, until time.Time) (build.Lease, error) {
	return ask(ctx, q.other, func(ctx context.Context) (build.Lease, error) { return q.Queue.Seize(ctx, lease, owner, until) })
}

func (q boundedQueue) Requeue(ctx context.Context, lease build.Lease, needs build.Needs) error {
	return bounded(ctx, q.other, func(ctx context.Context) error { return q.Queue.Requeue(ctx, lease, needs) })
}

func (q boundedQueue) Waiting(ctx context.Context, queuedBefore time.Time, limit int) ([]build.Waiting, error) {
	return ask(ctx, q.other, func(ctx context.Context) ([]build.Waiting, error) { return q.Queue.Waiting(ctx, queuedBefore, limit) })
}

func (q boundedQueue) Standing(ctx context.Context, id build.RecordID, now time.Time) (build.Standing, error) {
	return ask(ctx, q.other, func(ctx context.Context) (build.Standing, error) { return q.Queue.Standing(ctx, id, now) })
}

func (q boundedQueue) NoteWait(ctx context.Context, id build.RecordID, what build.WaitFor) (bool, error) {
	return ask(ctx, q.other, func(ctx context.Context) (bool, error) { return q.Queue.NoteWait(ctx, id, what) })
}

func (q boundedQueue) Report(ctx context.Context, id build.RecordID, fence int64, p build.Progress) error {
	return bounded(ctx, q.other, func(ctx context.Context) error { return q.Queue.Report(ctx, id, fence, p) })
}

func (q boundedQueue) Steps(ctx context.Context, id build.RecordID) ([]build.Step, error) {
	return ask(ctx, q.other, func(ctx context.Context) ([]build.Step, error) { return q.Queue.Steps(ctx, id) })
}

func (q boundedQueue) Flow(ctx context.Context, id build.RecordID) ([]build.FlowJob, error) {
	return ask(ctx, q.other, func(ctx context.Context) ([]build.FlowJob, error) { return q.Queue.Flow(ctx, id) })
}

func (q boundedQueue) StartChild(ctx context.Context, flow build.Lease, child build.Record) error {
	return bounded(ctx, q.other, func(ctx context.Context) error { return q.Queue.StartChild(ctx, flow, child) })
}

func (q boundedQueue) RequestStop(ctx context.Context, id build.RecordID, by build.Actor, at time.Time) error {
	return bounded(ctx, q.other, func(ctx context.Context) error { return q.Queue.RequestStop(ctx, id, by, at) })
}
