package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/engine"
	"atelier/internal/plan"
	"atelier/internal/source"
)

const internal = "Internal error. Its details are in the server's log under the record id."

// flaky is a queue of which every call fails some times before it succeeds.
type flaky struct {
	engine.Queue
	failures int32
	err      error
	calls    *atomic.Int32
}

func (q flaky) fails() bool { return (q.calls.Add(1)-1)%(q.failures+1) < q.failures }

func (q flaky) Report(ctx context.Context, id build.RecordID, fence int64, p build.Progress) error {
	if q.fails() {
		return q.err
	}
	return q.Queue.Report(ctx, id, fence, p)
}

// A database that is away for a moment costs a build nothing but time.
func TestDatabaseIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	q := flaky{parts.Queue, 2, errAway, new(atomic.Int32)}
	parts.Queue = q
	w.start(parts)
	r := w.run(w.scripts("echo one", "echo two"))
	w.wantEnd(r, build.Succeeded, "")
	if diff := cmp.Diff([]build.StepState{build.StepSucceeded, build.StepSucceeded, build.StepSucceeded}, w.states(r.ID)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if q.calls.Load() < 9 {
		t.Errorf("%d calls", q.calls.Load())
	}
}

// forgetful is a queue that stores a report, and then says that it does not know whether it did.
type forgetful struct {
	engine.Queue
	calls *atomic.Int32
}

func (q forgetful) Report(ctx context.Context, id build.RecordID, fence int64, p build.Progress) error {
	if err := q.Queue.Report(ctx, id, fence, p); err != nil || q.calls.Add(1) > 1 {
		return err
	}
	return errAway
}

// A connection can break when the database has stored what it was given, but has not said so. Then it is told again.
func TestReportIsRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	parts.Queue = forgetful{parts.Queue, new(atomic.Int32)}
	w.start(parts)
	w.wantEnd(w.run(w.scripts("echo one", "echo two")), build.Succeeded, "")
}

// confused is a queue that does not know what the first build is to do.
type confused struct {
	engine.Queue
	calls *atomic.Int32
}

func (q confused) Lease(ctx context.Context, claim build.Claim) (build.Taken, bool, error) {
	taken, ok, err := q.Queue.Lease(ctx, claim)
	if ok && q.calls.Add(1) == 1 {
		taken.Config, taken.ConfigErr = build.Config{}, errors.New("not JSON")
	}
	return taken, ok, err
}

// A build whose task cannot be read ends, and the next one runs.
func TestConfigIsNotReadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	parts.Queue = confused{parts.Queue, new(atomic.Int32)}
	w.start(parts)
	w.wantEnd(w.run(w.scripts("true")), build.Unschedulable, internal)
	w.wantEnd(w.run(w.scripts("true")), build.Succeeded, "")
}

// refusing is a queue that does not take the final state of the first build.
type refusing struct {
	engine.Queue
	calls *atomic.Int32
}

func (q refusing) Report(ctx context.Context, id build.RecordID, fence int64, p build.Progress) error {
	if p.End != nil && q.calls.Add(1) == 1 {
		return errors.New("no, not that")
	}
	return q.Queue.Report(ctx, id, fence, p)
}

// A build whose end could not be stored does not stay as it is for ever.
func TestEndIsNotStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	parts.Queue, parts.LeaseTime = refusing{parts.Queue, new(atomic.Int32)}, briefLease
	w.start(parts)
	w.wantEnd(w.run(w.scripts("true")), build.Failed, lost)
	w.wantEnd(w.run(w.scripts("true")), build.Succeeded, "")
}

// A panic ends one build. Nothing of it is left, and others go on.
func TestPanicInAStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	parts.Executor = watched{parts.Executor, func(_ context.Context, step plan.Step) {
		if strings.Contains(step.Script.Command, "panic") {
			panic("no more ideas, hush-hush")
		}
	}}
	parts.Slots = 1
	w.start(parts)
	r := w.run(w.job(build.Config{
		Parameters: []build.Parameter{private("SECRET", "hush-hush")},
		Steps:      []build.ActionStep{sh("One", "true"), sh("Two", "echo panic"), sh("Three", "echo never")},
	}))
	w.wantEnd(r, build.Failed, internal)
	w.wantSecret(r, "hush-hush")
	if diff := cmp.Diff([]build.StepState{build.StepSucceeded, build.StepSucceeded, build.StepFailed, build.StepWaiting}, w.states(r.ID)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if s := w.steps(r.ID)[2]; s.FinishedAt.IsZero() || s.LogEnd < s.LogStart {
		t.Errorf("step = %+v", s)
	}
	if !strings.Contains(w.server.String(), "no more ideas") || !strings.Contains(w.server.String(), string(r.ID)) {
		t.Errorf("the server's log:\n%s", w.server.String())
	}
	w.wantEnd(w.run(w.scripts("true")), build.Succeeded, "") // which began when nothing was left of the other
	if _, err := os.Stat(parts.Executor.Workspace(string(r.ID))); !os.IsNotExist(err) {
		t.Errorf("left behind: %v", err)
	}
}

type panickingSources struct{ engine.Sources }

func (panickingSources) Resolve(context.Context, string, source.Ref) (source.Commit, error) {
	panic("no idea")
}

func TestPanicInThePreparation(t *testing.T) {
	t.Parallel()
	w := newStarted(t, func(p *engine.Parts) { p.Sources = panickingSources{p.Sources} })
	r := w.run(w.job(build.Config{Sources: sourceOf(w.repository())}))
	w.wantNeverBegan(r, internal)
}

// A log that cannot be written to ends the build: nobody would know what it did. /dev/full is a disk without room.
func TestLogCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pipe := newTether(t)
	full := w.begin(w.scripts("exec 9> "+pipe.name+"; while :; do echo more; done", "touch "+filepath.Join(t.TempDir(), "never")))
	file := w.logFile(full.ID)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.Symlink("/dev/full", file)); err != nil {
		t.Fatal(err)
	}
	quiet := w.begin(w.scripts("true"))
	file = w.logFile(quiet.ID)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.Symlink("/dev/full", file)); err != nil {
		t.Fatal(err)
	}
	closed := w.begin(w.scripts("true"))
	w.breakLog(closed.ID)
	fine := w.begin(w.scripts("true"))
	w.start(w.parts("e1"))

	check := func(id build.RecordID, state build.State, text string) {
		t.Helper()
		if r := w.end(id); r.State != state || r.Error != text {
			t.Errorf("the build is %s with %q, want %s with %q\nthe server's log:\n%s", r.State, r.Error, state, text, w.server.String())
		}
	}
	check(full.ID, build.Failed, "The server's disk is full. Start the build again when there is room.")
	pipe.wantGone(t)
	if diff := cmp.Diff([]build.StepState{build.StepSucceeded, build.StepFailed, build.StepWaiting}, w.states(full.ID)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	check(quiet.ID, build.Failed, "The server's disk is full. Start the build again when there is room.")
	check(closed.ID, build.Unschedulable, "The log of the build could not be written.")
	if w.record(closed.ID).Logged || !w.record(full.ID).Logged {
		t.Error("a build that could not open its log has had one, or one that could has not")
	}
	check(fine.ID, build.Succeeded, "")
	if !strings.Contains(w.server.String(), "no space left on device") {
		t.Errorf("the server's log does not say why:\n%s", w.server.String())
	}
}
