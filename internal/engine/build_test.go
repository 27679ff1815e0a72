package engine_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/source/sourcetest"
)

// repository makes a repository with one commit.
func (w *world) repository() *sourcetest.Repository {
	w.t.Helper()
	r := sourcetest.New(w.t, filepath.Join(w.repositories, build.NewHexID()))
	r.Write("greeting", "good morning\n")
	r.Commit("Say something nice")
	return r
}

func sourceOf(r *sourcetest.Repository) []build.Source {
	return []build.Source{{URL: r.URL(), Kind: "codehub", Branch: "main"}}
}

func wantOrder(t *testing.T, what string, times ...time.Time) {
	t.Helper()
	for i, at := range times {
		if at.IsZero() || i > 0 && at.Before(times[i-1]) {
			t.Errorf("%s: the times %v are not in order", what, times)
			return
		}
	}
}

func TestActionBuild(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	repo := w.repository()
	commit := repo.Git("rev-parse", "HEAD")
	job := w.job(build.Config{Sources: sourceOf(repo), Steps: []build.ActionStep{
		sh("Greet", "cat greeting; echo $COMMIT_ID_SHORTER $INCREASENUM $JOB_NAME $EXECUTOR"), sh("Quiet", "true"), sh("Leave", "printf 'good night'"),
	}})
	r := w.run(job)
	w.wantEnd(r, build.Succeeded, "")
	wantOrder(t, "record", r.CreatedAt, r.ScheduledAt, r.QueuedAt, r.StartedAt, r.RunnableAt, r.FinishedAt)
	if r.Branch != "main" || r.Commit != commit || r.CommitMessage != "Say something nice" || !r.CommitTime.Equal(sourcetest.Time) {
		t.Errorf("source = %q %q %q %v", r.Branch, r.Commit, r.CommitMessage, r.CommitTime)
	}

	steps := w.steps(r.ID)
	type shown struct{ Stage, Name, Keyword, Prints string }
	want := []shown{
		{"initial", "Preparation", "", "Build 1 (" + r.DailyNumber + ")"},
		{"stage1", "Checkout", "checkout", commit},
		{"stage2", "Greet", "sh", "] good morning\n"},
		{"stage3", "Quiet", "sh", "[Quiet] : The step succeeded"},
		{"stage4", "Leave", "sh", "] good night\n"},
	}
	if len(steps) != len(want) {
		t.Fatalf("%d steps, want %d", len(steps), len(want))
	}
	whole, end := w.log(r.ID), int64(0)
	for i, s := range steps {
		section := w.section(r.ID, s.LogStart, s.LogEnd)
		if diff := cmp.Diff(want[i], shown{s.Stage, s.Name, s.Keyword, want[i].Prints}); diff != "" || s.State != build.StepSucceeded || s.Sequence != i {
			t.Errorf("step %d is %s, difference (-want +got):\n%s", s.Sequence, s.State, diff)
		}
		for j, other := range want {
			if has := strings.Contains(section, other.Prints); has != (i == j) {
				t.Errorf("the section of %s holds what %s prints: %v\n%s", s.Stage, other.Stage, has, section)
			}
		}
		if s.LogStart != end || i > 0 && !strings.Contains(section, "["+s.Name+"] : The step begins.\n") {
			t.Errorf("%s goes from %d to %d, the one before it ended at %d\n%s", s.Stage, s.LogStart, s.LogEnd, end, section)
		}
		end = s.LogEnd
		wantOrder(t, s.Stage, r.StartedAt, s.StartedAt, s.FinishedAt, r.FinishedAt)
	}
	if !strings.HasSuffix(whole, "[INFO] The build succeeded.\n") || !strings.Contains(whole, fmt.Sprintf("] %s 1 %s dev\n", commit[:8], r.JobName)) {
		t.Errorf("log:\n%s", whole)
	}
}

func TestYAMLBuild(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	repo := w.repository()
	repo.Write(".cloudbuild/build.yml", `version: 2.0
params:
  - name: mood
    value: sunny
steps:
  PRE_BUILD:
    - checkout:
        inputs:
          scm: codehub
          url: `+repo.URL()+`
          branch: ${codeBranch}
  BUILD:
    - sh:
        name: Weather
        inputs:
          command: echo it is ${mood} on ${codeBranch}; cat greeting
`)
	repo.Write("ci/other.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh:\n        inputs:\n          command: echo the other one\n")
	repo.Commit("Build file")
	job := w.job(build.Config{Kind: build.YAML, Sources: sourceOf(repo), Parameters: []build.Parameter{
		{Definition: build.StringDefinition, Properties: []build.Property{{Name: "name", Value: "codeBranch"}, {Name: "defaultValue", Value: "main"}}},
	}})
	r := w.run(job)
	w.wantEnd(r, build.Succeeded, "")
	if r.BuildFile != ".cloudbuild/build.yml" || !strings.Contains(w.log(r.ID), "] it is sunny on main\n") || !strings.Contains(w.log(r.ID), "] good morning\n") {
		t.Errorf("built %s, log:\n%s", r.BuildFile, w.log(r.ID))
	}
	other := w.request(build.StartRequest{JobID: job, Parameters: []build.NameValue{{Name: "CB_BUILD_YAML_PATH", Value: "ci/other.yml"}}})
	r = w.end(other.ID)
	w.wantEnd(r, build.Succeeded, "")
	if r.BuildFile != "ci/other.yml" || !strings.Contains(w.log(r.ID), "] the other one\n") {
		t.Errorf("built %s, log:\n%s", r.BuildFile, w.log(r.ID))
	}
}

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	w := newStarted(t)
	r := w.run(w.job(build.Config{}))
	w.wantEnd(r, build.Succeeded, "")
	wantOrder(t, "record", r.StartedAt, r.RunnableAt, r.FinishedAt)
	if diff := cmp.Diff([]build.StepState{build.StepSucceeded}, w.states(r.ID)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// Whoever sees the final state can read the whole log.
func TestLogIsCompleteWhenTheBuildIs(t *testing.T) {
	t.Parallel()
	const lines = 100_000
	w := newStarted(t)
	r := w.run(w.scripts(fmt.Sprintf("seq %d", lines)))
	text := w.log(r.ID)
	w.wantEnd(r, build.Succeeded, "")
	s := w.steps(r.ID)[1]
	if n := strings.Count(w.section(r.ID, s.LogStart, s.LogEnd), "\n"); n != lines+2 {
		t.Errorf("the step's section has %d lines, want %d and two of the service's", n, lines)
	}
	if !strings.Contains(text, fmt.Sprintf("] %d\n", lines)) || !strings.HasSuffix(text, "The build succeeded.\n") {
		t.Errorf("the log has %d bytes and ends with %q", len(text), text[max(0, len(text)-200):])
	}
}

func TestStepsThatFail(t *testing.T) {
	t.Parallel()
	const (
		good    = build.StepSucceeded
		bad     = build.StepFailed
		waiting = build.StepWaiting
	)
	ignored := sh("Shaky", "exit 7")
	ignored.Properties["ignore_fail"] = "true"
	off := sh("Off", "exit 1")
	off.Enable = new(bool)
	tests := []struct {
		name  string
		steps []build.ActionStep
		state build.State
		text  string
		want  []build.StepState // without the preparation
		exit  []int
	}{
		{
			"the build ends there",
			[]build.ActionStep{sh("One", "true"), sh("Two", "echo so far; exit 3"), sh("Three", "echo never")},
			build.Failed, `Step "Two" failed with exit code 3.`,
			[]build.StepState{good, bad, waiting},
			[]int{0, 3, 0},
		},
		{"the first command that fails", []build.ActionStep{sh("One", "false\necho never")}, build.Failed, `Step "One" failed with exit code 1.`, []build.StepState{bad}, []int{1}},
		{"an ignored failure", []build.ActionStep{ignored, sh("Two", "echo goes on")}, build.Succeeded, "", []build.StepState{bad, good}, []int{7, 0}},
		{"a step that is switched off", []build.ActionStep{off, sh("Two", "true")}, build.Succeeded, "", []build.StepState{good}, []int{0}},
		{"a signal", []build.ActionStep{sh("One", "kill -KILL $$")}, build.Failed, `Step "One" failed: ended by the signal: killed`, []build.StepState{bad}, []int{137}},
		{"a signal to a child", []build.ActionStep{sh("One", "sh -c 'kill -TERM $$'")}, build.Failed, `Step "One" failed with exit code 143.`, []build.StepState{bad}, []int{143}},
	}
	w := newStarted(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := w.run(w.job(build.Config{Steps: tt.steps}))
			w.wantEnd(r, tt.state, tt.text)
			var exit []int
			for _, s := range w.steps(r.ID)[1:] {
				exit = append(exit, s.ExitCode)
				if s.State == waiting && !s.StartedAt.IsZero() {
					t.Errorf("step %s has not run, but began at %v", s.Name, s.StartedAt)
				}
				if s.Ignored != (s.Name == "Shaky") {
					t.Errorf("step %s: ignored is %v", s.Name, s.Ignored)
				}
			}
			if diff := cmp.Diff(tt.want, w.states(r.ID)[1:]); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.exit, exit); diff != "" {
				t.Errorf("exit codes (-want +got):\n%s", diff)
			}
			if log := w.log(r.ID); strings.Contains(log, "never") || !strings.Contains(log, tt.text) {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}
