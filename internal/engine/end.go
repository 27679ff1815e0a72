package engine

import (
	"context"
	"errors"
	"fmt"

	"atelier/internal/build"
	"atelier/internal/crash"
	"atelier/internal/disk"
	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/logs"
)

// What the record of a build says when it did not end by itself.
const (
	shutdownMessage = "The server was shut down while the build was running. Start the build again."
	executorMessage = "The executor was lost while the build was running. Start the build again."
	diskMessage     = "The server's disk is full. Start the build again when there is room."
	logMessage      = "The log of the build could not be written."
	outageMessage   = "The server could not reach its database for so long that another server might have taken the build, so the build was ended. Start it again."
	internalMessage = "Internal error. Its details are in the server's log under the record id."
)

// disposition is what becomes of a build when this engine has done what it could.
type disposition int

const (
	ends   disposition = iota // it reaches a final state
	waits                     // it goes back into the queue, because it has not begun
	isLost                    // somebody else decides
)

// stepFailed is the error of a build whose step failed; it says which, and how.
type stepFailed struct{ text string }

func (e *stepFailed) Error() string { return e.text }

// outcome says what becomes of a build that was performed with the given error, and its final state when it ends.
//
// That a lease may have run out does not keep this engine from saying how its build ended, or that it waits again: it knows best,
// and the fence refuses it if another engine has taken the build meanwhile.
func (r *run) outcome(err error) (build.End, disposition) {
	step, isStep := errors.AsType[*stepFailed](err)
	cause := context.Cause(r.ctx)
	switch {
	case err == nil:
		return build.End{State: build.Succeeded}, ends
	case isStep:
		return build.End{State: build.Failed, Error: step.text}, ends
	case errors.Is(err, build.ErrLeaseLost), errors.Is(err, errLeft), errors.Is(cause, errLeaseLost), r.flow && errors.Is(cause, errExpired):
		return build.End{}, isLost
	case errors.Is(cause, errStopped):
		return build.End{State: build.Aborted, Error: build.StoppedMessage}, ends
	case errors.Is(cause, errDiskFull), disk.IsFull(err):
		r.server.Warn("a build ends because the disk is full", "error", r.mask(fmt.Sprint(err)))
		return build.End{State: build.Failed, Error: diskMessage}, ends
	case errors.Is(cause, errTimeout):
		return build.End{State: build.TimedOut, Error: fmt.Sprintf("The build ran longer than %s, which is the most that it may.", r.what.timeout)}, ends
	case !r.began && (errors.Is(err, errMisfit) || errors.Is(cause, errShutdown) || errors.Is(cause, errExpired)):
		return build.End{}, waits
	case errors.Is(cause, errExpired):
		return build.End{State: build.Failed, Error: outageMessage}, ends
	case errors.Is(cause, errShutdown):
		return build.End{State: build.Failed, Error: shutdownMessage}, ends
	}
	end := build.End{State: build.Failed, Error: r.explain(err)}
	if !r.began {
		end.State = build.Unschedulable
	}
	return end, ends
}

// explain puts an error that ends a build into words for its record, and tells the server's log the rest.
func (r *run) explain(err error) string {
	text, isPublic := fault.Public(err)
	switch {
	case disk.IsFull(err):
		text = diskMessage
	case errors.Is(err, executor.ErrLost):
		text = executorMessage
	case errors.Is(err, logs.ErrWrite):
		text = logMessage
	case isPublic:
		r.server.Info("a build cannot go on", "error", r.mask(err.Error()))
		return text
	default:
		text = internalMessage
	}
	r.server.Error("a build cannot go on", "error", r.mask(err.Error()))
	return text
}

// finish closes the log and stores what becomes of the build.
func (r *run) finish(end *build.End, next disposition) error {
	switch next {
	case waits:
		_ = r.closeLog() // there is nothing in it that matters
		r.awaitCleanup()
		err := r.retry(r.base, func(ctx context.Context) error { return r.Queue.Requeue(ctx, r.lease, r.needs) })
		r.tellPeers(build.News{Of: build.NewsOfQueue}) // one of them may have what it needs
		return err
	case isLost:
		err := r.closeLog()
		r.awaitCleanup()
		return errors.Join(build.ErrLeaseLost, err)
	default:
		return r.end(end)
	}
}

// end completes the log and stores the final state, together with what is new about the steps. While the database is away it
// tries again, until the engine ends: nobody else knows how the build ended.
func (r *run) end(end *build.End) error {
	end.Error = r.mask(end.Error)
	if r.log != nil {
		if end.State == build.Succeeded {
			r.note(r.log.Info, "The build succeeded.")
		} else {
			r.note(r.log.Error, "%s", end.Error)
		}
	}
	if err := r.closeLog(); err != nil && end.State == build.Succeeded {
		*end = build.End{State: build.Failed, Error: r.explain(err)}
	}
	r.awaitEnded()
	crash.At(crash.LogClosed)
	end.At, end.Logged = moment(r.Now()), r.log != nil || r.began
	progress := build.Progress{End: end}
	if r.began {
		r.news = append(r.news, endRunning(r.steps, end.At, r.log.Size())...) // there is one after a panic
	} else {
		r.news = nil // a build that has not begun has no steps
		progress.Source = r.sourceNews()
	}
	return r.report(r.base, progress)
}
