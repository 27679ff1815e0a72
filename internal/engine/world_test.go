package engine_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"atelier/internal/artifact"
	"atelier/internal/build"
	"atelier/internal/engine"
	"atelier/internal/executor"
	"atelier/internal/executor/host"
	"atelier/internal/logs"
	"atelier/internal/plan"
	"atelier/internal/secret"
	"atelier/internal/source"
	"atelier/internal/source/sourcetest"
	"atelier/internal/store"
	"atelier/internal/trigger"
)

// patience is how long a test waits for something that should come. It is long because machines can be slow.
const patience = time.Minute

// briefLease is the lease time where a test waits for something that happens when leases are renewed or run out. A call of the
// database may take a third of it, so it is long because machines can be busy with something else.
const briefLease = 9 * time.Second

// world is everything that an engine works with, all of it real: a database, logs, repositories, and processes.
type world struct {
	t            *testing.T
	store        *store.Store
	logs         *logs.Store
	logDir       string
	artifacts    *artifact.Store
	repositories string
	sealer       *secret.Sealer
	service      *build.Service
	engines      engines
	server       lockedBuffer // the servers' own log
	changed      signal       // after every change that an engine makes in the database
}

func newWorld(t *testing.T) *world {
	t.Helper()
	database := filepath.Join(t.TempDir(), "atelier.db")
	empty, err := emptyDatabase()
	if err == nil {
		err = os.WriteFile(database, empty, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return newWorldIn(t, "sqlite:"+database)
}

// newWorldIn returns a world with a database that is there already.
func newWorldIn(t *testing.T, database string) *world {
	t.Helper()
	w := &world{t: t, logDir: filepath.Join(t.TempDir(), "logs"), repositories: t.TempDir()}
	w.store = openStore(t, database)
	var err error
	if w.logs, err = logs.Open(w.logDir, logs.Config{Zone: time.UTC}); err != nil {
		t.Fatal(err)
	}
	bucket, err := artifact.OpenDir(filepath.Join(t.TempDir(), "artifacts"))
	if err != nil {
		t.Fatal(err)
	}
	w.artifacts = artifact.New(bucket, w.store, artifact.Config{})
	t.Cleanup(func() { _ = w.artifacts.Close() })
	if w.sealer, err = secret.Open(filepath.Join(t.TempDir(), "key")); err != nil {
		t.Fatal(err)
	}
	w.service = build.NewService(build.Parts{
		Store: w.store, Access: everybody{}, Sources: source.Policy{FileRoots: []string{w.repositories}}, Steps: plan.Steps{}, Triggers: trigger.Schedules{Zone: time.UTC},
		Sealer: w.sealer, Engine: &w.engines, Region: "cn-north-4", Zone: time.UTC,
	})
	return w
}

func openStore(t *testing.T, database string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// emptyDatabase returns a database with a schema and nothing in it. To make the schema for every test would take a third of their
// time.
var emptyDatabase = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "atelier.db")
	s, err := store.Open(context.Background(), "sqlite:"+file)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// everybody may do everything.
type everybody struct{}

func (everybody) Check(context.Context, build.Actor, build.JobRef, build.Right) error { return nil }

func (everybody) Viewing(context.Context, build.Actor, []build.ProjectID) (build.Viewing, error) {
	return build.Viewing{}, nil
}

// engines are woken together, as if each were on a server of its own.
type engines struct {
	mu  sync.Mutex
	all []*engine.Engine
}

func (e *engines) each(do func(*engine.Engine)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.all {
		do(one)
	}
}

func (e *engines) Wake() { e.each((*engine.Engine).Wake) }

func (e *engines) StopBuild(id build.RecordID) {
	e.each(func(one *engine.Engine) { one.StopBuild(id) })
}

// parts returns what an engine called owner is made of. Its polling is off, so that a missed event shows.
func (w *world) parts(owner string) engine.Parts {
	w.t.Helper()
	dir := w.t.TempDir()
	git, err := source.New(source.Config{
		Policy: w.service.Sources.(source.Policy), Dir: filepath.Join(dir, "mirrors"), Environ: sourcetest.Environ(os.DevNull),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	builds := filepath.Join(dir, "builds")
	steps, err := host.New(host.Config{Dir: builds, Source: git, Path: os.Getenv("PATH"), Grace: 300 * time.Millisecond})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := steps.Close(); err != nil {
			w.t.Error(err)
		}
		if left, err := os.ReadDir(builds); err != nil || len(left) > 0 {
			w.t.Errorf("the engine %s left %v behind, %v", owner, left, err)
		}
	})
	return engine.Parts{
		Owner: owner, Queue: observed{w.store, &w.changed}, Executor: steps, Sources: git, Artifacts: w.artifacts, Sealer: w.sealer, Logs: w.logs,
		Log: slog.New(slog.NewTextHandler(&w.server, nil)), Zone: time.UTC, PollTime: time.Hour,
	}
}

// start starts an engine, which is stopped without mercy when the test ends.
func (w *world) start(parts engine.Parts) *engine.Engine {
	w.t.Helper()
	e := engine.New(parts)
	if err := e.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.stop(e) })
	w.engines.mu.Lock()
	defer w.engines.mu.Unlock()
	w.engines.all = append(w.engines.all, e)
	return e
}

// stop stops an engine without waiting for its builds, unless it is stopped already.
func (w *world) stop(e *engine.Engine) {
	w.engines.mu.Lock()
	running := false
	for i, one := range w.engines.all {
		if one == e {
			w.engines.all = append(w.engines.all[:i:i], w.engines.all[i+1:]...)
			running = true
			break
		}
	}
	w.engines.mu.Unlock()
	if running {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		e.Stop(ctx)
	}
}

// newStarted returns a world with one engine.
func newStarted(t *testing.T, options ...func(*engine.Parts)) *world {
	t.Helper()
	w := newWorld(t)
	parts := w.parts("e1")
	for _, option := range options {
		option(&parts)
	}
	w.start(parts)
	return w
}

var dev = build.Actor{UserID: "u1", UserName: "dev", DomainID: "d1"}

const project build.ProjectID = "0123456789abcdef0123456789abcdef"

// job creates a job. Its name and architecture are chosen here.
func (w *world) job(c build.Config) build.JobID {
	w.t.Helper()
	c.Name = "job-" + build.NewHexID()
	c.Arch = map[string]string{"amd64": "x86-64", "arm64": "arm"}[runtime.GOARCH]
	job, err := w.service.CreateJob(w.t.Context(), dev, project, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return job.ID
}

// scripts creates a job of sh steps.
func (w *world) scripts(commands ...string) build.JobID {
	w.t.Helper()
	var steps []build.ActionStep
	for i, command := range commands {
		steps = append(steps, sh(fmt.Sprintf("Step %d", i+1), command))
	}
	return w.job(build.Config{Steps: steps})
}

func sh(name, command string) build.ActionStep {
	return build.ActionStep{ModuleID: "sh", Name: name, Properties: map[string]any{"command": command}}
}

// begin starts a build of a job.
func (w *world) begin(job build.JobID) build.Record {
	w.t.Helper()
	return w.request(build.StartRequest{JobID: job})
}

func (w *world) request(req build.StartRequest) build.Record {
	w.t.Helper()
	record, err := w.service.Start(w.t.Context(), dev, req)
	if err != nil {
		w.t.Fatal(err)
	}
	return record
}

// run starts a build and returns its record when it is over.
func (w *world) run(job build.JobID) build.Record {
	w.t.Helper()
	return w.end(w.begin(job).ID)
}

func (w *world) halt(record build.Record) {
	w.t.Helper()
	if err := w.service.Stop(w.t.Context(), dev, record.JobID, record.Number); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) record(id build.RecordID) build.Record {
	w.t.Helper()
	record, _, err := w.store.RecordByID(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return record
}

// watched is an executor that something is done with before every step.
type watched struct {
	executor.Executor
	before func(ctx context.Context, step plan.Step)
}

func (x watched) Open(ctx context.Context, b executor.Build) (executor.Session, error) {
	s, err := x.Executor.Open(ctx, b)
	if err != nil {
		return nil, err
	}
	return watchedSession{s, x.before}, nil
}

type watchedSession struct {
	executor.Session
	before func(ctx context.Context, step plan.Step)
}

func (s watchedSession) Run(ctx context.Context, step plan.Step, out io.Writer) (executor.Result, error) {
	s.before(ctx, step)
	return s.Session.Run(ctx, step, out)
}
