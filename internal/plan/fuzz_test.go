package plan_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"atelier/internal/plan"
)

// FuzzFile: whatever stands in a repository, there is a plan that can be run, or problems with places in the file.
func FuzzFile(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("version: 2.0\nsteps: &s\n  BUILD:\n  - sh: *s"))
	f.Add([]byte("version: 2.0\nbuildflow: {jobs: [{job: a, build_ref: a, depends_on: [b, c]}, {job: b, build_ref: b}, {job: c, build_ref: c, depends_on: b}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		flow, isFlow, err := plan.ReadFlow(fileInput(string(data)))
		checkProblems(t, data, err)
		if !isFlow && (err != nil || len(flow.Jobs) > 0) {
			t.Errorf("no flow, but %v, %v", flow, err)
		}
		if isFlow && err == nil {
			checkFlow(t, flow)
		}
		p, err := plan.New(fileInput(string(data)))
		checkProblems(t, data, err)
		if err != nil {
			return
		}
		if isFlow {
			t.Error("a flow has a plan")
		}
		if len(p.Steps) == 0 {
			t.Error("a plan without steps")
		}
		for _, step := range p.Steps {
			if (step.Checkout == nil) == (step.Script == nil) || step.Name == "" || step.Keyword == "" {
				t.Errorf("step %+v", step)
			}
		}
	})
}

// checkProblems: an error has problems, and each has a place in the file.
func checkProblems(t *testing.T, data []byte, err error) {
	t.Helper()
	problems, _ := errors.AsType[plan.Problems](err)
	if err != nil && len(problems) == 0 {
		t.Fatalf("an error without problems: %v", err)
	}
	lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + 1
	for _, problem := range problems {
		if problem.Message == "" || problem.Line < 0 || problem.Line > lines+1 || problem.Line > 0 && problem.Column < 1 {
			t.Errorf("in %d lines: %+v", lines, problem)
		}
	}
}

// checkFlow: each job can be built, and comes after those that it depends on.
func checkFlow(t *testing.T, flow plan.Flow) {
	t.Helper()
	if len(flow.Jobs) == 0 {
		t.Error("a flow without jobs")
	}
	before := make(map[string]bool)
	for _, job := range flow.Jobs {
		if job.Name == "" || before[job.Name] || !filepath.IsLocal(job.BuildRef) || job.At.Line == 0 {
			t.Errorf("job %+v", job)
		}
		for _, other := range job.DependsOn {
			if !before[other] {
				t.Errorf("%s comes before %s, on which it depends", job.Name, other)
			}
		}
		before[job.Name] = true
	}
}

// FuzzCondition goes through the file that conditions stand in.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{"a == 1", "!(a || 'b' != \"c\") && ${d}", "((((", "1.0 == -1", "'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, condition string) {
		quoted := "'" + strings.ReplaceAll(condition, "'", "''") + "'"
		_, _ = plan.New(fileInput("version: 2.0\nenvs: [{condition: " + quoted + ", resource: {type: docker}}]\nsteps:\n  BUILD:\n    - sh: {inputs: {command: a}}\n"))
	})
}

// TestExamples reads the vendor's examples, where they are. What this version cannot run yet is the only thing wrong with them.
func TestExamples(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("ATELIER_EXAMPLES")
	if dir == "" {
		t.Skip("ATELIER_EXAMPLES names no directory with build files")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		in := fileInput(string(data))
		flow, ok, err := plan.ReadFlow(in)
		if !ok {
			_, err = plan.New(in)
		}
		checkExample(t, file, err)
		for _, job := range flow.Jobs {
			data, err := os.ReadFile(filepath.Join(dir, filepath.Base(job.BuildRef)))
			if err != nil {
				t.Fatal(err)
			}
			in.File, in.Flow = &plan.File{Path: job.BuildRef, Data: data}, &job.Context
			p, err := plan.New(in)
			checkExample(t, file+", "+job.Name, err)
			if len(p.Warnings) > 0 {
				t.Errorf("%s, %s: %q", file, job.Name, p.Warnings)
			}
		}
	}
}

func checkExample(t *testing.T, file string, err error) {
	t.Helper()
	problems, _ := errors.AsType[plan.Problems](err)
	for _, p := range problems {
		if !strings.Contains(p.Message, "this version cannot run") {
			t.Errorf("%s: %s", file, p)
		}
	}
}
