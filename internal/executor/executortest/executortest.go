// Package executortest is the contract of executors, as tests. Every way to run builds must pass them.
package executortest

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"

	"github.com/google/uuid"

	"atelier/internal/executor"
	"atelier/internal/plan"
)

// Maker returns an executor that is ready to open builds, and lets them check out the repositories in a directory of the test's
// machine by their file:// addresses. The shorter its grace, the quicker the tests.
type Maker func(t *testing.T, repositories string) executor.Executor

// Run checks the contract.
func Run(t *testing.T, make Maker) {
	t.Run("script", func(t *testing.T) { t.Parallel(); testScript(t, make) })
	t.Run("output", func(t *testing.T) { t.Parallel(); testOutput(t, make) })
	t.Run("processes", func(t *testing.T) { t.Parallel(); testProcesses(t, make) })
	t.Run("stop", func(t *testing.T) { t.Parallel(); testStop(t, make) })
	t.Run("session", func(t *testing.T) { t.Parallel(); testSession(t, make) })
	t.Run("files", func(t *testing.T) { t.Parallel(); testFiles(t, make) })
	t.Run("caches", func(t *testing.T) { t.Parallel(); testCaches(t, make) })
	t.Run("checkout", func(t *testing.T) { t.Parallel(); testCheckout(t, make) })
	t.Run("settings", func(t *testing.T) { t.Parallel(); testSettings(t, make) })
	t.Run("credential", func(t *testing.T) { t.Parallel(); testCredential(t, make) })
}

// bundle is one open build.
type bundle struct {
	executor  executor.Executor
	session   executor.Session
	record    string
	workspace string
}

// open opens a build, which is closed when the test ends.
func open(t *testing.T, e executor.Executor, env ...plan.Param) *bundle {
	t.Helper()
	record := uuid.NewString()
	s, err := e.Open(t.Context(), executor.Build{Record: record, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &bundle{executor: e, session: s, record: record, workspace: e.Workspace(record)}
}

func script(command string) plan.Step {
	return plan.Step{Name: "test", Script: &plan.Script{Command: command}}
}

// run runs a script that the executor has to be able to run, and returns how it ended and what it printed.
func (b *bundle) run(t *testing.T, command string) (executor.Result, string) {
	t.Helper()
	var out bytes.Buffer
	result, err := b.session.Run(t.Context(), script(command), &out)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return result, out.String()
}

// must runs a script that has to succeed, and returns what it printed.
func (b *bundle) must(t *testing.T, command string) string {
	t.Helper()
	result, out := b.run(t, command)
	if !result.Succeeded() {
		t.Fatalf("%s: %+v\n%s", command, result, out)
	}
	return out
}

// waiter is a writer that tells when something has been printed.
type waiter struct {
	mu    sync.Mutex
	text  bytes.Buffer
	until []byte
	seen  chan struct{}
}

func waitFor(text string) *waiter {
	return &waiter{until: []byte(text), seen: make(chan struct{})}
}

func (w *waiter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if w.until != nil && bytes.Contains(w.text.Bytes(), w.until) {
		w.until = nil
		close(w.seen)
	}
	return len(p), nil
}

func (w *waiter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// counter counts what is written to it.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

var _ io.Writer = (*counter)(nil)
