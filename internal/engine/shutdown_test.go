package engine_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/engine"
)

// A server that must end at once leaves builds that wait in the queue, and ends those that run.
func TestShutdown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	parts.Slots = 2
	e := w.start(parts)
	url, asked := silentURL(t)
	pipe := newTether(t)
	running := w.begin(w.scripts(pipe.wicked(), "echo never"))
	w.printed(running.ID, "] ready\n")
	preparing := w.begin(w.job(build.Config{Sources: []build.Source{{URL: url, Kind: "git"}}}))
	<-asked
	queued := w.begin(w.scripts("echo later"))
	w.stop(e)

	pipe.wantGone(t)
	r := w.record(running.ID)
	w.wantEnd(r, build.Failed, wasRunning)
	if diff := cmp.Diff([]build.StepState{build.StepSucceeded, build.StepAborted, build.StepWaiting}, w.states(r.ID)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	for _, id := range []build.RecordID{preparing.ID, queued.ID} {
		if r := w.record(id); r.State != build.Queued || !r.StartedAt.IsZero() {
			t.Errorf("build %s is %s, started %v", id, r.State, r.StartedAt)
		}
	}
	w.halt(preparing)
	w.start(w.parts("e1"))
	w.wantEnd(w.end(queued.ID), build.Succeeded, "")
}

// A server with time lets its builds end, but takes no other.
func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	parts.Slots = 1
	e := engine.New(parts)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	fifo := newFifo(t)
	running := w.begin(w.scripts("echo ready; read line < "+fifo, "echo done"))
	queued := w.begin(w.scripts("echo never"))
	e.Wake()
	w.printed(running.ID, "] ready\n")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.Stop(context.Background())
	}()
	release(t, fifo)
	<-ended
	w.wantEnd(w.record(running.ID), build.Succeeded, "")
	if r := w.record(queued.ID); r.State != build.Queued || w.log(r.ID) != "" {
		t.Errorf("the queued build is %s, its log:\n%s", r.State, w.log(r.ID))
	}
}

// noticed is a context that tells when somebody begins to wait for its end.
type noticed struct {
	context.Context
	waits func()
}

func (c noticed) Done() <-chan struct{} {
	c.waits()
	return c.Context.Done()
}

// A build that is on its way from the queue when the server is stopped is the last one.
func TestDrainWhileTaken(t *testing.T) {
	t.Parallel()
	for range 3 { // what must not happen here happens by chance
		w := newWorld(t)
		parts := w.parts("e1")
		parts.Slots = 3
		slow := newSlowLease(parts.Queue)
		parts.Queue = slow
		e := engine.New(parts)
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		taken := w.begin(w.scripts("true"))
		e.Wake()
		<-slow.given
		queued := w.begin(w.scripts("echo never"))
		stopping, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			e.Stop(noticed{context.Background(), sync.OnceFunc(func() { close(stopping) })})
		}()
		<-stopping
		close(slow.proceed)
		<-ended
		w.wantEnd(w.record(taken.ID), build.Succeeded, "")
		if r := w.record(queued.ID); r.State != build.Queued {
			t.Errorf("the queued build is %s", r.State)
		}
	}
}

// A build that is on its way from the queue when the server ends is not forgotten there.
func TestShutdownWhileTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	parts := w.parts("e1")
	slow := newSlowLease(parts.Queue)
	parts.Queue = slow
	e := w.start(parts)
	r := w.begin(w.scripts("echo never"))
	taking := <-slow.given
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.stop(e)
	}()
	<-taking.Done()
	close(slow.proceed)
	<-ended
	if r = w.record(r.ID); r.State != build.Queued || strings.Contains(w.log(r.ID), "never") {
		t.Errorf("the build is %s, its log:\n%s", r.State, w.log(r.ID))
	}
}
