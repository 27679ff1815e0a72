package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"atelier/internal/build"
	"atelier/internal/crash"
	"atelier/internal/fault"
	"atelier/internal/logs"
)

// A flow is a build that only waits for others: its children, which wait in the queue as all builds do. It takes no slot. All
// that is known of it is in the database, so another engine, or this one after a restart, can go on with it at any moment.

// errLeft is the error of a flow that is left as it is, for whoever takes it up next.
var errLeft = errors.New("the flow is left to another engine")

// beginFlow stores what the flow consists of, and that it has begun, and then follows it.
func (r *run) beginFlow() error {
	r.makeFlowSteps()
	script, err := r.what.flow.Script(r.about(), r.mask)
	if err != nil {
		return err
	}
	progress := build.Progress{Source: r.sourceNews(), Begin: &build.Begin{At: moment(r.Now()), Script: script}}
	for _, j := range r.what.flow.Jobs {
		progress.Flow = append(progress.Flow, build.NewFlowJob(j.Name, j.DependsOn, j.Skipped))
		if j.Skipped {
			r.note(r.log.Info, "[%s] : The job is skipped: its condition does not hold.", j.Name)
		}
	}
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	if err := r.report(r.ctx, progress); err != nil {
		return err
	}
	r.began, r.flow = true, true
	crash.At(crash.FlowStored)
	r.leaveSlot()
	return r.followFlow()
}

// makeFlowSteps notes the jobs of the flow behind the preparation, as the steps of other builds are.
func (r *run) makeFlowSteps() {
	r.steps = []build.Step{r.preparation()}
	for i, j := range r.what.flow.Jobs {
		r.steps = append(r.steps, build.Step{
			RecordID: r.record.ID, Sequence: i + 1, ID: uuid.NewString(), Stage: "stage" + strconv.Itoa(i+1),
			Name: j.Name, Keyword: "job", State: build.StepWaiting,
		})
	}
	r.news = slices.Clone(r.steps)
}

// resumeFlow goes on with a flow that another life or another engine has left.
func (r *run) resumeFlow() (err error) {
	r.began, r.flow = true, true
	if r.log, err = r.Logs.Append(r.record.ID); err != nil {
		return fmt.Errorf("%w: %w", logs.ErrWrite, err)
	}
	r.what.info = build.SourceInfo{
		Branch: r.record.Branch, Commit: r.record.Commit, Message: r.record.CommitMessage, Time: r.record.CommitTime, BuildFile: r.record.BuildFile,
	}
	err = r.retry(r.ctx, func(ctx context.Context) (err error) {
		r.steps, err = r.Queue.Steps(ctx, r.record.ID)
		return err
	})
	if err != nil {
		return err
	}
	return r.followFlow()
}

// followFlow begins the jobs of the flow as their turns come, until all are over. The error is the reason when the flow does not
// succeed.
func (r *run) followFlow() error {
	news, unfollow := r.follow(r.record.ID)
	defer unfollow()
	poll := time.NewTicker(r.PollTime)
	defer poll.Stop()
	ended := r.ctx.Done()
	for {
		if r.ctx.Err() != nil && !r.stopping() {
			return errLeft
		}
		jobs, err := r.moveFlow()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(jobs, build.FlowJob.Active) {
			return r.flowResult(jobs)
		}
		select {
		case <-news:
		case <-poll.C: // another server may have run the child
		case <-ended:
			ended = nil // the next round sees why
		case <-r.quit:
			return errLeft
		}
	}
}

// stopping reports whether the flow ends because somebody wants it to.
func (r *run) stopping() bool { return errors.Is(context.Cause(r.ctx), errStopped) }

// moveFlow notes what has become of the flow's jobs, and begins those whose turn has come; it stops them all when the flow is to
// stop. It returns the jobs as they stand then.
func (r *run) moveFlow() (jobs []build.FlowJob, err error) {
	load := func() error {
		return r.retry(r.base, func(ctx context.Context) (err error) {
			jobs, err = r.Queue.Flow(ctx, r.record.ID)
			return err
		})
	}
	if err := load(); err != nil {
		return nil, err
	}
	begun := false
	for _, j := range build.Ready(jobs) {
		if r.stopping() || r.quitting() {
			break
		}
		child := r.record.Child(j, r.what.info, moment(r.Now()))
		if err := r.retry(r.base, func(ctx context.Context) error { return r.Queue.StartChild(ctx, r.lease, child) }); err != nil {
			return nil, err
		}
		crash.At(crash.ChildStored)
		begun = true
	}
	if r.stopping() && r.stopJobs(jobs) || begun {
		if err := load(); err != nil {
			return nil, err
		}
		r.Wake()
	}
	r.noteJobs(jobs)
	if len(r.news) > 0 {
		err = r.report(r.base, build.Progress{})
	}
	return jobs, err
}

// stopJobs asks the builds of a flow's jobs to stop. It reports whether there were any. What cannot be asked now is asked again
// in the next round.
func (r *run) stopJobs(jobs []build.FlowJob) bool {
	by := build.Actor{UserID: r.record.StopRequestedBy}
	asked := false
	for _, j := range jobs {
		if !j.Active() || !j.Child.StopRequestedAt.IsZero() {
			continue
		}
		asked = true
		err := r.Queue.RequestStop(r.base, j.Child.ID, by, moment(r.Now()))
		if err != nil && !fault.Is(err, fault.Finished) {
			r.server.Error("stop a job of a flow", "child", j.Child.ID, "error", err)
		}
		r.StopBuild(j.Child.ID)
	}
	return asked
}

// noteJobs notes in the log and the steps of the flow what has become of its jobs since the last time.
func (r *run) noteJobs(jobs []build.FlowJob) {
	for i, j := range jobs {
		s := &r.steps[i+1]
		if j.Began() && s.State == build.StepWaiting {
			s.State, s.StartedAt, s.LogStart, s.LogEnd = build.StepRunning, j.Child.CreatedAt, r.log.Size(), -1
			r.note(r.log.Info, "[%s] : The job's build %s is queued.", j.Name, j.ID)
			r.news = append(r.news, *s)
		}
		if s.State != build.StepRunning || !j.Child.State.Final() {
			continue
		}
		s.FinishedAt = j.Child.FinishedAt
		took := s.FinishedAt.Sub(s.StartedAt)
		switch j.Child.State {
		case build.Succeeded:
			s.State = build.StepSucceeded
			r.note(r.log.Info, "[%s] : The job succeeded after %s.", j.Name, took)
		case build.Aborted:
			s.State = build.StepAborted
			r.note(r.log.Warn, "[%s] : The job was stopped after %s.", j.Name, took)
		default:
			s.State = build.StepFailed
			r.note(r.log.Error, "[%s] : The job failed: %s", j.Name, j.Child.Error)
		}
		s.LogEnd = r.log.Size()
		r.news = append(r.news, *s)
	}
}

// flowResult is what a flow comes to of whose jobs none can go on: an error that says which failed, and which were not run.
func (r *run) flowResult(jobs []build.FlowJob) error {
	if r.stopping() {
		return errStopped
	}
	var failed, left []string
	for _, j := range jobs {
		switch {
		case j.Satisfied():
		case j.Began():
			failed = append(failed, fmt.Sprintf("Job %q failed: %s", j.Name, j.Child.Error))
		default:
			left = append(left, strconv.Quote(j.Name))
		}
	}
	if len(failed) == 0 {
		return nil
	}
	text := strings.Join(failed, " ")
	if len(left) > 0 {
		text += " Not run, because they depend on what failed: " + strings.Join(left, ", ") + "."
	}
	return &stepFailed{text}
}

// follow returns a channel that tells when a child of a flow may have changed.
func (e *Engine) follow(flow build.RecordID) (news <-chan struct{}, unfollow func()) {
	c := make(chan struct{}, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.followers[flow] = c
	return c, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.followers, flow)
	}
}

// tell says that a build has ended, to the flow that it may be part of.
func (e *Engine) tell(record build.Record) {
	if record.ParentID != "" && !e.tellFlow(record.ParentID) {
		e.tellPeers(build.News{Of: build.NewsOfChild, Record: record.ParentID})
	}
}

// tellFlow says that a child of a flow has ended. It reports whether the flow is followed here.
func (e *Engine) tellFlow(id build.RecordID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, ok := e.followers[id]
	select {
	case c <- struct{}{}:
	default: // nobody follows, or it is told already
	}
	return ok
}

// resume goes on with a flow under a lease that was seized, for which the database was asked at the given moment.
func (e *Engine) resume(lease build.Lease, sent time.Time) {
	r := newRun(e, lease, sent)
	e.mu.Lock()
	e.active[lease.Record.ID] = r
	e.mu.Unlock()
	if !lease.Record.StopRequestedAt.IsZero() {
		r.cancel(errStopped)
	}
	e.loops.Go(func() {
		r.run(r.resumeFlow)
		e.forget(r)
	})
}
