package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"atelier/internal/build"
	"atelier/internal/cache"
	"atelier/internal/crash"
	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/logs"
	"atelier/internal/logs/mask"
)

// run is one build on this engine.
type run struct {
	*Engine
	record    build.Record
	lease     build.Lease
	editor    build.Actor     // who saved the version of the task
	job       build.JobRef    // of the task
	ctx       context.Context // ends when the build must, with the reason as its cause
	cancel    context.CancelCauseFunc
	expiry    *time.Timer  // ends the build a leaseMargin before its lease runs out
	leaveSlot func()       // gives the slot back; a flow does so when it begins
	server    *slog.Logger // the server's log

	log    *logs.Log // the build's
	sealed bool      // the log is closed
	masker *mask.Masker
	what   prepared
	needs  build.Needs // of an engine, when it turned out that this one cannot run the build
	began  bool        // the database says that it runs
	flow   bool        // and that it is a flow
	layers []*cache.Layer
	limit  *time.Timer   // ends the build when it has run too long; nil until it begins
	ended  chan struct{} // closed when nothing of the build runs any more; nil when nothing ever did
	left   chan struct{} // closed when nothing of it is on the executor any more; nil as ended
	steps  []build.Step
	news   []build.Step   // of the steps, what the database does not know yet; the later state of a step comes later
	placed []build.Output // what the build has put elsewhere, and the database does not know yet
	tested tested         // what the tests of the steps have left

	ownImages executor.Images // nil until a step needs them
}

// newRun returns the run of a build whose lease was asked for at the given moment.
func newRun(e *Engine, lease build.Lease, sent time.Time) *run {
	record := lease.Record
	r := &run{Engine: e, record: record, lease: lease, server: e.Log.With("record", record.ID, "job", record.JobID, "number", record.Number)}
	r.ctx, r.cancel = context.WithCancelCause(e.work)
	r.expiry = time.AfterFunc(e.LeaseTime, func() { r.cancel(errExpired) })
	if e.Sole {
		r.expiry.Stop()
	}
	r.extend(sent)
	return r
}

// release frees what the run holds.
func (r *run) release() {
	r.cancel(nil)
	r.expiry.Stop()
	if r.limit != nil {
		r.limit.Stop()
	}
}

// run takes the build from its lease to a final state, or back into the queue. Before that is stored, the log is complete and
// nothing of the build runs any more. When run returns, nothing of it is on the executor: nobody has to wait for the result until all files
// are removed, but the next build in the same slot does.
func (r *run) run(perform func() error) {
	defer r.awaitCleanup()
	end, next := r.outcome(r.guarded(perform))
	err := r.guarded(func() error { return r.finish(&end, next) })
	switch {
	case errors.Is(err, build.ErrLeaseLost) && r.flow && r.quitting(): // the next life goes on with it
	case errors.Is(err, build.ErrLeaseLost):
		r.server.Warn("the lease of a build was lost") // nothing of it is left here
	case err != nil:
		r.server.Error("store what became of a build", "state", end.State, "error", err)
	case next == ends:
		crash.At(crash.EndStored)
		r.Logs.Finished(r.record.ID)
		r.tell(r.record)
		r.wakeLimited()
		r.server.Info("build ended", "state", end.State)
	}
}

// guarded does something. A panic is an error.
func (r *run) guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.server.Error("panic in a build", "panic", r.mask(fmt.Sprint(p)), "stack", string(debug.Stack()))
			err = errors.New("panic")
		}
	}()
	return do()
}

// perform does everything that the build consists of. The error is why it did not succeed.
func (r *run) perform() (err error) {
	if r.log, err = r.Logs.Append(r.record.ID); err != nil {
		return fmt.Errorf("%w: %w", logs.ErrWrite, err)
	}
	crash.At(crash.LogOpened)
	if err := r.openParameters(&r.what); err != nil {
		return err
	}
	by := "started by " + r.record.UserName
	if r.record.Unattended {
		by = "started by nobody in person, in the name of " + r.record.UserName + ", who last saved the task"
	}
	r.note(r.log.Info, "Build %d (%s) of task %s, %s.", r.record.Number, r.record.DailyNumber, r.record.JobName, by)
	for _, w := range r.record.Warnings {
		r.note(r.log.Warn, "%s", w)
	}
	if err := r.prepare(); err != nil {
		return err
	}
	if r.what.flow != nil {
		return r.beginFlow()
	}
	defer r.closeCaches()
	r.takeCaches()
	session, err := r.open()
	if err != nil {
		return err
	}
	defer r.leave(session) // also after a panic
	defer r.closeImages()
	crash.At(crash.WorkspaceMade)
	if err := r.runSteps(session); err != nil {
		return err
	}
	r.saveCaches()
	return nil
}

// open opens the build on the executor. One that does not answer is waited for, as long as a build may wait in the queue: it is the same for
// all, and would fail every build of the queue.
func (r *run) open() (executor.Session, error) {
	told := false
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		session, err := r.Executor.Open(r.ctx, executor.Build{
			Record: string(r.record.ID), Resource: r.what.plan.Resource, Images: imagesOf(r.what.plan.Steps), Env: r.what.plan.Env,
			Caches: r.caches(), Credentials: r.what.credentials,
		})
		if !fault.Is(err, fault.Unavailable) || r.Now().After(r.record.QueuedAt.Add(r.QueueTimeout)) {
			return session, err
		}
		if why, _ := fault.Public(err); !told {
			told = true
			r.server.Error("open a build", "error", err)
			if err := r.report(r.ctx, build.Progress{Waits: build.WaitForAnswer}); err != nil {
				return nil, err
			}
			r.note(r.log.Warn, "%s The build begins when it does.", why)
		}
		select {
		case <-time.After(pause): // that it answers again is no event
		case <-r.ctx.Done():
			return nil, context.Cause(r.ctx)
		}
	}
}

// closeTime is how long an executor has to end and to remove what a build left behind. Another moment, and the build is better ended.
const closeTime = 30 * time.Second

// leave has the executor end and remove what is left of the build, while the log is brought to the disk.
func (r *run) leave(session executor.Session) {
	r.ended, r.left = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(r.left)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), closeTime)
		defer cancel()
		r.cleanUp(ctx, session.End)
		close(r.ended)
		r.cleanUp(ctx, session.Close)
		crash.At(crash.WorkspaceRemoved)
	}()
}

func (r *run) cleanUp(ctx context.Context, do func(context.Context) error) {
	if err := r.guarded(func() error { return do(ctx) }); err != nil {
		r.server.Error("clean up after a build", "error", r.mask(err.Error()))
	}
}

// awaitEnded returns when nothing of the build runs any more.
func (r *run) awaitEnded() {
	if r.ended != nil {
		<-r.ended
	}
}

// awaitCleanup returns when nothing of the build is on the executor.
func (r *run) awaitCleanup() {
	if r.left != nil {
		<-r.left
	}
}

// note writes a line of the service's own, without secrets. That it cannot be written comes out when the log is closed.
func (r *run) note(line func(string, ...any) error, format string, args ...any) {
	_ = line("%s", r.mask(fmt.Sprintf(format, args...)))
}

func (r *run) closeLog() error {
	if r.log == nil {
		return nil
	}
	r.sealed = true
	return r.log.Close()
}

// report stores progress together with what is new about the steps, the outputs and the reports. What could not be stored is
// stored with the next report.
func (r *run) report(ctx context.Context, p build.Progress) error {
	p.Steps, p.Outputs, p.Reports = r.news, r.placed, r.tested.news
	err := r.retry(ctx, func(ctx context.Context) error { return r.Queue.Report(ctx, r.record.ID, r.lease.Fence, p) })
	if err == nil {
		r.audit(p.Reports)
		r.news, r.placed, r.tested.news = nil, nil, nil
	}
	return err
}

// reportOutput stores what the build has put somewhere else.
func (r *run) reportOutput(output build.Output) error {
	r.placed = append(r.placed, output)
	return r.report(r.ctx, build.Progress{})
}

// audit notes that reports were stored. Who started the build has uploaded them.
func (r *run) audit(reports []build.Report) {
	if r.Audit == nil {
		return
	}
	for _, rep := range reports {
		r.Audit.LogAttrs(r.base, slog.LevelInfo, "uploadReport",
			slog.String("user_id", r.record.UserID), slog.String("user_name", r.record.UserName), slog.String("domain_id", r.record.DomainID),
			slog.Any("about", map[string][]string{"job_id": {string(r.record.JobID)}, "build_no": {strconv.Itoa(r.record.Number)}, "root_id": {rep.ID}}))
	}
}

// outageNotice is how long the database may be away before the log of a build says that the build waits for it.
const outageNotice = 3 * time.Second

// retry does something with the database. While that is away it tries again, for as long as ctx lasts. A single try is not cut
// short by the end of ctx, because then nobody would know whether it had succeeded; what is done must bear being done twice.
func (r *run) retry(ctx context.Context, do func(context.Context) error) error {
	began, told := time.Now(), false
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := bounded(r.base, r.storeTimeout(), do)
		if !fault.Is(err, fault.Unavailable) {
			if told {
				r.noteOutage(r.log.Info, "The database answers again, after %s.", time.Since(began).Round(time.Second))
			}
			return err
		}
		if !told && time.Since(began) >= outageNotice && r.log != nil {
			told = true
			r.noteOutage(r.log.Warn, "The server's database does not answer. The build goes on when it does.")
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// noteOutage writes a line about the database, unless the log is complete.
func (r *run) noteOutage(line func(string, ...any) error, format string, args ...any) {
	if !r.sealed {
		r.note(line, format, args...)
	}
}
