package engine_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/engine"
)

// otherArch is the architecture that this machine does not have.
var otherArch = map[string]string{"amd64": "ARM", "arm64": "X86"}[runtime.GOARCH]

// A build that no engine here can run waits for one, and its log says so. It keeps nothing behind it from running.
func TestWaitForAnEngine(t *testing.T) {
	t.Parallel()
	w := newStarted(t, func(p *engine.Parts) { p.Slots, p.PollTime = 1, 20*time.Millisecond })
	arch, class := w.repository(), w.repository()
	const steps = "steps:\n  BUILD:\n    - sh:\n        inputs:\n          command: echo made\n"
	arch.Write(".cloudbuild/build.yml", "version: 2.0\nenv:\n  resource:\n    arch: "+otherArch+"\n"+steps)
	arch.Commit("Another architecture")
	record := w.begin(w.job(build.Config{Kind: build.YAML, Sources: sourceOf(arch)}))
	w.printed(record.ID, "No executor offers the architecture "+otherArch)
	w.wantEnd(w.run(w.scripts("true")), build.Succeeded, "")

	// An engine that says it has what is needed gets the build.
	parts := w.parts("e2")
	parts.Arch = otherArch
	parts.Classes = []string{"2U8G"}
	w.start(parts)
	w.wantEnd(w.end(record.ID), build.Succeeded, "")
	if log := w.log(record.ID); !strings.Contains(log, "] made\n") || strings.Count(log, "No executor offers") != 1 {
		t.Errorf("its log:\n%s", log)
	}

	class.Write(".cloudbuild/build.yml", "version: 2.0\nenv:\n  resource:\n    arch: "+otherArch+"\n    class: 16U64G\n"+steps)
	class.Commit("A large class")
	large := w.begin(w.job(build.Config{Kind: build.YAML, Sources: sourceOf(class)}))
	w.printed(large.ID, "No executor offers the architecture "+otherArch+" and the class 16U64G")
	w.halt(large)
	w.wantEnd(w.end(large.ID), build.Aborted, build.StoppedMessage)
}

// Builds over a limit wait, say so, and run when others have ended: nobody but those wakes the engine.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := newStarted(t, func(p *engine.Parts) { p.Limits.Task = 1 })
	w.service.Limits.Task = 1
	fifo := newFifo(t)
	job := w.scripts("read line < " + fifo)
	first, second := w.begin(job), w.begin(job)
	w.wantEnd(w.run(w.scripts("true")), build.Succeeded, "") // another task's turn comes
	text, err := w.service.WaitOf(t.Context(), w.record(second.ID))
	if err != nil || !strings.Contains(text, "1 build of the task runs, the most that may at a time.") {
		t.Errorf("the second waits: %q, %v", text, err)
	}
	if text, err := w.service.WaitOf(t.Context(), w.record(first.ID)); err != nil || text != "" {
		t.Errorf("the first, which runs, waits: %q, %v", text, err)
	}
	release(t, fifo)
	w.wantEnd(w.end(first.ID), build.Succeeded, "")
	release(t, fifo)
	w.wantEnd(w.end(second.ID), build.Succeeded, "")
}

// A build that waits for a slot says so in its log, once.
func TestWaitForASlot(t *testing.T) {
	t.Parallel()
	w := newStarted(t, func(p *engine.Parts) { p.Slots, p.PollTime = 1, 5*time.Millisecond })
	fifo := newFifo(t)
	first := w.begin(w.scripts("read line < " + fifo))
	second := w.begin(w.scripts("true"))
	w.printed(second.ID, "Every slot of the executors is taken, 1 of 1.")
	release(t, fifo)
	w.wantEnd(w.end(first.ID), build.Succeeded, "")
	w.wantEnd(w.end(second.ID), build.Succeeded, "")
	if log := w.log(second.ID); strings.Count(log, "Every slot") != 1 {
		t.Errorf("its log:\n%s", log)
	}
}
