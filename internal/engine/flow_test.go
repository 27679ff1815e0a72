package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/engine"
)

// flowOf creates a job with a flow file, whose children's files are given by their names.
func (w *world) flowOf(flow string, children map[string]string) build.JobID {
	w.t.Helper()
	repo := w.repository()
	repo.Write(".cloudbuild/build.yml", "version: 2.0\n"+flow)
	for name, command := range children {
		repo.Write(".cloudbuild/"+name+".yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh:\n        inputs:\n          command: |\n            "+command+"\n")
	}
	repo.Commit("Flow")
	return w.job(build.Config{Kind: build.YAML, Sources: sourceOf(repo)})
}

// children returns the builds of a flow by the names of their jobs.
func (w *world) children(id build.RecordID) map[string]build.Record {
	w.t.Helper()
	jobs, err := w.store.Flow(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	children := make(map[string]build.Record)
	for _, j := range jobs {
		if j.Began() {
			children[j.Name] = j.Child
		}
	}
	return children
}

// child waits until a job of a flow has become a build.
func (w *world) child(flow build.Record, name string) build.Record {
	w.t.Helper()
	w.await(flow.ID, func(build.Record) bool { return w.children(flow.ID)[name].ID != "" })
	return w.children(flow.ID)[name]
}

// One slot is enough for a flow: it takes none itself.
func TestFlow(t *testing.T) {
	t.Parallel()
	ran := filepath.Join(t.TempDir(), "ran")
	w := newStarted(t, func(p *engine.Parts) { p.Slots = 1 })
	note := func(name string) string { return "echo " + name + " ${channel} ${who} $(git rev-parse HEAD) >> " + ran }
	r := w.run(w.flowOf(`
params:
  - name: channel
    value: nightly
buildflow:
  jobs:
    - job: Package
      depends_on: [Library, Frontend, Docs]
      build_ref: .cloudbuild/package.yml
    - job: Library
      build_ref: .cloudbuild/library.yml
      params: [{name: who, value: me}]
    - job: Frontend
      depends_on: Library
      build_ref: .cloudbuild/frontend.yml
    - job: Docs
      condition: channel == 'release'
      build_ref: .cloudbuild/missing.yml
`, map[string]string{"package": note("package"), "library": note("library"), "frontend": note("frontend")}))
	w.wantEnd(r, build.Succeeded, "")
	text, err := os.ReadFile(ran)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll("library nightly me COMMIT\nfrontend nightly ${who} COMMIT\npackage nightly ${who} COMMIT\n", "COMMIT", r.Commit)
	want = strings.ReplaceAll(want, "${who} ", "") // an unknown parameter is the shell's business
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("the jobs ran as (-want +got):\n%s", diff)
	}
	children := w.children(r.ID)
	if len(children) != 3 || children["Docs"].ID != "" {
		t.Errorf("children = %v", children)
	}
	for name, child := range children {
		if child.ParentID != r.ID || child.Number != r.Number || child.State != build.Succeeded || child.BuildFile != ".cloudbuild/"+strings.ToLower(name)+".yml" {
			t.Errorf("%s = %+v", name, child)
		}
		if log := w.log(child.ID); !strings.Contains(log, "The build succeeded.") {
			t.Errorf("the log of %s:\n%s", name, log)
		}
	}
	wantStates := []build.StepState{build.StepSucceeded, build.StepSucceeded, build.StepSucceeded, build.StepWaiting, build.StepSucceeded}
	var names []string
	for _, s := range w.steps(r.ID) {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"Preparation", "Library", "Frontend", "Docs", "Package"}, names); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantStates, w.states(r.ID)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	for _, line := range []string{
		"[Docs] : The job is skipped: its condition does not hold.", "[Library] : The job's build " + string(children["Library"].ID) + " is queued.",
		"[Package] : The job succeeded after ", "The build succeeded.",
	} {
		if log := w.log(r.ID); strings.Count(log, line) != 1 {
			t.Errorf("%q is not once in the log:\n%s", line, log)
		}
	}
}

// What depends on a failed job is not run; everything else is.
func TestFlowFailure(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	r := w.run(w.flowOf(`
buildflow:
  jobs:
    - {job: Bad, build_ref: .cloudbuild/bad.yml}
    - {job: Good, build_ref: .cloudbuild/good.yml}
    - {job: After, build_ref: .cloudbuild/good.yml, depends_on: [Bad, Good]}
    - {job: Last, build_ref: .cloudbuild/good.yml, depends_on: [After]}
    - {job: Away, build_ref: .cloudbuild/away.yml}
`, map[string]string{"bad": "exit 3", "good": "true", "away": "true\nenv: {resource: {type: custom, pool: lab}}"}))
	w.wantEnd(r, build.Failed, `Job "Bad" failed: Step "sh" failed with exit code 3.`)
	for _, text := range []string{
		`Job "Away" failed: There is no executor pool called "lab".`, `Not run, because they depend on what failed: "After", "Last".`,
	} {
		if !strings.Contains(r.Error, text) {
			t.Errorf("%q is not in %q", text, r.Error)
		}
	}
	got := make(map[string]build.State)
	for name, child := range w.children(r.ID) {
		got[name] = child.State
	}
	want := map[string]build.State{"Bad": build.Failed, "Good": build.Succeeded, "Away": build.Unschedulable}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("children (-want +got):\n%s", diff)
	}
	w.wantEnd(w.run(w.scripts("true")), build.Succeeded, "") // the slots are free
}

// All that is wrong with the build files of a flow's jobs is told before anything of it runs.
func TestFlowWithBadFiles(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	r := w.run(w.flowOf(`
buildflow:
  jobs:
    - {job: Good, build_ref: .cloudbuild/good.yml}
    - {job: Bad, build_ref: .cloudbuild/bad.yml, depends_on: Good}
    - {job: Again, build_ref: .cloudbuild/bad.yml}
    - {job: Missing, build_ref: .cloudbuild/missing.yml}
    - {job: Nested, build_ref: .cloudbuild/build.yml}
    - {job: Skipped, build_ref: .cloudbuild/missing.yml, condition: a == b && a == 1}
`, map[string]string{"good": "true", "bad": "true\n    - shell"}))
	if r.State != build.Unschedulable || len(w.children(r.ID)) > 0 {
		t.Errorf("the build is %s, its jobs are %v", r.State, w.children(r.ID))
	}
	want := []string{
		".cloudbuild/bad.yml:8:7: steps.BUILD[1].shell: is not known; ",
		`.cloudbuild/build.yml:8:33: buildflow.jobs[3].build_ref: the build file of the job "Missing": there is no file .cloudbuild/missing.yml in commit ` + r.Commit,
		".cloudbuild/build.yml:3:1: buildflow: the build file of a flow's job cannot be a flow itself",
	}
	lines := strings.Split(r.Error, "\n")
	if len(lines) != len(want) {
		t.Fatalf("the problems are\n%s", r.Error)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("the problem is\n%s\nwant\n%s", line, want[i])
		}
	}
}

// Stopping a flow stops what runs of it, drops what waits, and begins nothing more.
func TestFlowStop(t *testing.T) {
	t.Parallel()
	w := newStarted(t, func(p *engine.Parts) { p.Slots = 1 })
	pipe := newTether(t)
	r := w.begin(w.flowOf(`
buildflow:
  jobs:
    - {job: Runs, build_ref: .cloudbuild/runs.yml}
    - {job: Waits, build_ref: .cloudbuild/never.yml}
    - {job: After, build_ref: .cloudbuild/never.yml, depends_on: [Runs]}
`, map[string]string{"runs": strings.ReplaceAll(strings.TrimSpace(pipe.wicked()), "\n", "\n            "), "never": "echo never"}))
	w.printed(w.child(r, "Runs").ID, "] ready\n")
	w.halt(r)
	r = w.end(r.ID)
	pipe.wantGone(t)
	w.wantEnd(r, build.Aborted, stopped)
	children := w.children(r.ID)
	if len(children) != 2 || children["Runs"].State != build.Aborted || children["Waits"].State != build.Aborted {
		t.Errorf("children = %v", children)
	}
}

// A flow goes on after its server was ended; what the server ran then has failed, as any build has.
func TestFlowGoesOn(t *testing.T) {
	t.Parallel()
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint(fails), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			parts := w.parts("e1")
			parts.Slots = 1
			e := w.start(parts)
			first, second := newFifo(t), newFifo(t)
			r := w.begin(w.flowOf(`
buildflow:
  jobs:
    - {job: First, build_ref: .cloudbuild/first.yml}
    - {job: Second, build_ref: .cloudbuild/second.yml, depends_on: [First]}
`, map[string]string{"first": "echo ready; read line < " + first, "second": "true"}))
			w.printed(w.child(r, "First").ID, "] ready\n")
			if !fails {
				// Another build gets the slot, so that the second job waits in the queue when the server ends.
				other := w.begin(w.scripts("echo taken; read line < " + second))
				release(t, first)
				w.printed(other.ID, "] taken\n")
				w.child(r, "Second")
			}
			w.stop(e)
			if r = w.record(r.ID); r.State != build.Running {
				t.Fatalf("the flow is %s, %q", r.State, r.Error)
			}
			w.start(w.parts("e1"))
			r = w.end(r.ID)
			if fails {
				w.wantEnd(r, build.Failed, `Job "First" failed: `+wasRunning+` Start the build again. Not run, because they depend on what failed: "Second".`)
			} else {
				w.wantEnd(r, build.Succeeded, "")
			}
			if n := strings.Count(w.log(r.ID), "[First] : The job's build"); n != 1 {
				t.Errorf("the log says %d times that the first job begins:\n%s", n, w.log(r.ID))
			}
		})
	}
}
