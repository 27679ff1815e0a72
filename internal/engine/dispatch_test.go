package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/engine"
	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// The engines of these tests look at the queue once an hour, unless somebody wakes them.
func TestBuildsAreAnnounced(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	for range 3 { // idle, and idle again
		w.wantEnd(w.run(w.scripts("true")), build.Succeeded, "")
	}
}

// Nobody tells an engine of what was queued on another server.
func TestQueueIsPolled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	parts.PollTime = 10 * time.Millisecond
	e := engine.New(parts)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Stop(context.Background()) })
	w.wantEnd(w.run(w.scripts("true")), build.Succeeded, "")
}

// gauge counts how many are inside at a time.
type gauge struct {
	mu        sync.Mutex
	now, most int
	full      chan struct{} // closed when as many as wanted are inside
	wanted    int
}

func (g *gauge) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now++; g.now > g.most {
		if g.most = g.now; g.most == g.wanted {
			close(g.full)
		}
	}
}

func (g *gauge) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now--
}

// As many builds run at a time as there are slots: no more, and no fewer when enough wait.
func TestSlots(t *testing.T) {
	t.Parallel()
	for _, slots := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			parts := w.parts("e1")
			parts.Slots = slots
			g := &gauge{full: make(chan struct{}), wanted: slots}
			parts.Executor = watched{parts.Executor, func(ctx context.Context, _ plan.Step) {
				g.enter()
				defer g.leave()
				select {
				case <-g.full: // the first ones wait for each other
				case <-ctx.Done():
				}
			}}
			w.start(parts)
			job := w.scripts("true")
			var records []build.Record
			for range 4*slots + 1 {
				records = append(records, w.begin(job))
			}
			for _, r := range records {
				w.wantEnd(w.end(r.ID), build.Succeeded, "")
			}
			if g.most != slots {
				t.Errorf("%d builds ran at a time, want %d", g.most, slots)
			}
		})
	}
}

func TestOldestFirst(t *testing.T) {
	t.Parallel()
	const builds = 12
	w := newWorld(t)
	ran := filepath.Join(t.TempDir(), "ran")
	jobs := []build.JobID{w.scripts("echo $JOB >> " + ran), w.scripts("echo $JOB >> " + ran)}
	var want []string
	var last build.Record
	for i := range builds {
		if i == builds/2 {
			parts := w.parts("e1")
			parts.Slots = 1
			w.start(parts)
		}
		want = append(want, fmt.Sprint(i))
		last = w.request(build.StartRequest{JobID: jobs[i%2], Parameters: []build.NameValue{{Name: "JOB", Value: fmt.Sprint(i)}}})
	}
	w.end(last.ID)
	text, err := os.ReadFile(ran)
	if got := strings.Fields(string(text)); err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("builds ran in the order %v, %v", got, err)
	}
}

// A build that no executor takes does not wait for ever.
func TestQueueTimeout(t *testing.T) {
	t.Parallel()
	w := newStarted(t, func(p *engine.Parts) { p.Slots, p.QueueTimeout, p.LeaseTime = 1, time.Second, briefLease })
	pipe := newTether(t)
	running := w.begin(w.scripts(pipe.wicked()))
	w.printed(running.ID, "] ready\n")
	waiting := w.begin(w.scripts("true"))
	const text = "The build waited for an executor for longer than 1s."
	w.wantEnd(w.end(waiting.ID), build.Unschedulable, text)
	if log := w.log(waiting.ID); !strings.Contains(log, text) {
		t.Errorf("its log is %q", log)
	}
	if r := w.record(running.ID); r.State != build.Running {
		t.Errorf("the build before it is %s", r.State)
	}
	w.halt(running)
	w.end(running.ID)
}

// absent is an executor that does not answer until it is there.
type absent struct {
	executor.Executor
	there chan struct{}
}

func (x absent) Open(ctx context.Context, b executor.Build) (executor.Session, error) {
	select {
	case <-x.there:
		return x.Executor.Open(ctx, b)
	default:
		return nil, fault.New(fault.Unavailable, "The container engine does not answer.")
	}
}

// A build waits for an executor that does not answer, and for none that stays away. It does not fail with those behind it.
func TestExecutorDoesNotAnswer(t *testing.T) {
	t.Parallel()
	const text = "[WARN] The container engine does not answer. The build begins when it does.\n"
	there := make(chan struct{})
	w := newStarted(t, func(p *engine.Parts) { p.Executor, p.Slots = absent{p.Executor, there}, 2 })
	waiting, unwanted := w.begin(w.scripts("true")), w.begin(w.scripts("true"))
	w.printed(waiting.ID, text)
	w.printed(unwanted.ID, text)
	w.halt(unwanted)
	w.wantEnd(w.end(unwanted.ID), build.Aborted, stopped)
	r := w.record(waiting.ID)
	if r.State != build.Scheduled || !r.RunnableAt.IsZero() {
		t.Errorf("a build that cannot begin is %s", r.State)
	}
	const why = "The container engine of the server that has taken the build does not answer. The build begins when it does."
	if got, err := w.service.WaitOf(t.Context(), r); got != why || err != nil {
		t.Errorf("it waits since %q, %v", got, err)
	}
	close(there)
	w.wantEnd(w.end(waiting.ID), build.Succeeded, "")
	if got, err := w.service.WaitOf(t.Context(), r); got != "" || err != nil {
		t.Errorf("it waits no more, and is said to since %q, %v", got, err)
	}
	if n := strings.Count(w.log(waiting.ID), text); n != 1 {
		t.Errorf("its log says %d times that it waits", n)
	}

	gone := newStarted(t, func(p *engine.Parts) {
		p.Executor, p.QueueTimeout = absent{p.Executor, make(chan struct{})}, time.Second
	})
	gone.wantEnd(gone.run(gone.scripts("true")), build.Unschedulable, "The container engine does not answer.")
}
