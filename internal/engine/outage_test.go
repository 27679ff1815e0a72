package engine_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/engine"
	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
	"atelier/internal/source"
)

// trouble is what goes wrong with one method of a queue.
type trouble string

const (
	failsOnce trouble = "fails once"
	forgets   trouble = "does it once and says that it failed"
	panics    trouble = "panics once"
	fails     trouble = "fails for 20 s"
	hangs     trouble = "hangs for 20 s"
	failsLong trouble = "fails for 60 s"
	hangsLong trouble = "hangs for 60 s"
)

func (t trouble) length() time.Duration {
	switch t {
	case fails, hangs:
		return 20 * time.Second
	case failsLong, hangsLong:
		return time.Minute
	default:
		return 0
	}
}

// troubled is a queue of which one method, or all, are in trouble from a moment on. It counts the calls of each.
type troubled struct {
	engine.Queue
	method string // empty for all
	trouble

	mu    sync.Mutex
	begun time.Time // zero until the trouble begins
	once  bool      // what happens once has happened
	calls map[string]int
}

// begin begins the trouble.
func (q *troubled) begin() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.begun = time.Now()
}

// now returns what a call meets, and for how long; empty for nothing.
func (q *troubled) now(method string) (trouble, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls[method]++
	left := q.length() - time.Since(q.begun)
	switch {
	case q.begun.IsZero() || q.method != "" && q.method != method:
		return "", 0
	case q.length() > 0 && left > 0:
		return q.trouble, left
	case q.length() > 0 || q.once:
		return "", 0
	}
	q.once = true
	return q.trouble, 0
}

// call makes a call of a method.
func (q *troubled) call(ctx context.Context, method string, do func() error) error {
	met, left := q.now(method)
	switch met {
	case panics:
		panic("a panic in " + method)
	case forgets:
		_ = do()
		return errAway
	case failsOnce, fails, failsLong:
		return errAway
	case hangs, hangsLong:
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(left):
		}
	}
	return do()
}

func (q *troubled) Announce(ctx context.Context, offer build.Offer, until time.Time) error {
	return q.call(ctx, "Announce", func() error { return q.Queue.Announce(ctx, offer, until) })
}

func (q *troubled) Lease(ctx context.Context, claim build.Claim) (taken build.Taken, ok bool, err error) {
	err = q.call(ctx, "Lease", func() (err error) { taken, ok, err = q.Queue.Lease(ctx, claim); return err })
	return taken, ok && err == nil, err
}

func (q *troubled) LeaseOverdue(ctx context.Context, owner string, queuedBefore, now, until time.Time) (lease build.Lease, ok bool, err error) {
	err = q.call(ctx, "LeaseOverdue", func() (err error) {
		lease, ok, err = q.Queue.LeaseOverdue(ctx, owner, queuedBefore, now, until)
		return err
	})
	return lease, ok && err == nil, err
}

func (q *troubled) Renew(ctx context.Context, owner string, until time.Time) (held []build.Held, err error) {
	err = q.call(ctx, "Renew", func() (err error) { held, err = q.Queue.Renew(ctx, owner, until); return err })
	return held, err
}

func (q *troubled) Lost(ctx context.Context, owner string, now time.Time) (lost []build.Lease, err error) {
	err = q.call(ctx, "Lost", func() (err error) { lost, err = q.Queue.Lost(ctx, owner, now); return err })
	return lost, err
}

func (q *troubled) Seize(ctx context.Context, lease build.Lease, owner string, until time.Time) (seized build.Lease, err error) {
	err = q.call(ctx, "Seize", func() (err error) { seized, err = q.Queue.Seize(ctx, lease, owner, until); return err })
	return seized, err
}

func (q *troubled) Requeue(ctx context.Context, lease build.Lease, needs build.Needs) error {
	return q.call(ctx, "Requeue", func() error { return q.Queue.Requeue(ctx, lease, needs) })
}

func (q *troubled) Waiting(ctx context.Context, queuedBefore time.Time, limit int) (waiting []build.Waiting, err error) {
	err = q.call(ctx, "Waiting", func() (err error) { waiting, err = q.Queue.Waiting(ctx, queuedBefore, limit); return err })
	return waiting, err
}

func (q *troubled) Standing(ctx context.Context, id build.RecordID, now time.Time) (standing build.Standing, err error) {
	err = q.call(ctx, "Standing", func() (err error) { standing, err = q.Queue.Standing(ctx, id, now); return err })
	return standing, err
}

func (q *troubled) NoteWait(ctx context.Context, id build.RecordID, what build.WaitFor) (noted bool, err error) {
	err = q.call(ctx, "NoteWait", func() (err error) { noted, err = q.Queue.NoteWait(ctx, id, what); return err })
	return noted, err
}

func (q *troubled) Report(ctx context.Context, id build.RecordID, fence int64, p build.Progress) error {
	return q.call(ctx, "Report", func() error { return q.Queue.Report(ctx, id, fence, p) })
}

func (q *troubled) Steps(ctx context.Context, id build.RecordID) (steps []build.Step, err error) {
	err = q.call(ctx, "Steps", func() (err error) { steps, err = q.Queue.Steps(ctx, id); return err })
	return steps, err
}

func (q *troubled) Flow(ctx context.Context, id build.RecordID) (jobs []build.FlowJob, err error) {
	err = q.call(ctx, "Flow", func() (err error) { jobs, err = q.Queue.Flow(ctx, id); return err })
	return jobs, err
}

func (q *troubled) StartChild(ctx context.Context, flow build.Lease, child build.Record) error {
	return q.call(ctx, "StartChild", func() error { return q.Queue.StartChild(ctx, flow, child) })
}

func (q *troubled) RequestStop(ctx context.Context, id build.RecordID, by build.Actor, at time.Time) error {
	return q.call(ctx, "RequestStop", func() error { return q.Queue.RequestStop(ctx, id, by, at) })
}

// methods are those that the engine calls.
var methods = []string{
	"Announce", "Lease", "LeaseOverdue", "Renew", "Lost", "Seize", "Requeue", "Waiting", "Standing", "NoteWait", "Report", "Steps", "Flow",
	"StartChild", "RequestStop",
}

// pretended is an executor whose steps take no time, or with a text of the form "sleep 10s" that long by the clock of the test.
type pretended struct{ executor.Executor }

func (pretended) Workspace(string) string       { return "/workspace" }
func (pretended) Recover(context.Context) error { return nil }
func (pretended) Open(context.Context, executor.Build) (executor.Session, error) {
	return pretendedSession{}, nil
}

type pretendedSession struct{ executor.Session }

func (pretendedSession) End(context.Context) error   { return nil }
func (pretendedSession) Close(context.Context) error { return nil }

func (pretendedSession) Run(ctx context.Context, step plan.Step, out io.Writer) (executor.Result, error) {
	fmt.Fprintln(out, "ran", step.Name)
	var length time.Duration
	if step.Script != nil {
		length, _ = time.ParseDuration(strings.TrimPrefix(step.Script.Command, "sleep ")) // others take no time
	}
	select {
	case <-time.After(length):
		return executor.Result{}, nil
	case <-ctx.Done():
		return executor.Result{}, context.Cause(ctx)
	}
}

// pretendedSources has build files by their paths, for every repository.
type pretendedSources map[string]string

func (pretendedSources) Resolve(context.Context, string, source.Ref) (source.Commit, error) {
	return source.Commit{ID: strings.Repeat("a", 40), Branch: "main"}, nil
}

func (s pretendedSources) ReadFile(_ context.Context, _, _, path string, _ int) ([]byte, error) {
	text, ok := s[path]
	if !ok {
		return nil, fault.New(fault.NotFound, "there is no %s", path)
	}
	return []byte(text), nil
}

// runTroubled has an engine do everything that it calls its queue for, and begins the trouble while it does. It checks how the builds end:
// with an endless lease as if there had been no trouble.
func runTroubled(t *testing.T, q *troubled, sole bool) {
	w := newWorld(t)
	q.Queue, q.calls = w.store, make(map[string]int)
	child := func(command string) string {
		return "version: 2.0\nsteps:\n  BUILD:\n    - sh:\n        inputs:\n          command: " + command + "\n"
	}
	flow := "version: 2.0\nbuildflow:\n  jobs:\n    - job: A\n      build_ref: a.yml\n    - job: B\n      depends_on: A\n      build_ref: a.yml\n"
	parts := engine.Parts{
		Owner: "e1", Queue: q, Executor: pretended{}, Artifacts: w.artifacts, Sealer: w.sealer, Logs: w.logs,
		Sources: pretendedSources{".cloudbuild/build.yml": flow, "a.yml": child("sleep 8s"), "stay.yml": strings.ReplaceAll(flow, "a.yml", "long.yml"), "long.yml": child("sleep 1h")},
		Log:     slog.New(slog.NewTextHandler(&w.server, nil)), Zone: time.UTC, Slots: 4, Sole: sole,
	}
	start := time.Now()
	lost := w.leave("e2", start.Add(9*time.Second), true) // these come first, since a queue gives out the oldest
	again := w.leave("e2", start.Add(9*time.Second), false)
	w.start(parts)
	file := build.Config{Kind: build.YAML, Sources: []build.Source{{URL: "https://git.example.org/a.git", Kind: "git"}}}
	staying := file
	staying.Parameters = []build.Parameter{{Definition: build.StringDefinition, Properties: []build.Property{
		{Name: "name", Value: engine.BuildFileParameter}, {Name: "defaultValue", Value: "stay.yml"},
	}}}
	stay := w.begin(w.job(staying))
	plain := w.scripts("sleep 4s", "sleep 12s")
	expected := map[build.RecordID]build.State{lost.ID: build.Failed, again.ID: build.Succeeded, stay.ID: build.Aborted}
	for range 4 { // more than there are slots
		expected[w.begin(plain).ID] = build.Succeeded
	}
	expected[w.begin(w.job(file)).ID] = build.Succeeded
	time.Sleep(5*time.Second + 500*time.Millisecond)
	q.begin()
	time.Sleep(2 * time.Second)
	w.halt(stay)
	deadline := time.Now().Add(q.length() + 5*time.Minute)
	for id, state := range expected {
		for !w.record(id).State.Final() {
			if time.Now().After(deadline) {
				t.Fatalf("build %s stays %s; the server's log:\n%s", id, w.record(id).State, w.server.String())
			}
			time.Sleep(100 * time.Millisecond)
		}
		r := w.record(id)
		ended := r.State == state
		if q.trouble == panics && (r.State == build.Failed || r.State == build.Unschedulable) {
			ended = true // it was in the way of the panic
		}
		if q.length() > outlast && !sole && r.State == build.Failed && strings.Contains(r.Error, "database") {
			ended = true
		}
		if !ended {
			t.Errorf("build %s is %s with %q, want %s\nits log:\n%s\nthe server's:\n%s", id, r.State, r.Error, state, w.log(id), w.server.String())
		}
		if r.State == build.Succeeded && id != again.ID {
			w.wantRanOnce(r)
		}
	}
	w.wantEnd(w.finished(w.begin(w.scripts("sleep 1s")).ID), build.Succeeded, "")
}

// outlast is how long a database may be away without costing a build.
const outlast = 20 * time.Second

// finished waits for the end of a build by the clock of the test.
func (w *world) finished(id build.RecordID) build.Record {
	w.t.Helper()
	for range 3000 {
		if r := w.record(id); r.State.Final() {
			return r
		}
		time.Sleep(100 * time.Millisecond)
	}
	return w.record(id)
}

// wantRanOnce checks that each step of a build ran once, and has ended so.
func (w *world) wantRanOnce(r build.Record) {
	w.t.Helper()
	var states []build.StepState
	for _, s := range w.steps(r.ID) {
		states = append(states, s.State)
	}
	if diff := cmp.Diff(slices.Repeat([]build.StepState{build.StepSucceeded}, 3), states); diff != "" {
		w.t.Errorf("steps of build %d (-want +got):\n%s", r.Number, diff)
	}
	if r.Flow {
		return
	}
	for _, step := range []string{"Step 1", "Step 2"} {
		if n := strings.Count(w.log(r.ID), "] ran "+step+"\n"); n != 1 {
			w.t.Errorf("%s ran %d times:\n%s", step, n, w.log(r.ID))
		}
	}
}

// Whatever call of the queue fails or hangs, once or for as long as a lease lasts, costs no build. One that panics costs no more than
// the build that it is for.
func TestQueueInTrouble(t *testing.T) {
	t.Parallel()
	if _, err := emptyDatabase(); err != nil {
		t.Fatal(err)
	}
	for _, trouble := range []trouble{failsOnce, forgets, panics, fails, hangs} {
		for _, method := range append(slices.Clone(methods), "") {
			t.Run(filepath.Join(string(trouble), method), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					q := &troubled{method: method, trouble: trouble}
					runTroubled(t, q, false)
					for _, name := range methods {
						if trouble == failsOnce && q.calls[name] == 0 { // or what it is called for comes too late
							t.Errorf("%s was not called", name)
						}
					}
				})
			})
		}
	}
}

// After a longer outage each build has ended, and says why. With a lease that nobody else can have it costs none.
func TestQueueInLongTrouble(t *testing.T) {
	t.Parallel()
	if _, err := emptyDatabase(); err != nil {
		t.Fatal(err)
	}
	for _, trouble := range []trouble{failsLong, hangsLong} {
		for _, sole := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, sole %t", trouble, sole), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { runTroubled(t, &troubled{trouble: trouble}, sole) })
			})
		}
	}
}
