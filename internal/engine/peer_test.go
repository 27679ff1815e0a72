package engine_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/engine"
	"atelier/internal/store/postgrestest"
)

// newTown returns a world with an engine, and what begins another one on a server of its own. They share a PostgreSQL and nothing else, and
// neither looks for itself.
func newTown(t *testing.T, options func(*engine.Parts)) (w *world, startOther func(options func(*engine.Parts)) *engine.Engine) {
	url := postgrestest.New(t)
	w = newWorldIn(t, url)
	parts := w.parts("e1")
	parts.LeaseTime, parts.Peers = time.Hour, w.store.Bus(parts.Log)
	options(&parts)
	w.start(parts)
	return w, func(options func(*engine.Parts)) *engine.Engine {
		s := openStore(t, url)
		parts := w.parts("e2")
		parts.Queue, parts.LeaseTime, parts.Peers = observed{s, &w.changed}, time.Hour, s.Bus(slog.New(slog.DiscardHandler))
		options(&parts)
		e := engine.New(parts)
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			e.Stop(ctx)
		})
		return e
	}
}

func oneSlot(p *engine.Parts) { p.Slots = 1 }

// What is queued on one server is begun at once by another one that has room, and is stopped by way of the first.
func TestServersTellEachOther(t *testing.T) {
	t.Parallel()
	w, startOther := newTown(t, oneSlot)
	endless := w.scripts("echo ready; sleep 1000")
	first := w.begin(endless)
	w.printed(first.ID, "] ready\n")
	startOther(oneSlot)
	for range 3 { // also when the other one has been idle again
		w.wantEnd(w.run(w.scripts("true")), build.Succeeded, "")
	}
	second := w.begin(endless)
	w.printed(second.ID, "] ready\n")
	w.halt(second)
	w.wantEnd(w.end(second.ID), build.Aborted, stopped)
	if r := w.record(first.ID); r.State != build.Running {
		t.Errorf("the build of the first server is %s", r.State)
	}
}

// A limit that one server reaches, another one may have left.
func TestServersTellOfLimits(t *testing.T) {
	t.Parallel()
	limited := func(p *engine.Parts) { p.Limits = build.Limits{Tenant: 1} }
	w, startOther := newTown(t, limited)
	first := w.begin(w.scripts("echo ready; sleep 1000"))
	w.printed(first.ID, "] ready\n")
	startOther(func(p *engine.Parts) {
		limited(p)
		p.Classes = []string{"4U8G"}
	})
	config := build.Config{Steps: []build.ActionStep{sh("Run", "true")}, Flavor: "4U8G"}
	second := w.begin(w.job(config))
	w.halt(first)
	w.wantEnd(w.end(second.ID), build.Succeeded, "")
}

// A flow hears of a child that another server has run.
func TestServersTellOfChildren(t *testing.T) {
	t.Parallel()
	w, startOther := newTown(t, func(p *engine.Parts) { p.Classes = []string{"2U8G"} })
	repo := w.repository()
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nbuildflow:\n  jobs:\n    - {job: A, build_ref: a.yml}\n    - {job: B, build_ref: a.yml, depends_on: A}\n")
	repo.Write("a.yml", "version: 2.0\nenv:\n  resource: {class: 4U8G}\nsteps:\n  BUILD:\n    - sh: {inputs: {command: echo done}}\n")
	repo.Commit("Flow")
	flow := w.begin(w.job(build.Config{Kind: build.YAML, Sources: sourceOf(repo)}))
	w.await(flow.ID, func(build.Record) bool {
		child := w.children(flow.ID)["A"]
		if child.ID == "" {
			return false
		}
		standing, err := w.store.Standing(t.Context(), child.ID, time.Now())
		return err == nil && standing.Needs.Class == "4U8G"
	})
	startOther(func(p *engine.Parts) { p.Classes = []string{"4U8G"} })
	w.wantEnd(w.end(flow.ID), build.Succeeded, "")
}
