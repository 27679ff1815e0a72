package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/fault"
	"atelier/internal/plan"
)

// TestInvalidFlow has the mistakes that people make in files with several tasks, each with what they read.
func TestInvalidFlow(t *testing.T) {
	t.Parallel()
	flow := func(body string) string { return "version: 2.0\nbuildflow:\n" + body }
	jobs := func(list ...string) string { return flow("  jobs:\n    - " + strings.Join(list, "\n    - ") + "\n") }
	one := "{job: A, build_ref: a.yml}"
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("{job: j%d, build_ref: a.yml}", i)
	}
	tests := []struct{ name, file, want string }{
		{"both kinds of file", jobs(one) + "steps:\n  BUILD:\n    - sh: {inputs: {command: a}}\n", "b.yml:2:1: buildflow: stands beside steps; a file describes either one task or several"},
		{"buildflow and buildflows", jobs(one) + "buildflows: []\n", "b.yml:5:1: buildflows: stands beside buildflow; use one of them"},
		{"all three", jobs(one) + "buildflows: [{condition: 'true', jobs: [" + one + "]}]\nsteps: {}\n", "b.yml:2:1: buildflow: stands beside steps; a file describes either one task or several\nb.yml:5:1: buildflows: stands beside buildflow"},
		{"a cycle", jobs("{job: A, depends_on: [B], build_ref: a.yml}", "{job: B, depends_on: [A], build_ref: b.yml}"), `b.yml:4:29: buildflow.jobs[0].depends_on[0]: the jobs wait for each other in a circle: "A" → "B" → "A"`},
		{"a cycle behind another job", jobs("{job: X, depends_on: C, build_ref: x.yml}", "{job: B, depends_on: C, build_ref: a.yml}", "{job: C, depends_on: B, build_ref: b.yml}"), `b.yml:5:28: buildflow.jobs[1].depends_on: the jobs wait for each other in a circle: "B" → "C" → "B"`},
		{"two cycles", jobs("{job: A, depends_on: B, build_ref: a}", "{job: B, depends_on: A, build_ref: a}", "{job: C, depends_on: [D], build_ref: a}", "{job: D, depends_on: C, build_ref: a}"), "\nb.yml:6:29: buildflow.jobs[2].depends_on[0]: the jobs wait for each other in a circle: \"C\" → \"D\" → \"C\""},
		{"itself", jobs("{job: A, depends_on: A, build_ref: a.yml}"), "b.yml:4:28: buildflow.jobs[0].depends_on: the job waits for itself"},
		{"an unknown job", jobs("{job: Library, build_ref: a.yml}", "{job: B, depends_on: [Librry], build_ref: a.yml}"), `b.yml:5:29: buildflow.jobs[1].depends_on[0]: found "Librry", which is no job of this flow (did you mean "Library"?); its jobs are: Library, B`},
		{"an unknown job of many", jobs(append(many[:12:12], "{job: B, depends_on: [C], build_ref: a.yml}")...), "its jobs are: j0, j1, j2, j3, j4, j5, j6, j7, j8, j9, …"},
		{"a name twice", jobs(one, one), `b.yml:5:13: buildflow.jobs[1].job: "A" is the name of two jobs, first in line 4`},
		{"no name", jobs("{build_ref: a.yml}"), "b.yml:4:7: buildflow.jobs[0].job: is missing"},
		{"a name with a reference", jobs("{job: '${a}', build_ref: a.yml}"), `buildflow.jobs[0].job: must be 1 to 128 letters, digits`},
		{"no build_ref", jobs("{job: A}"), "b.yml:4:7: buildflow.jobs[0].build_ref: is missing"},
		{"an empty build_ref", jobs("{job: A, build_ref: ''}"), "buildflow.jobs[0].build_ref: is empty"},
		{"an absolute build_ref", jobs("{job: A, build_ref: /a.yml}"), `b.yml:4:27: buildflow.jobs[0].build_ref: must be the path of a file in the repository, counted from its root, found "/a.yml"`},
		{"a build_ref that leaves", jobs("{job: A, build_ref: .cloudbuild/../../a.yml}"), `counted from its root, found ".cloudbuild/../../a.yml"`},
		{"a build_ref that leaves by a parameter", "params: [{name: up, value: ..}]\n" + jobs("{job: A, build_ref: '${up}/a.yml'}"), `counted from its root, found "../a.yml"`},
		{"a build_ref of Windows", jobs(`{job: A, build_ref: '..\a.yml'}`), `counted from its root, found "..\\a.yml"`},
		{"a strategy", flow("  strategy: parallel\n  jobs: [" + one + "]\n"), `b.yml:3:13: buildflow.strategy: must be eager or lazy, found "parallel"`},
		{"jobs_resolver", flow("  jobs_resolver: {provider: tbuild_jobs_resolver}\n"), "b.yml:3:3: buildflow.jobs_resolver: is not supported; list the jobs below jobs"},
		{"a condition beside jobs", flow("  condition: a\n  jobs: [" + one + "]\n"), "buildflow.condition: is not known; a condition stands in an entry of buildflows or in a job"},
		{"jobs are missing", flow("  strategy: lazy\n"), "b.yml:3:3: buildflow.jobs: is missing"},
		{"no jobs", flow("  jobs: []\n"), "b.yml:3:3: buildflow.jobs: has no jobs"},
		{"jobs in a map", flow("  jobs: {A: {build_ref: a.yml}}\n"), "buildflow.jobs: must be a list of jobs, found a map"},
		{"nothing below buildflow", flow(""), "buildflow: must be a map with the keys strategy, jobs, found nothing"},
		{"too many jobs", jobs(many...), "b.yml:3:3: buildflow.jobs: has 101 jobs, at most 100 are allowed"},
		{"jobs twice", jobs(one) + "jobs: [" + one + "]\n", "b.yml:5:1: jobs: stands beside a buildflow that has jobs of its own"},
		{"jobs alone", "version: 2.0\njobs: [" + one + "]\n", "b.yml:2:1: jobs: belongs below buildflow"},
		{"jobs beside buildflows", "version: 2.0\nbuildflows: [{condition: 'true', jobs: [" + one + "]}]\njobs: []\n", "b.yml:3:1: jobs: belongs below buildflow"},
		{"a bad job beside buildflow", "version: 2.0\nbuildflow:\njobs: [{job: A}]\n", "jobs[0].build_ref: is missing"},
		{"no condition", "version: 2.0\nbuildflows: [{jobs: [" + one + "]}]\n", "buildflows[0].condition: is missing"},
		{"no condition holds", "version: 2.0\nbuildflows: [{condition: a == 1, jobs: [" + one + "]}]\n", "b.yml:2:1: buildflows: no entry has a condition that holds, so there is nothing to build"},
		{"an entry that is not used", "version: 2.0\nbuildflows:\n- {condition: 'true', jobs: [" + one + "]}\n- {condition: 'false', jobs: [{job: A}]}\n", "b.yml:4:31: buildflows[1].jobs[0].build_ref: is missing"},
		{"a job's condition", jobs("{job: A, build_ref: a.yml, condition: a = 1}"), "buildflow.jobs[0].condition: the condition is not valid at character 3"},
		{"a parameter of the service's", jobs("{job: A, build_ref: a.yml, params: [{name: COMMIT_ID}]}"), `buildflow.jobs[0].params[0].name: "COMMIT_ID" is set by the service`},
		{"build_flow", "version: 2.0\nbuild_flow: {}\njobs: []\n", "b.yml:2:1: build_flow: is not known; it is called buildflow"},
		{"build_jobs", flow("  build_jobs: []\n"), "b.yml:3:3: buildflow.build_jobs: is not known; it is called jobs and stands below buildflow"},
		{"needs", jobs("{job: A, build_ref: a.yml, needs: B}"), "buildflow.jobs[0].needs: is not known; a job names those that it waits for in depends_on"},
		{"build_execute", jobs("{job: A, build_execute: make}"), "buildflow.jobs[0].build_execute: is not known; a job names its build file in build_ref"},
		{"no environment", "env: {resource: {arch: sparc}}\n" + jobs(one), `env.resource.arch: must be one of X86, ARM, found "sparc"`},
		{"no version", "buildflow: {jobs: [" + one + "]}\n", "version: is missing"},
		{"two documents", jobs(one) + "---\na: 1\n", "a second document begins here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := fileInput(tt.file)
			in.File.Path = "b.yml"
			_, ok, err := plan.ReadFlow(in)
			if !ok || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, the problems are\n%v\nand not\n%s", ok, err, tt.want)
			}
			if !fault.Is(err, fault.Invalid) {
				t.Error("they are no fault of the kind Invalid")
			}
		})
	}
}

// TestNoFlow has what ReadFlow leaves to New, which finds what is wrong with it.
func TestNoFlow(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: a}}\n": "",
		"version: 2.0\nbuild_flow: {}\n":                                     "b.yml:2:1: build_flow: is not known; it is called buildflow",
		"version: 2.0\nbuild_jobs: {}\n":                                     "b.yml:2:1: build_jobs: is not known; it is called jobs and stands below buildflow",
		"a\tb: [":                                                            "b.yml:2:1: is not YAML: ",
		"buildflow":                                                          "must be a map",
		"a: {buildflow: {jobs: []}}":                                         "a: is not known",
		"":                                                                   "the file is empty",
		"version: 2.0\nsteps: buildflow":                                     "steps: must be a map",
	} {
		in := fileInput(file)
		in.File.Path = "b.yml"
		if flow, ok, err := plan.ReadFlow(in); ok || err != nil || len(flow.Jobs) > 0 {
			t.Errorf("%q is %v, %v, %v", file, flow, ok, err)
		}
		_, err := plan.New(in)
		if got := fmt.Sprint(err); !strings.Contains(got, want) {
			t.Errorf("%q: the problems are\n%v\nand not\n%s", file, got, want)
		}
		if want == "" && err != nil {
			t.Errorf("%q: %v", file, err)
		}
	}
	if _, ok, err := plan.ReadFlow(plan.Input{}); ok || err != nil {
		t.Errorf("without a file: %v, %v", ok, err)
	}
}

// TestRanking gives one parameter at every place that it can have a value at, and takes them away one by one, the strongest first.
func TestRanking(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		build, file, job, flow bool // runtime values and the task's defaults are one place here, see Input
		want                   string
	}{
		{build: true, file: true, job: true, flow: true, want: "of the build"},
		{file: true, job: true, flow: true, want: "of the file"},
		{job: true, flow: true, want: "of the job"},
		{flow: true, want: "of the flow"},
		{want: "${p}"},
	} {
		given := func(yes bool, value string) string {
			if !yes {
				return "[{name: other}]"
			}
			return "[{name: p, value: " + value + "}]"
		}
		in := fileInput("version: 2.0\nparams: " + given(tt.flow, "of the flow") +
			"\nbuildflow: {jobs: [{job: A, build_ref: a.yml, params: " + given(tt.job, "of the job") + "}]}\n")
		if tt.build {
			in.Params = []plan.Param{{Name: "p", Value: "of the build"}}
		}
		flow, ok, err := plan.ReadFlow(in)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		in.Flow = &flow.Jobs[0].Context
		in.File = &plan.File{Path: "a.yml", Data: []byte("version: 2.0\nparams: " + given(tt.file, "of the file") + "\nsteps: {BUILD: [{sh: {inputs: {command: '${p}'}}}]}\n")}
		p, err := plan.New(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Steps[1].Script.Command; got != tt.want {
			t.Errorf("%+v: the parameter is %q", tt, got)
		}
	}
}

// TestReferencesOfJobs: a job's entry can pass on, under the same name, what the flow has, and refer to what only its file defines.
func TestReferencesOfJobs(t *testing.T) {
	t.Parallel()
	in := fileInput("version: 2.0\nparams: [{name: channel, value: 'nightly ${day}'}]\nbuildflow: {jobs: [{job: A, build_ref: a.yml, params: [" +
		"{name: channel, value: 'for A, ${channel}'}, {name: title, value: '${channel} ${kind} of ${BUILDNUMBER}'}]}]}\n")
	in.Params = []plan.Param{{Name: "day", Value: "Monday"}}
	flow, _, err := plan.ReadFlow(in)
	if err != nil {
		t.Fatal(err)
	}
	want := plan.FlowContext{
		JobParams:  []plan.Param{{Name: "channel", Value: "for A, nightly Monday"}, {Name: "title", Value: "nightly Monday ${kind} of 20240229.1"}},
		FlowParams: []plan.Param{{Name: "channel", Value: "nightly Monday"}},
	}
	if diff := cmp.Diff(want, flow.Jobs[0].Context); diff != "" {
		t.Fatal(diff)
	}
	in.Flow = &flow.Jobs[0].Context
	in.File = &plan.File{Path: "a.yml", Data: []byte("version: 2.0\nparams: [{name: kind, value: build}]\nsteps: {BUILD: [{sh: {inputs: {command: '${title}'}}}]}\n")}
	p, err := plan.New(in)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Steps[1].Script.Command; got != "nightly Monday build of 20240229.1" {
		t.Errorf("the command is %q", got)
	}
}
