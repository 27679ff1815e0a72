package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"atelier/internal/build"
	"atelier/internal/engine"
	"atelier/internal/fault"
)

const (
	lost   = "The server that ran the build was lost, or lost its database."
	outage = "The server could not reach its database for so long that another server might have taken the build"
)

func TestNoBuildRunsTwice(t *testing.T) {
	t.Parallel()
	const builds = 40
	w := newWorld(t)
	ran := filepath.Join(t.TempDir(), "ran")
	job := w.scripts("echo $INCREASENUM >> " + ran)
	for range builds / 2 {
		w.begin(job)
	}
	for _, owner := range []string{"e1", "e2"} {
		parts := w.parts(owner)
		parts.Slots = 2
		w.start(parts)
	}
	for range builds / 2 {
		w.begin(job)
	}
	records, _, err := w.store.Records(t.Context(), build.RecordQuery{JobID: job, Limit: builds})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		w.wantEnd(w.end(r.ID), build.Succeeded, "")
	}
	text, err := os.ReadFile(ran)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(text))
	var want []string
	for i := range builds {
		want = append(want, fmt.Sprint(i+1))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("builds that ran (-want +got):\n%s", diff)
	}
}

var errAway = fault.New(fault.Unavailable, "the database is away")

// deaf is a queue that does not renew while it is told not to.
type deaf struct {
	engine.Queue
	on *atomic.Bool
}

func (q deaf) Renew(ctx context.Context, owner string, until time.Time) ([]build.Held, error) {
	if q.on.Load() {
		<-ctx.Done() // the worst that a database can do is not to answer
		return nil, ctx.Err()
	}
	return q.Queue.Renew(ctx, owner, until)
}

// An engine that cannot renew its leases ends its builds before others may take them for lost. The record says why.
func TestLeaseThatIsNotRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	q := deaf{parts.Queue, new(atomic.Bool)}
	parts.Queue, parts.LeaseTime = q, briefLease
	w.start(parts)
	pipe := newTether(t)
	r := w.begin(w.scripts("exec 9> "+pipe.name+"; echo ready; sleep 1000", "echo never"))
	w.printed(r.ID, "] ready\n")
	q.on.Store(true)
	pipe.await(t)
	others, err := w.store.Lost(t.Context(), "e2", time.Now())
	if err != nil || len(others) > 0 {
		t.Errorf("the build ended after its lease: %v, %v", others, err)
	}
	r = w.end(r.ID)
	w.wantEnd(r, build.Failed, outage)
	if log := w.log(r.ID); strings.Contains(log, "never") || !strings.Contains(log, "[ERROR] "+outage) {
		t.Errorf("log:\n%s", log)
	}
	if diff := cmp.Diff([]build.StepState{build.StepSucceeded, build.StepAborted, build.StepWaiting}, w.states(r.ID)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	q.on.Store(false)
	w.wantEnd(w.run(w.scripts("true")), build.Succeeded, "")
}

// A build that nobody else can have outlives every lease.
func TestSoleEngineIsNotRenewed(t *testing.T) {
	t.Parallel()
	if _, err := emptyDatabase(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		q := deaf{w.store, new(atomic.Bool)}
		q.on.Store(true)
		w.start(engine.Parts{
			Owner: "e1", Queue: q, Executor: pretended{}, Artifacts: w.artifacts, Sealer: w.sealer, Logs: w.logs, Sources: pretendedSources{},
			Log: slog.New(slog.NewTextHandler(&w.server, nil)), Zone: time.UTC, Sole: true,
		})
		w.wantEnd(w.finished(w.begin(w.scripts("sleep 4m")).ID), build.Succeeded, "") // several leases
	})
}

// renewals is a queue that tells of every renewal.
type renewals struct {
	engine.Queue
	renewed chan struct{}
}

func (q renewals) Renew(ctx context.Context, owner string, until time.Time) ([]build.Held, error) {
	held, err := q.Queue.Renew(ctx, owner, until)
	select {
	case q.renewed <- struct{}{}:
	default:
	}
	return held, err
}

func TestLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	q := renewals{parts.Queue, make(chan struct{})}
	parts.Queue, parts.LeaseTime = q, briefLease
	w.start(parts)
	fifo := newFifo(t)
	r := w.begin(w.scripts("echo ready; read line < " + fifo))
	w.printed(r.ID, "] ready\n")
	for range 5 {
		<-q.renewed
	}
	release(t, fifo)
	w.wantEnd(w.end(r.ID), build.Succeeded, "")
}

// A clock that jumps, as one does that was wrong, ends no build and keeps none waiting.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{3 * time.Hour, -3 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			parts := w.parts("e1")
			q := renewals{parts.Queue, make(chan struct{})}
			var jump atomic.Int64
			parts.Queue, parts.LeaseTime, parts.Slots = q, briefLease, 1
			parts.Now = func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }
			w.start(parts)
			fifo := newFifo(t)
			r := w.begin(w.scripts("echo ready; read line < " + fifo))
			w.printed(r.ID, "] ready\n")
			next := w.begin(w.scripts("true"))
			jump.Store(int64(by))
			for range 12 { // by then, lost builds have been looked for too
				<-q.renewed
			}
			release(t, fifo)
			for _, id := range []build.RecordID{r.ID, next.ID} {
				end := w.end(id)
				w.wantEnd(end, build.Succeeded, "")
				if end.RunTime(end.FinishedAt) < 0 || end.WaitTime() < 0 {
					t.Errorf("it took %s and %s", end.RunTime(end.FinishedAt), end.WaitTime())
				}
			}
		})
	}
}

// An engine whose build was given to another one ends it as soon as it learns of that.
func TestLeaseIsTakenAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	parts.LeaseTime = briefLease
	w.start(parts)
	pipe := newTether(t)
	r := w.begin(w.scripts(pipe.wicked()))
	w.printed(r.ID, "] ready\n")
	for err := build.ErrLeaseLost; err != nil; { // it may be renewed in between
		held, lookUp := w.store.Lost(t.Context(), "e1", time.Now())
		if lookUp != nil || len(held) != 1 {
			t.Fatal(held, lookUp)
		}
		if _, err = w.store.Seize(t.Context(), held[0], "e2", time.Now().Add(time.Hour)); err != nil && !errors.Is(err, build.ErrLeaseLost) {
			t.Fatal(err)
		}
	}
	pipe.await(t)
	w.server.await(t, "the lease of a build was lost")
	if now := w.record(r.ID); now.State != build.Running {
		t.Errorf("the build is %s", now.State)
	}
}

// strict is a slow queue that nobody may ask for lost builds while it gives one out: that one would be among them.
type strict struct {
	slowLease
	found chan build.Lease
}

func (q strict) Lost(ctx context.Context, owner string, now time.Time) ([]build.Lease, error) {
	lost, err := q.Queue.Lost(ctx, owner, now)
	for _, l := range lost {
		select {
		case <-q.proceed:
		default:
			q.found <- l
		}
	}
	return lost, err
}

func TestTakenBuildIsNotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	q := strict{newSlowLease(parts.Queue), make(chan build.Lease, 10)}
	parts.Queue, parts.LeaseTime = q, briefLease
	w.start(parts)
	r := w.begin(w.scripts("echo once"))
	<-q.given
	select {
	case <-q.found:
		t.Error("a build is taken for lost while it is given out")
	case <-time.After(briefLease / 3): // the engine looks for lost builds three times
	}
	close(q.proceed)
	r = w.end(r.ID)
	w.wantEnd(r, build.Succeeded, "")
	if n := strings.Count(w.log(r.ID), "] once\n"); n != 1 {
		t.Errorf("it ran %d times:\n%s", n, w.log(r.ID))
	}
}

// complacent is a queue that says that it has renewed, and has not: what an engine sees that was asleep for a while.
type complacent struct {
	engine.Queue
	held *atomic.Value // []build.Held
}

func (q complacent) Lease(ctx context.Context, claim build.Claim) (build.Taken, bool, error) {
	taken, ok, err := q.Queue.Lease(ctx, claim)
	if ok {
		q.held.Store([]build.Held{{ID: taken.Record.ID, Fence: taken.Fence}})
	}
	return taken, ok, err
}

func (q complacent) Renew(context.Context, string, time.Time) ([]build.Held, error) {
	held, _ := q.held.Load().([]build.Held)
	return held, nil
}

// What an engine says of a build that another one took for lost does not count.
func TestOwnerThatComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sleepy := w.parts("sleepy")
	sleepy.Queue, sleepy.LeaseTime = complacent{sleepy.Queue, new(atomic.Value)}, briefLease
	w.start(sleepy)
	fifo := newFifo(t)
	r := w.begin(w.scripts("echo ready; read line < "+fifo, "echo never"))
	w.printed(r.ID, "] ready\n")
	other := w.parts("other")
	other.LeaseTime = briefLease
	w.start(other)
	r = w.end(r.ID)
	w.wantEnd(r, build.Failed, lost)
	steps := w.steps(r.ID)

	release(t, fifo)
	w.server.await(t, "the lease of a build was lost")
	if diff := cmp.Diff(r, w.record(r.ID)); diff != "" {
		t.Errorf("the record changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(steps, w.steps(r.ID)); diff != "" {
		t.Errorf("the steps changed (-before +after):\n%s", diff)
	}
	if strings.Contains(w.log(r.ID), "never") {
		t.Errorf("log:\n%s", w.log(r.ID))
	}
}

// leave makes a build that an engine called owner was at when it died.
func (w *world) leave(owner string, until time.Time, began bool) build.Record {
	w.t.Helper()
	r := w.begin(w.scripts("echo again"))
	lease, ok, err := w.store.Lease(w.t.Context(), build.Claim{Offer: build.Offer{Owner: owner}, Now: time.Now(), Until: until})
	if err != nil || !ok || lease.Record.ID != r.ID {
		w.t.Fatal(lease, ok, err)
	}
	log, err := w.logs.Append(r.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	defer log.Close()
	_ = log.Info("It has begun.")
	if !began {
		return r
	}
	at := time.Now().UTC().Truncate(time.Millisecond)
	if err := w.store.Report(w.t.Context(), r.ID, lease.Fence, build.Progress{Begin: &build.Begin{At: at}, Steps: []build.Step{
		{RecordID: r.ID, ID: uuid.NewString(), Stage: "initial", State: build.StepSucceeded, StartedAt: at, FinishedAt: at, LogEnd: log.Size()},
		{RecordID: r.ID, Sequence: 1, ID: uuid.NewString(), Stage: "stage1", Name: "Step 1", State: build.StepRunning, StartedAt: at, LogStart: log.Size(), LogEnd: -1},
		{RecordID: r.ID, Sequence: 2, ID: uuid.NewString(), Stage: "stage2", Name: "Step 2", State: build.StepWaiting},
	}}); err != nil {
		w.t.Fatal(err)
	}
	out := log.Output(nil)
	_, _ = out.Write([]byte("half a li"))
	return r
}

func TestBuildsOfADeadEngine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		owner string // the engine that finds the build is e1
		until time.Duration
		began bool
		halt  bool
		state build.State
		text  string
	}{
		{"another's, before its first step", "e2", -time.Second, false, false, build.Succeeded, ""},
		{"another's, while it ran", "e2", -time.Second, true, false, build.Failed, lost},
		{"another's, when its lease runs out", "e2", 500 * time.Millisecond, true, false, build.Failed, lost},
		{"another's, before its first step, when its lease runs out", "e2", 500 * time.Millisecond, false, false, build.Succeeded, ""},
		{"its own, before the first step", "e1", time.Hour, false, false, build.Succeeded, ""},
		{"its own, while it ran", "e1", time.Hour, true, false, build.Failed, lost},
		{"to be stopped, before its first step", "e2", -time.Second, false, true, build.Aborted, stopped},
		{"to be stopped, while it ran", "e2", -time.Second, true, true, build.Aborted, stopped},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			left := w.leave(tt.owner, time.Now().Add(tt.until), tt.began)
			if tt.halt {
				w.halt(left)
			}
			parts := w.parts("e1")
			parts.LeaseTime = briefLease
			w.start(parts)
			r := w.end(left.ID)
			w.wantEnd(r, tt.state, tt.text)
			wantOrder(t, "record", r.QueuedAt, r.StartedAt, r.FinishedAt)
			log := w.log(r.ID)
			if !strings.Contains(log, "[INFO] It has begun.\n") || strings.Contains(log, "] again\n") != (tt.state == build.Succeeded) || !strings.Contains(log, tt.text) {
				t.Errorf("log:\n%s", log)
			}
			if !tt.began {
				return
			}
			if diff := cmp.Diff([]build.StepState{build.StepSucceeded, build.StepFailed, build.StepWaiting}, w.states(r.ID)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			s := w.steps(r.ID)[1]
			if section := w.section(r.ID, s.LogStart, s.LogEnd); !strings.Contains(section, "] half a li\n") || s.FinishedAt.IsZero() || s.LogEnd < s.LogStart {
				t.Errorf("step = %+v, its section:\n%s", s, section)
			}
		})
	}
}

// TestBuildThatEndsItsServers has a build that nobody survives come to an end.
func TestBuildThatEndsItsServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left := w.leave("e2", time.Now().Add(-time.Second), false)
	for {
		lost, err := w.store.Lost(t.Context(), "nobody", time.Now())
		if err != nil || len(lost) != 1 {
			t.Fatal(lost, err)
		}
		if lost[0].Fence >= 39 {
			break
		}
		seized, err := w.store.Seize(t.Context(), lost[0], "e2", time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.store.Requeue(t.Context(), seized, build.Needs{}); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := w.store.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e2"}, Now: time.Now(), Until: time.Now().Add(-time.Second)}); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	w.start(w.parts("e1"))
	w.wantEnd(w.end(left.ID), build.Unschedulable, "twenty times or more, so it is not tried again")
}

// One lost build that cannot be dealt with holds up neither the others nor the start.
func TestLostBuildWithoutLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hopeless := w.leave("e1", time.Now().Add(time.Hour), true)
	w.breakLog(hopeless.ID)
	other := w.leave("e1", time.Now().Add(time.Hour), true)
	w.start(w.parts("e1"))
	for _, r := range []build.Record{hopeless, other} {
		if r := w.end(r.ID); r.State != build.Failed || !strings.Contains(r.Error, lost) {
			t.Errorf("the build is %s: %s", r.State, r.Error)
		}
		if !w.record(r.ID).Logged {
			t.Error("the record says that there was no log, which there was when the build began")
		}
		if s := w.steps(r.ID)[1]; s.State != build.StepFailed || s.LogEnd < s.LogStart {
			t.Errorf("step = %+v", s)
		}
	}
}

// breakLog lets nobody open a build's log.
func (w *world) breakLog(id build.RecordID) {
	w.t.Helper()
	file := w.logFile(id)
	if err := errors.Join(os.RemoveAll(file), os.MkdirAll(file, 0o700)); err != nil {
		w.t.Fatal(err)
	}
}

// logFile returns where the log of a build is.
func (w *world) logFile(id build.RecordID) string {
	return filepath.Join(w.logDir, string(id[len(id)-2:]), string(id)+".log")
}
