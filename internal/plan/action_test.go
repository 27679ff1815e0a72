package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

func TestActions(t *testing.T) {
	t.Parallel()
	off := false
	in := fileInput("")
	in.File = nil
	in.Params = []plan.Param{{Name: "name", Value: "world"}}
	in.Job.Steps = []build.ActionStep{
		{ModuleID: "devcloud2018.codeci_action_20017.action", Name: "Greet", Properties: map[string]any{
			"command": "echo hello ${name} $HOME", "image": "shell4.2.46", "preCondition": "SUCCESS", "ignore_fail": "true",
		}},
		{ModuleID: "maven", Name: "switched off", Enable: &off},
		{ModuleID: "local.codeci_action_go.action", Name: "Go", Properties: map[string]any{"command": "go build", "image": "registry.example.org/go:1", "ignore_fail": "no"}},
		{ModuleID: "npm", Name: "npm", Properties: map[string]any{"command": "npm ci", "ignore_fail": true}},
	}
	want := `env: name="world"
env: BUILDNUMBER="20240229.1"
step: checkout "Checkout"
  {URL:https://git.example.org/team/app.git Branch:main Tag: Commit:1111111111111111111111111111111111111111 Depth:5 Submodules:true LFS:true Path:}
step: sh "Greet" image cloudbuild@shell4.2.46 may fail
  | echo hello world $HOME
step: go "Go" image registry.example.org/go:1
  | go build
step: npm "npm" image cloudbuild@nodejs may fail
  | npm ci
`
	want = strings.Replace(want, " image cloudbuild@nodejs", "", 1)
	if diff := cmp.Diff(want, outcome(plan.New(in))); diff != "" {
		t.Error(diff)
	}
}

func TestActionProblems(t *testing.T) {
	t.Parallel()
	in := fileInput("")
	in.File = nil
	in.Params = []plan.Param{{Name: "loop", Value: "${loop}"}}
	in.Job.Steps = []build.ActionStep{
		{ModuleID: "unknown", Name: "a"},
		{ModuleID: "maven", Name: "b", Properties: map[string]any{"command": "mvn"}},
		{ModuleID: "sh", Name: "c"},
		{ModuleID: "sh", Name: "d", Properties: map[string]any{"command": 1}},
		{ModuleID: "checkout", Name: "e"},
	}
	want := `parameters: the value of "loop" refers to itself, or through more than 10 others: loop → loop
steps[0].module_id: found "unknown", which this version does not know
steps[1]: this version cannot run maven steps yet; an sh step can do the same with the tools of the machine
steps[2].properties.command: is missing
steps[3]: properties.command: must be a text, found "1"
steps[4]: a task downloads its repository by itself; name another one in a build file
`
	if diff := cmp.Diff(want, outcome(plan.New(in))); diff != "" {
		t.Error(diff)
	}
}

func TestCheckStep(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"devcloud2018.codeci_action_20043.action", "devcloud2018.codeci_action_20004.action", "local.codeci_action_sh.action", "upload_artifact",
	} {
		if err := (plan.Steps{}).CheckStep(build.ActionStep{ModuleID: id, Properties: map[string]any{"command": "x", "any": 1}}); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for id, want := range map[string]string{
		"":                                   `module_id: found "";`,
		"devcloud2018.codeci_action_.action": "module_id: found",
		"devcloud2018.codeci_action_99999.action": `found "devcloud2018.codeci_action_99999.action"; known are the vendor's published ids`,
		"local.codeci_action_20017.action":        "module_id: found",
	} {
		err := plan.Steps{}.CheckStep(build.ActionStep{ModuleID: id})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, property := range []string{"command", "image"} {
		err := plan.Steps{}.CheckStep(build.ActionStep{ModuleID: "sh", Properties: map[string]any{property: []any{"x"}}})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "properties."+property+": must be a text") {
			t.Errorf("%s: %v", property, err)
		}
	}
}
