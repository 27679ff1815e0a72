package engine_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/engine"
	"atelier/internal/fault"
)

const (
	stopped    = build.StoppedMessage
	wasRunning = "The server was shut down while the build was running."
)

func TestStopWhileQueued(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // nobody takes the build
	r := w.begin(w.scripts("echo never"))
	w.halt(r)
	w.start(w.parts("e1"))
	later := w.run(w.scripts("true"))
	w.wantEnd(later, build.Succeeded, "")
	r = w.record(r.ID)
	if r.State != build.Aborted || r.Error != stopped || !r.StartedAt.IsZero() || r.StopRequestedBy != dev.UserID || w.log(r.ID) != "" {
		t.Errorf("record = %+v, log:\n%s", r, w.log(r.ID))
	}
	if err := w.service.Stop(t.Context(), dev, r.JobID, r.Number); !fault.Is(err, fault.Finished) {
		t.Errorf("stopped again: %v", err)
	}
}

func TestStopWhilePreparing(t *testing.T) {
	t.Parallel()
	url, asked := silentURL(t)
	w := newStarted(t)
	r := w.begin(w.job(build.Config{Sources: []build.Source{{URL: url, Kind: "git"}}}))
	<-asked
	w.halt(r)
	r = w.end(r.ID)
	w.wantEnd(r, build.Aborted, stopped)
	if len(w.steps(r.ID)) > 0 {
		t.Errorf("steps = %v", w.steps(r.ID))
	}
}

func TestStopWhileRunning(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	pipe := newTether(t)
	r := w.begin(w.scripts("echo before", pipe.wicked(), "echo never"))
	w.printed(r.ID, "] ready\n")
	w.halt(r)
	w.halt(r) // again, while it stops
	r = w.end(r.ID)
	pipe.wantGone(t)
	w.wantEnd(r, build.Aborted, stopped)
	if diff := cmp.Diff([]build.StepState{build.StepSucceeded, build.StepSucceeded, build.StepAborted, build.StepWaiting}, w.states(r.ID)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	step := w.steps(r.ID)[2]
	if section := w.section(r.ID, step.LogStart, step.LogEnd); !strings.Contains(section, "] ready\n") || !strings.Contains(section, "The step was ended after") {
		t.Errorf("the step's section:\n%s", section)
	}
	log := w.log(r.ID)
	if strings.Contains(log, "never") || !strings.HasSuffix(log, "[ERROR] "+stopped+"\n") {
		t.Errorf("log:\n%s", log)
	}
	if err := w.service.Stop(t.Context(), dev, r.JobID, r.Number); !fault.Is(err, fault.Finished) {
		t.Errorf("stopped when it is over: %v", err)
	}
	if after := w.record(r.ID); !cmp.Equal(r, after) {
		t.Errorf("the record changed (-before +after):\n%s", cmp.Diff(r, after))
	}
}

// A stop that another server was asked for reaches the engine with the next renewal of its leases.
func TestStopByAnotherServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	parts.LeaseTime = briefLease
	w.start(parts)
	r := w.begin(w.scripts("echo ready; sleep 1000"))
	w.printed(r.ID, "] ready\n")
	if err := w.store.RequestStop(t.Context(), r.ID, dev, time.Now()); err != nil {
		t.Fatal(err)
	}
	w.wantEnd(w.end(r.ID), build.Aborted, stopped)
}

// The builds of a task that is deleted end, although nobody can look at them any more.
func TestDeletedTask(t *testing.T) {
	t.Parallel()
	w := newStarted(t, func(p *engine.Parts) { p.Slots = 1 })
	pipe := newTether(t)
	job := w.scripts(pipe.wicked())
	r := w.begin(job)
	w.printed(r.ID, "] ready\n")
	queued := w.begin(job)
	if _, err := w.service.DeleteJob(t.Context(), dev, job); err != nil {
		t.Fatal(err)
	}
	w.server.await(t, "number=1 state=aborted")
	pipe.wantGone(t)
	w.wantEnd(w.run(w.scripts("true")), build.Succeeded, "")
	if log := w.log(queued.ID); log != "" {
		t.Errorf("a queued build of it ran:\n%s", log)
	}
}

// slowLease is a queue that holds a build back which it has just given out.
type slowLease struct {
	engine.Queue
	given   chan context.Context // that of the engine which is given one
	proceed chan struct{}
}

func (q slowLease) Lease(ctx context.Context, claim build.Claim) (build.Taken, bool, error) {
	taken, ok, err := q.Queue.Lease(ctx, claim)
	if ok {
		q.given <- ctx
		<-q.proceed
	}
	return taken, ok, err
}

func newSlowLease(q engine.Queue) slowLease {
	return slowLease{q, make(chan context.Context, 1), make(chan struct{})}
}

// A build can be stopped when the database says that the engine holds it, but the engine does not know it yet.
func TestStopWhileTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	slow := newSlowLease(parts.Queue)
	parts.Queue = slow
	w.start(parts)
	r := w.begin(w.scripts("echo never"))
	<-slow.given
	w.halt(r)
	close(slow.proceed)
	r = w.end(r.ID)
	w.wantEnd(r, build.Aborted, stopped)
	if strings.Contains(w.log(r.ID), "never") {
		t.Errorf("log:\n%s", w.log(r.ID))
	}
}

// A stop outlives the engine that was asked for it.
func TestStopBeforeTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.begin(w.scripts("echo never"))
	lease, ok, err := w.store.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e2"}, Now: time.Now(), Until: time.Now().Add(time.Hour)})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	w.halt(r)
	if err := w.store.Requeue(t.Context(), lease.Lease, build.Needs{}); err != nil {
		t.Fatal(err)
	}
	w.start(w.parts("e1"))
	w.wantEnd(w.end(r.ID), build.Aborted, stopped)
	if strings.Contains(w.log(r.ID), "never") {
		t.Errorf("log:\n%s", w.log(r.ID))
	}
}

// slowReport is a queue that takes its time with one report.
type slowReport struct {
	engine.Queue
	slow     int32 // the number of that report
	count    *atomic.Int32
	reported chan struct{} // closed when it has come
	proceed  chan struct{}
}

func newSlowReport(q engine.Queue, slow int32) slowReport {
	return slowReport{q, slow, new(atomic.Int32), make(chan struct{}), make(chan struct{})}
}

func (q slowReport) Report(ctx context.Context, id build.RecordID, fence int64, p build.Progress) error {
	if q.count.Add(1) == q.slow {
		close(q.reported)
		select {
		case <-q.proceed:
		case <-ctx.Done():
			return ctx.Err() // as database/sql does
		}
	}
	return q.Queue.Report(ctx, id, fence, p)
}

// A stop that comes while a step is written down is still a stop, and the step does not run.
func TestStopBetweenSteps(t *testing.T) {
	t.Parallel()
	for step := range 2 {
		w := newWorld(t)
		parts := w.parts("e1")
		slow := newSlowReport(parts.Queue, int32(step+1))
		parts.Queue = slow
		w.start(parts)
		r := w.begin(w.scripts("echo one", "echo two"))
		<-slow.reported
		w.halt(r)
		close(slow.proceed)
		r = w.end(r.ID)
		w.wantEnd(r, build.Aborted, stopped)
		if n := strings.Count(w.log(r.ID), "] one\n") + strings.Count(w.log(r.ID), "] two\n"); n != step {
			t.Errorf("%d steps ran, want %d:\n%s", n, step, w.log(r.ID))
		}
	}
}

// The server's limit is for jobs that have none of their own.
func TestTimeout(t *testing.T) {
	t.Parallel()
	w := newStarted(t, func(p *engine.Parts) { p.Timeout, p.Slots = 300*time.Millisecond, 2 })
	pipe, fifo := newTether(t), newFifo(t)
	patient := w.begin(w.job(build.Config{
		Timeout: &build.Timeout{Limit: "1", Unit: "hour"}, Steps: []build.ActionStep{sh("Wait", "read line < "+fifo)},
	}))
	r := w.run(w.scripts(pipe.wicked(), "echo never"))
	pipe.wantGone(t)
	w.wantEnd(r, build.TimedOut, "The build ran longer than 300ms, which is the most that it may.")
	if diff := cmp.Diff([]build.StepState{build.StepSucceeded, build.StepAborted, build.StepWaiting}, w.states(r.ID)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	release(t, fifo)
	w.wantEnd(w.end(patient.ID), build.Succeeded, "")
}
