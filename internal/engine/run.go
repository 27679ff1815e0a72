package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"atelier/internal/build"
	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/logs"
	"atelier/internal/logs/mask"
)

// run is one build on this engine.
type run struct {
	*Engine
	record build.Record
	lease  build.Lease
	ctx    context.Context // ends when the build must, with the reason as its cause
	cancel context.CancelCauseFunc

	log     *logs.Log
	masker  *mask.Masker
	what    prepared
	timeout time.Duration
	steps   []build.Step // the preparation, then those of the plan; empty until the build begins

	unreported []build.Step
}

// What the record of a build says when it did not end by itself.
const (
	stoppedMessage  = "The build was stopped."
	shutdownMessage = "The server was shut down while the build was running. Start the build again."
	internalMessage = "Internal error. Its details are in the server's log under the record id."
)

// run takes the build from its lease to a final state, or back into the queue.
func (r *run) run() {
	log := r.Log.With("record", r.record.ID, "job", r.record.JobID, "number", r.record.Number)
	end, err := r.attempt()
	switch {
	case errors.Is(err, build.ErrLeaseLost), errors.Is(err, errLeaseLost):
		// Somebody else decides how the build ends. Nothing of it is left here.
		log.Warn("the lease of a build was lost")
	case errors.Is(err, errNotBegun):
		if err := r.Queue.Requeue(context.WithoutCancel(r.ctx), r.lease); err != nil {
			log.Error("put a build back into the queue", "error", err)
		}
	case err != nil:
		log.Error("store how a build ended", "state", end.State, "error", err)
	default:
		log.Info("build ended", "state", end.State)
	}
}

// attempt runs the build and stores how it ended. Before the final state is stored, the log is complete and nothing of the
// build is left on the executor.
func (r *run) attempt() (end build.End, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.Log.Error("panic in a build", "record", r.record.ID, "panic", p, "stack", string(debug.Stack()))
			end, err = r.finish(build.End{State: r.failure(), Error: internalMessage})
		}
	}()
	if r.log, err = r.Logs.Append(r.record.ID); err != nil {
		r.Log.Error("open the log of a build", "record", r.record.ID, "error", err)
		return r.finish(build.End{State: build.Unschedulable, Error: "The log of the build cannot be written."})
	}
	r.note(r.log.Info, "Build %d (%s) of task %s, started by %s.", r.record.Number, r.record.DailyNumber, r.record.JobName, r.record.UserName)
	for _, w := range r.record.Warnings {
		r.note(r.log.Warn, "%s", w)
	}
	if err := r.prepare(); err != nil {
		return r.refuse(err)
	}
	ctx, stop := context.WithTimeoutCause(r.ctx, r.timeout, errTimeout)
	defer stop()
	session, err := r.Executor.Open(ctx, executor.Build{Record: string(r.record.ID), Resource: r.what.plan.Resource, Env: r.what.plan.Env})
	if err != nil {
		return r.refuse(err)
	}
	if end, err = r.runSteps(ctx, session); err != nil {
		end = r.explain(err)
	}
	if err := session.Close(context.WithoutCancel(ctx)); err != nil {
		r.Log.Error("clean up after a build", "record", r.record.ID, "error", err)
	}
	if errors.Is(err, errLeaseLost) || errors.Is(err, build.ErrLeaseLost) {
		return build.End{}, errors.Join(err, r.log.Close())
	}
	return r.finish(end)
}

// failure is the state of a build that failed for a reason of the service's.
func (r *run) failure() build.State {
	if len(r.steps) == 0 {
		return build.Unschedulable
	}
	return build.Failed
}

// errNotBegun says that a build goes back into the queue.
var errNotBegun = errors.New("the build has not begun")

// refuse ends a build that cannot begin.
func (r *run) refuse(err error) (build.End, error) {
	why, isReason := errors.AsType[*cannotBegin](err)
	text, isPublic := fault.Public(err)
	switch cause := context.Cause(r.ctx); {
	case errors.Is(cause, errStopped):
		return r.finish(build.End{State: build.Aborted, Error: stoppedMessage})
	case errors.Is(cause, errLeaseLost):
		return build.End{}, errors.Join(cause, r.log.Close())
	case errors.Is(cause, errShutdown), fault.Is(err, fault.Unavailable):
		return build.End{}, errors.Join(errNotBegun, r.log.Close())
	case isReason:
		return r.finish(build.End{State: build.Unschedulable, Error: why.text})
	case isPublic:
		return r.finish(build.End{State: build.Unschedulable, Error: text})
	default:
		r.Log.Error("prepare a build", "record", r.record.ID, "error", err)
		return r.finish(build.End{State: build.Unschedulable, Error: internalMessage})
	}
}

// explain turns the error that ended a running build into its final state.
func (r *run) explain(err error) build.End {
	switch {
	case errors.Is(err, errStopped):
		return build.End{State: build.Aborted, Error: stoppedMessage}
	case errors.Is(err, errTimeout):
		return build.End{State: build.TimedOut, Error: fmt.Sprintf("The build ran longer than %s, which is the most that it may.", r.timeout)}
	case errors.Is(err, errShutdown):
		return build.End{State: build.Failed, Error: shutdownMessage}
	case errors.Is(err, executor.ErrLost):
		return build.End{State: build.Failed, Error: "The executor was lost while the build was running. Start the build again."}
	case errors.Is(err, logs.ErrWrite):
		r.Log.Error("write the log of a build", "record", r.record.ID, "error", err)
		return build.End{State: build.Failed, Error: "The log of the build could not be written."}
	}
	if text, ok := fault.Public(err); ok {
		return build.End{State: build.Failed, Error: text}
	}
	r.Log.Error("run a build", "record", r.record.ID, "error", err)
	return build.End{State: build.Failed, Error: internalMessage}
}

// finish completes the log and stores the final state, together with what is new about the steps.
func (r *run) finish(end build.End) (build.End, error) {
	if r.masker != nil {
		end.Error = r.masker.String(end.Error)
	}
	if r.log != nil {
		if end.State == build.Succeeded {
			r.note(r.log.Info, "The build succeeded.")
		} else {
			r.note(r.log.Error, "%s", end.Error)
		}
		if err := r.log.Close(); err != nil && end.State == build.Succeeded {
			end = r.explain(err)
		}
	}
	end.At = r.moment()
	progress := build.Progress{Steps: r.takeSteps(), End: &end}
	if r.what.info != (build.SourceInfo{}) && len(r.steps) == 0 {
		progress.Source = &r.what.info // a build that begins has reported it already
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), time.Minute)
	defer cancel()
	return end, r.report(ctx, progress)
}

// note writes a line of the service's own. That it cannot be written comes out when the log is closed.
func (r *run) note(line func(string, ...any) error, format string, args ...any) {
	_ = line(format, args...)
}

// moment is now, with the precision that is stored.
func (r *run) moment() time.Time { return r.Now().UTC().Truncate(time.Millisecond) }

// report stores progress. While the database is away it tries again, for as long as ctx lasts.
func (r *run) report(ctx context.Context, p build.Progress) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := r.Queue.Report(ctx, r.record.ID, r.lease.Fence, p)
		if !fault.Is(err, fault.Unavailable) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}
