package engine_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/engine"
)

// await returns the record of a build as soon as it is as wanted.
func (w *world) await(id build.RecordID, wanted func(build.Record) bool) build.Record {
	w.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		change := w.changed.next()
		record := w.record(id)
		if wanted(record) {
			return record
		}
		select {
		case <-change:
		case <-late.C:
			w.t.Fatalf("build %d stays %s\nits log:\n%s\nthe server's:\n%s", record.Number, record.State, w.log(id), w.server.String())
		}
	}
}

// end waits until a build is over.
func (w *world) end(id build.RecordID) build.Record {
	w.t.Helper()
	return w.await(id, func(r build.Record) bool { return r.State.Final() })
}

// printed waits until a text is in a build's log.
func (w *world) printed(id build.RecordID, text string) {
	w.t.Helper()
	written, cancel := w.logs.Watch(id)
	defer cancel()
	late := time.NewTimer(patience)
	defer late.Stop()
	for !strings.Contains(w.log(id), text) {
		select {
		case <-written:
		case <-late.C:
			w.t.Fatalf("%q does not come:\n%s", text, w.log(id))
		}
	}
}

// log returns the present log of a build.
func (w *world) log(id build.RecordID) string {
	w.t.Helper()
	return w.section(id, 0, -1)
}

func (w *world) section(id build.RecordID, start, end int64) string {
	w.t.Helper()
	r, err := w.logs.Section(id, start, end)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

func (w *world) steps(id build.RecordID) []build.Step {
	w.t.Helper()
	steps, err := w.store.Steps(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return steps
}

// wantEnd checks how a build ended. The error holds the given text.
func (w *world) wantEnd(r build.Record, state build.State, text string) {
	w.t.Helper()
	if r.State != state || !strings.Contains(r.Error, text) || (text == "") != (r.Error == "") {
		w.t.Errorf("build %d is %s with the error %q, want %s with %q\nits log:\n%s\nthe server's:\n%s",
			r.Number, r.State, r.Error, state, text, w.log(r.ID), w.server.String())
	}
	// A record never says that there was a log when there was none, and says it of every build that has run.
	if there, err := w.logs.Exists(r.ID); err != nil || r.Logged && !there || !r.Logged && !r.RunnableAt.IsZero() {
		w.t.Errorf("build %d is %s and has had a log: %t; it is there: %t, %v", r.Number, r.State, r.Logged, there, err)
	}
}

// states returns the states of a build's steps, the preparation's first.
func (w *world) states(id build.RecordID) []build.StepState {
	w.t.Helper()
	var states []build.StepState
	for _, s := range w.steps(id) {
		states = append(states, s.State)
	}
	return states
}

// observed tells when a queue was changed.
type observed struct {
	engine.Queue
	changed *signal
}

func (q observed) Lease(ctx context.Context, claim build.Claim) (build.Taken, bool, error) {
	defer q.changed.send()
	return q.Queue.Lease(ctx, claim)
}

func (q observed) Requeue(ctx context.Context, lease build.Lease, needs build.Needs) error {
	defer q.changed.send()
	return q.Queue.Requeue(ctx, lease, needs)
}

func (q observed) Report(ctx context.Context, id build.RecordID, fence int64, p build.Progress) error {
	defer q.changed.send()
	return q.Queue.Report(ctx, id, fence, p)
}

// signal wakes everybody who waits for it.
type signal struct {
	mu sync.Mutex
	c  chan struct{}
}

// next returns a channel that is closed by the next send.
func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) send() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}

// lockedBuffer is a buffer that several goroutines write to.
type lockedBuffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	written signal
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.written.send()
	return l.b.Write(p)
}

// await waits until a text is in the buffer.
func (l *lockedBuffer) await(t *testing.T, text string) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		written := l.written.next()
		if strings.Contains(l.String(), text) {
			return
		}
		select {
		case <-written:
		case <-late.C:
			t.Fatalf("%q does not come:\n%s", text, l.String())
		}
	}
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
