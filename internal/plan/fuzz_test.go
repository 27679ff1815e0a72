package plan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"atelier/internal/build"

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
	f.Fuzz(func(t *testing.T, data []byte) {
		flow, isFlow, err := plan.ReadFlow(fileInput(string(data)))
		var p plan.Plan
		if !isFlow {
			p, err = plan.New(fileInput(string(data)))
		}
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
		if err != nil {
			return
		}
		if isFlow {
			checkFlow(t, flow)
			return
		}
		if len(p.Steps) == 0 {
			t.Error("a plan without steps")
		}
		for _, step := range p.Steps {
			kinds := 0
			for _, has := range []bool{step.Checkout != nil, step.Script != nil, step.Upload != nil, step.Download != nil, step.Fetch != nil, step.Manifest != nil, step.Sign != nil, step.Build != nil, step.Docker != nil, step.Store != nil} {
				if has {
					kinds++
				}
			}
			if kinds != 1 || step.Name == "" || step.Keyword == "" {
				t.Errorf("step %+v", step)
			}
		}
	})
}

// checkFlow checks that the jobs of a flow can run in their order.
func checkFlow(t *testing.T, flow plan.Flow) {
	t.Helper()
	if len(flow.Jobs) == 0 {
		t.Error("a flow without jobs")
	}
	before := make(map[string]bool)
	for _, j := range flow.Jobs {
		for _, name := range j.DependsOn {
			if !before[name] {
				t.Errorf("%s stands before %s, which it depends on", j.Name, name)
			}
		}
		if before[j.Name] || j.Name == "" || j.BuildRef == "" || !filepath.IsLocal(j.BuildRef) {
			t.Errorf("job %+v", j)
		}
		before[j.Name] = true
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
		_, ok, err := plan.ReadFlow(fileInput(string(data)))
		if !ok {
			_, err = plan.New(fileInput(string(data)))
		}
		problems, _ := errors.AsType[plan.Problems](err)
		for _, p := range problems {
			if !strings.Contains(p.Message, "this version cannot run") {
				t.Errorf("%s: %s", file, p)
			}
		}
	}
}

// FuzzActions: whatever a client has put into the properties of steps, there is a plan, or there are problems; and the same for the build file
// that the steps are converted to.
func FuzzActions(f *testing.F) {
	for _, seed := range [][2]string{
		{"sh", `{"command":"make","ignore_fail":"true","preCondition":"SUCCESS"}`},
		{"maven", `{"command":"mvn","settingMode":"auto","userPublicRepositories":[{"url":"https://repo.example.org","release":"true"}],"userPrivateRepositories":["x"],"cacheOption":"cached","deal":"deal","file":"**/*.xml"}`},
		{"upload_artifact", `{"file":"**/a?","buildVersion":"${BUILDNUMBER}","customUploadPath":"/app","remainOriginPath":"FLAT"}`},
		{"download_artifact", `{"url":"/p/x"}`},
		{"docker", `{"command":"docker build -t a:1 ."}`},
		{"swr", `{"organization":"o","artifactDestName":1}`},
		{"devcloud2018.codeci_action_20017.action", `{"command":{"a":[1e400]}}`},
		{"", `null`},
		{"sh", `{"command":null}`},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, module string, data []byte) {
		var properties map[string]any
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber() // as the API reads them
		if d.Decode(&properties) != nil {
			t.Skip()
		}
		in := fileInput("")
		in.File = nil
		in.Job.Steps = []build.ActionStep{{ModuleID: module, Name: "Step", Properties: properties}}
		p, err := plan.New(in)
		if problems, _ := errors.AsType[plan.Problems](err); err != nil && len(problems) == 0 {
			t.Fatalf("an error without problems: %v", err)
		}
		if err == nil && len(p.Steps) == 0 {
			t.Error("a plan without steps")
		}
		file, err := plan.Convert(in.Job, plan.Modules{})
		if err != nil {
			return
		}
		if _, err := plan.New(fileInput(string(file))); err != nil {
			if problems, _ := errors.AsType[plan.Problems](err); len(problems) == 0 {
				t.Fatalf("%v of\n%s", err, file)
			}
		}
	})
}
