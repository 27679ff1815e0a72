package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/plan"
)

// TestRanking: of several values of a parameter, the strongest wins in the file of a flow's job.
func TestRanking(t *testing.T) {
	t.Parallel()
	in := fileInput(`version: 2.0
params: [{name: a, value: flow}, {name: b, value: flow}, {name: c, value: flow}, {name: d, value: flow}]
buildflow:
  jobs:
    - job: Child
      build_ref: child.yml
      params: [{name: b, value: job}, {name: c, value: job}, {name: d, value: job}]
`)
	in.Params = []plan.Param{{Name: "d", Value: "build"}, {Name: "e", Value: "build"}}
	flow, ok, err := plan.ReadFlow(in)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	in.Flow = &flow.Jobs[0].Context
	in.File = &plan.File{Path: "child.yml", Data: []byte(`version: 2.0
params: [{name: c, value: child}, {name: d, value: child}, {name: e, value: child}]
steps:
  BUILD:
    - sh: {name: "${a} ${b} ${c} ${d} ${e}", inputs: {command: make}}
`)}
	p, err := plan.New(in)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Steps[len(p.Steps)-1].Name; got != "flow job child build build" {
		t.Errorf("the values are %s", got)
	}
}

// TestResourceOfAFlow: a child takes the flow's environment unless its file has one.
func TestResourceOfAFlow(t *testing.T) {
	t.Parallel()
	in := fileInput("version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: a}}\n")
	in.Flow = &plan.FlowContext{Resource: plan.Resource{Arch: "ARM", Class: "4U8G"}}
	p, err := plan.New(in)
	if diff := cmp.Diff(in.Flow.Resource, p.Resource); err != nil || diff != "" {
		t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
	}
	in.File.Data = append([]byte("env: {resource: {class: 2U8G}}\n"), in.File.Data...)
	p, err = plan.New(in)
	if diff := cmp.Diff(plan.Resource{Class: "2U8G"}, p.Resource); err != nil || diff != "" {
		t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
	}
}

// TestNestedFlow: flows have one level.
func TestNestedFlow(t *testing.T) {
	t.Parallel()
	in := fileInput("version: 2.0\nbuildflow:\n  jobs:\n    - {job: A, build_ref: a.yml}\n")
	in.Flow = &plan.FlowContext{}
	_, err := plan.New(in)
	if err == nil || !strings.Contains(err.Error(), "build.yml:2:1: buildflow: the build file of a flow's job cannot be a flow itself") {
		t.Error(err)
	}
}

// TestNoFlow: a file with one task, and a task without a file, are none.
func TestNoFlow(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"version: 2.0\nsteps: {}\n", "", "[", "hello", "- buildflow\n"} {
		if _, ok, err := plan.ReadFlow(fileInput(text)); ok || err != nil {
			t.Errorf("%q: %v, %v", text, ok, err)
		}
	}
	if _, ok, err := plan.ReadFlow(plan.Input{}); ok || err != nil {
		t.Error(ok, err)
	}
}

// TestReferencesOfJobs: a job's entry can pass on, under the same name, what the flow has, and refer to what only its file defines.
func TestReferencesOfJobs(t *testing.T) {
	t.Parallel()
	in := fileInput("version: 2.0\nparams: [{name: channel, value: 'nightly ${day}'}]\nbuildflow: {strategy: , jobs: [{job: A, build_ref: a.yml, params: [" +
		"{name: channel, value: 'for A, ${channel}'}, {name: title, value: '${channel} ${kind} of ${BUILDNUMBER}'}]}]}\n")
	in.Params = []plan.Param{{Name: "day", Value: "Monday"}}
	flow, _, err := plan.ReadFlow(in)
	if err != nil {
		t.Fatal(err)
	}
	in.Flow = &flow.Jobs[0].Context
	in.File = &plan.File{Path: "a.yml", Data: []byte("version: 2.0\nparams: [{name: kind, value: build}]\nsteps: {BUILD: [{sh: {name: '${channel}; ${title}', inputs: {command: make}}}]}\n")}
	p, err := plan.New(in)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Steps[1].Name; got != "for A, nightly Monday; nightly Monday build of 20240229.1" {
		t.Errorf("the values are %q", got)
	}
}

// TestUnknownInAName: a step whose name refers to a parameter that nobody defined runs, with a warning.
func TestUnknownInAName(t *testing.T) {
	t.Parallel()
	p, err := plan.New(fileInput("version: 2.0\nsteps: {BUILD: [{sh: {name: 'Build ${channel}', inputs: {command: a}}}]}\n"))
	if err != nil || len(p.Warnings) != 1 || p.Steps[1].Name != "Build ${channel}" {
		t.Errorf("error %v, plan %+v", err, p)
	}
}
