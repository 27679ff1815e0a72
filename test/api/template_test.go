package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/build"
	"atelier/internal/plan"
	"atelier/internal/server/servertest"
)

// newTemplate is the body of a template with one step.
func newTemplate(name, tool string) *model.CreateTemplatesRequestBody {
	return &model.CreateTemplatesRequestBody{
		Name: name, Description: new("about it"), ToolType: &tool, Parameters: &[]model.CreateBuildJobParameter{parameter("codeBranch", "main")},
		Template: &model.CreateTemplate{Steps: []model.CreateTemplateSteps{{
			ModuleId: "devcloud2018.codeci_action_20017.action", Name: new("Run"), Properties: map[string]any{"command": "true", "number": 20231001.6},
		}}},
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c, colleague := s.Client(s.Developer), s.NewUser("colleague")
	first := *ok(t, c.CreateTemplate, &model.CreateTemplateRequest{Body: newTemplate("First", "shell")}).Result.Uuid
	second := ok(t, c.CreateTemplates, &model.CreateTemplatesRequest{Body: newTemplate("second_100%", "maven")}).Result
	if *second.Name != "second_100%" || *second.Scope != "custom" || *second.Type != "codeci" || !*second.Public || *second.Favourite || len(*second.Uuid) != 32 || len(*second.Id) != 24 ||
		*second.UserName != "dev" || *second.DomainName != "acme" || *second.CreateTime == "" || *second.ToolType != "maven" || len(second.Template.Steps) != 1 || len(*second.Parameters) != 1 {
		t.Errorf("it was made as %+v", second)
	}
	shown := ok(t, s.Client(colleague).ShowTemplate, &model.ShowTemplateRequest{Uuid: first}).Result
	if step := (*shown.Template.Steps)[0]; *shown.Name != "First" || *shown.Description != "about it" || step.ModuleId != "devcloud2018.codeci_action_20017.action" || step.Properties["command"] != "true" {
		t.Errorf("a colleague sees %+v", shown)
	}

	names := func(q model.ListCustomTemplateRequest) (names string, total int32) {
		t.Helper()
		r := ok(t, c.ListCustomTemplate, &q).Result
		for _, i := range *r.Items {
			names += *i.Name + " "
		}
		return names, *r.TotalSize
	}
	ok(t, c.AddFavouriteCustomTemplate, &model.AddFavouriteCustomTemplateRequest{Uuid: first})
	ok(t, c.AddFavouriteCustomTemplate, &model.AddFavouriteCustomTemplateRequest{Uuid: first}) // once more changes nothing
	for want, q := range map[string]model.ListCustomTemplateRequest{
		"second_100% First 2": {}, "First 1": {Name: new("fIRs")}, "second_100% 1": {Tags: new("maven,gradle")}, "First  1": {Filter: new("favourite")},
		"second_100% First  2": {Filter: new("mine")}, "second_100%  1": {Name: new("0%")}, " 0": {Name: new("x_")}, "First   2": {Page: new(int32(2)), PageSize: new(int32(1))}, "  2": {Page: new(int32(3)), PageSize: new(int32(1))},
	} {
		got, total := names(q)
		if fields := strings.Fields(want); strings.Join(strings.Fields(got), " ") != strings.Join(fields[:len(fields)-1], " ") || fmt.Sprint(total) != fields[len(fields)-1] {
			t.Errorf("%+v lists %q, %d, want %s", q, got, total, want)
		}
	}
	if r := ok(t, c.ListTemplates, &model.ListTemplatesRequest{Page: new("1"), PageSize: new("1")}).Result; *r.TotalSize != 2 || *(*r.Items)[0].Name != "First" || !*(*r.Items)[0].Favourite {
		t.Errorf("the second page is %+v", r)
	}
	ok(t, c.RemoverFavouriteCustomTemplate, &model.RemoverFavouriteCustomTemplateRequest{Uuid: first})
	if got, total := names(model.ListCustomTemplateRequest{Filter: new("favourite")}); total != 0 {
		t.Errorf("it likes %s", got)
	}

	// Its use in tasks is counted, each task once, whichever id names it.
	job := create(t, c, shell(s, "demo", "true"))
	for _, id := range []string{first, first[:24]} {
		if r := ok(t, c.SaveTemplateUsedInfo, &model.SaveTemplateUsedInfoRequest{Body: &model.SaveTemplateUsedInfoRequestBody{JobId: job, TemplateId: id}}); *r.Result != "success" {
			t.Errorf("%+v", r)
		}
	}
	if w := *ok(t, c.ShowTemplate, &model.ShowTemplateRequest{Uuid: first}).Result.Weight; w != 1 {
		t.Errorf("it was used %v times", w)
	}

	checkProblem(t, s, s.Call(colleague, "DELETE", "/v1/template/"+first+"/delete", ""), 403, "DEVCB.00031001", "only who made the template")
	ok(t, c.DeleteTemplate, &model.DeleteTemplateRequest{Uuid: first})
	if r := *ok(t, s.Client(s.Admin).DeleteTemplates, &model.DeleteTemplatesRequest{Uuid: *second.Uuid}).Result; len(r) != 1 || *r[0].Name != "second_100%" {
		t.Errorf("deleted %+v", r)
	}
	refused(t, c.ShowTemplate, &model.ShowTemplateRequest{Uuid: first}, 404, "DEV.CB.0520002", "does not exist")
	testOfficialTemplates(t, s, job)
	testBadTemplates(t, s, job)
}

func testOfficialTemplates(t *testing.T, s *servertest.Server, job string) {
	c := s.Client(s.Developer)
	all := ok(t, c.ListOfficialTemplate, &model.ListOfficialTemplateRequest{PageSize: new("100")}).Result
	if int(all.TotalSize) != len(*all.Items) || len(*all.Items) < 5 {
		t.Fatalf("there are %v: %d", all.TotalSize, len(*all.Items))
	}
	uuids := make(map[string]string)
	for i, item := range *all.Items {
		if uuids[*item.Name] = *item.Uuid; *item.Scope != "official" || *item.Language == "" || *item.Favourite {
			t.Errorf("%+v", item)
		}
		body := shell(s, fmt.Sprintf("official-%d", i), "true")
		body.Steps = item.Template.Steps
		create(t, c, body) // every one of them makes a good task
	}
	ok(t, c.AddFavouriteOfficialTemplate, &model.AddFavouriteOfficialTemplateRequest{Uuid: uuids["Shell"]})
	ok(t, c.SaveTemplateUsedInfo, &model.SaveTemplateUsedInfoRequest{Body: &model.SaveTemplateUsedInfoRequestBody{JobId: job, TemplateId: uuids["Shell"]}})
	if first := (*ok(t, c.ListOfficialTemplate, &model.ListOfficialTemplateRequest{Page: new("0"), PageSize: new("1")}).Result.Items)[0]; *first.Name != "Shell" || !*first.Favourite || *first.Weight != 1 {
		t.Errorf("the most used one is %+v", first)
	}
	ok(t, c.RemoverFavouriteOfficialTemplate, &model.RemoverFavouriteOfficialTemplateRequest{Uuid: uuids["Shell"]})
	if found := *ok(t, c.ListOfficialTemplate, &model.ListOfficialTemplateRequest{Name: new("PYTH")}).Result.Items; len(found) != 1 || *found[0].Name != "Python" {
		t.Errorf("found %+v", found)
	}

	repo := s.NewRepository("mixed")
	repo.Write("go.mod", "module mixed\n")
	repo.Write("web/package.json", "{}")
	repo.Write("CMakeLists.txt", "")
	repo.Commit("init")
	recommended := ok(t, c.ListRecommendOfficialTemplate, &model.ListRecommendOfficialTemplateRequest{Body: &model.ListRecommendOfficialTemplateRequestBody{GitUrl: repo.URL(), Branch: "main"}}).Result
	var names []string
	for _, item := range *recommended.Items {
		names = append(names, *item.Name)
	}
	if got := strings.Join(names, " "); got != "Go CMake" || *recommended.TotalSize != 2 {
		t.Errorf("for a Go module with C++ there are %s", got)
	}

	file := *ok(t, c.ShowYamlTemplate, &model.ShowYamlTemplateRequest{JobId: job, DefaultHost: new("arm")}).Result
	p, err := plan.New(plan.Input{File: &plan.File{Path: "build.yml", Data: []byte(file)}, Classes: build.Classes})
	if err != nil || len(p.Steps) != 1 || p.Steps[0].Script.Command != "true" || !strings.Contains(file, "arch: ARM") {
		t.Errorf("%v in\n%s", err, file)
	}
	fromRepo := create(t, c, fromFile(s, "from-file", repo.URL()))
	if file := *ok(t, c.ShowYamlTemplate, &model.ShowYamlTemplateRequest{JobId: fromRepo}).Result; !strings.Contains(file, "echo hello") || !strings.Contains(file, "checkout") {
		t.Errorf("a YAML task begins with\n%s", file)
	}
}

func testBadTemplates(t *testing.T, s *servertest.Server, job string) {
	c := s.Client(s.Developer)
	ok(t, c.CreateTemplate, &model.CreateTemplateRequest{Body: newTemplate("taken", "")})
	const unknown = "cb5fa20de5fd4cf8be681d4bd6fdd2f6"
	one := func(name, more string) string {
		return fmt.Sprintf(`{"name": %q, "template": {"steps": [{"module_id": "sh", "name": "Run", "properties": {"command": "true"}}]}%s}`, name, more)
	}
	private := `, "parameters": [{"name": "hudson.model.StringParameterDefinition", "params": [{"name": "name", "value": "token"}, {"name": "sensitiveVar", "value": "true"}, {"name": "defaultValue", "value": "secret"}]}]`
	for _, r := range []badRequest{
		{"no name", "POST", "/v1/template/create", `{"template": {"steps": []}}`, 400, "CB.00060200", []string{"name: is missing"}},
		{"no template", "POST", "/v1/template/create", `{"name": "a"}`, 400, "CB.00060200", []string{"template: is missing"}},
		{"no steps", "POST", "/v1/template/create", `{"name": "a", "template": {"steps": []}}`, 400, "CB.00060200", []string{"template.steps: must have at least one step"}},
		{"empty name", "POST", "/v3/templates/create", one("", ""), 400, "CB.00060200", []string{"name: must have 1 to 115 characters"}},
		{"long name", "POST", "/v3/templates/create", one(strings.Repeat("ä", 116), ""), 400, "CB.00060200", []string{"found 116"}},
		{"taken", "POST", "/v1/template/create", one("taken", ""), 400, "CB.00039001", []string{`another template is called "taken"`}},
		{"private", "POST", "/v1/template/create", one("p", private), 400, "CB.00060200", []string{"parameters: token is private"}},
		{"bad step", "POST", "/v1/template/create", strings.Replace(one("p", ""), `"sh"`, `"nonsense"`, 1), 400, "CB.00060200", []string{"steps[0]", "nonsense"}},
		{"unknown", "DELETE", "/v1/template/" + unknown + "/delete", "", 404, "DEV.CB.0520002", []string{"template " + unknown + " does not exist"}},
		{"unknown to like", "POST", "/v1/template/official/" + unknown + "/follow", "", 404, "DEV.CB.0520002", []string{"does not exist"}},
		{"unknown custom to like", "POST", "/v1/template/custom/" + unknown + "/follow", "", 404, "DEV.CB.0520002", []string{"does not exist"}},
		{"unknown to use", "POST", "/v1/template/used-info", fmt.Sprintf(`{"job_id": %q, "template_id": %q}`, job, unknown), 404, "DEV.CB.0520002", []string{"does not exist"}},
		{"bad uuid", "GET", "/v1/template/a_b/custom", "", 400, "CB.00060202", []string{`uuid: must be 1 to 64 letters, digits or hyphens, found "a_b"`}},
		{"filter", "GET", "/v1/template/custom?filter=red", "", 400, "CB.00060200", []string{`filter: must be all, favourite or mine, found "red"`}},
		{"page", "GET", "/v1/template/custom?page=0", "", 400, "CB.00060200", []string{"page: must be a whole number from 1"}},
		{"page size", "GET", "/v3/templates/query?page_size=101", "", 400, "CB.00060200", []string{"page_size: must be a whole number from 0 to 100"}},
		{"no branch", "POST", "/v1/template/recommend", `{"git_url": "https://example.org/a"}`, 400, "CB.00060200", []string{"branch: is missing"}},
		{"bad address", "POST", "/v1/template/recommend", `{"git_url": "file:///etc", "branch": "main"}`, 400, "CB.00060200", []string{"repository address"}},
		{"host", "GET", "/v1/template/" + job + "/default-template?default_host=sparc", "", 400, "CB.00060200", []string{`default_host: must be x86-64 or arm, found "sparc"`}},
	} {
		t.Run(r.name, func(t *testing.T) {
			checkProblem(t, s, s.Call(s.Developer, r.method, r.path, r.body), r.status, r.code, r.words...)
		})
	}
	// Who may make no tasks has no repository looked into.
	stranger := s.NewUser("stranger")
	checkProblem(t, s, s.Call(stranger, "POST", "/v1/template/recommend", `{"git_url": "https://example.org/a", "branch": "main"}`), 403, "DEVCB.00031001", "no role of yours lets you create tasks")
}
