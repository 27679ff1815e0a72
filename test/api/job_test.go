package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// generation is one of the two sets of operations that do the same with tasks.
type generation struct {
	create  func(*testing.T, *model.CreateBuildJobRequestBody) string
	update  func(*testing.T, *model.UpdateBuildJobRequestBody) string
	read    func(*testing.T, string) model.CreateBuildJobRequestBody
	disable func(*testing.T, string)
	enable  func(*testing.T, string)
	remove  func(*testing.T, string) model.DeleteTheJobResponseBodyResult
	gone    func(*testing.T, string) // calls everything on a task that does not exist
}

func generations(c *codeartsbuild.CodeArtsBuildClient) map[string]generation {
	return map[string]generation{
		"v3": {
			create: func(t *testing.T, body *model.CreateBuildJobRequestBody) string {
				return *ok(t, c.CreateBuildJob, &model.CreateBuildJobRequest{Body: body}).Result.JobId
			},
			update: func(t *testing.T, body *model.UpdateBuildJobRequestBody) string {
				return *ok(t, c.UpdateBuildJob, &model.UpdateBuildJobRequest{Body: body}).Result.JobId
			},
			read: func(t *testing.T, id string) model.CreateBuildJobRequestBody {
				return *ok(t, c.ListJobConfig, &model.ListJobConfigRequest{JobId: id}).Result
			},
			disable: func(t *testing.T, id string) { ok(t, c.DisableBuildJob, &model.DisableBuildJobRequest{JobId: id}) },
			enable:  func(t *testing.T, id string) { ok(t, c.EnableBuildJob, &model.EnableBuildJobRequest{JobId: id}) },
			remove: func(t *testing.T, id string) model.DeleteTheJobResponseBodyResult {
				return *ok(t, c.DeleteBuildJob, &model.DeleteBuildJobRequest{JobId: id}).Result
			},
			gone: func(t *testing.T, id string) {
				const code, text = "CB.00031006", " does not exist"
				refused(t, c.ListJobConfig, &model.ListJobConfigRequest{JobId: id}, 404, code, id+text)
				refused(t, c.DeleteBuildJob, &model.DeleteBuildJobRequest{JobId: id}, 404, code, id+text)
				refused(t, c.DisableBuildJob, &model.DisableBuildJobRequest{JobId: id}, 404, code, id+text)
				refused(t, c.EnableBuildJob, &model.EnableBuildJobRequest{JobId: id}, 404, code, id+text)
				refused(t, c.RunJob, &model.RunJobRequest{Body: &model.RunJobRequestBody{JobId: id}}, 404, code, id+text)
				refused(t, c.ShowJobStatus, &model.ShowJobStatusRequest{JobId: id}, 404, code, id+text)
			},
		},
		"v1": {
			create: func(t *testing.T, body *model.CreateBuildJobRequestBody) string {
				return *ok(t, c.CreateNewJob, &model.CreateNewJobRequest{Body: body}).Result.JobId
			},
			update: func(t *testing.T, body *model.UpdateBuildJobRequestBody) string {
				return *ok(t, c.UpdateNewJob, &model.UpdateNewJobRequest{Body: body}).Result.JobId
			},
			read: func(t *testing.T, id string) model.CreateBuildJobRequestBody {
				return *ok(t, c.ShowJobConfig, &model.ShowJobConfigRequest{JobId: id, GetAllParams: new("true")}).Result
			},
			disable: func(t *testing.T, id string) {
				ok(t, c.DisableTheJob, &model.DisableTheJobRequest{JobId: id, Body: &model.DisableTheJobRequestBody{Disabled: true}})
			},
			enable: func(t *testing.T, id string) {
				ok(t, c.DisableTheJob, &model.DisableTheJobRequest{JobId: id, Body: &model.DisableTheJobRequestBody{}})
			},
			remove: func(t *testing.T, id string) model.DeleteTheJobResponseBodyResult {
				return *ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: id}).Result
			},
			gone: func(t *testing.T, id string) {
				const code, text = "DEVCB.00031006", " does not exist"
				refused(t, c.ShowJobConfig, &model.ShowJobConfigRequest{JobId: id}, 404, code, id+text)
				refused(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: id}, 404, code, id+text)
				refused(t, c.DisableTheJob, &model.DisableTheJobRequest{JobId: id, Body: &model.DisableTheJobRequestBody{Disabled: true}}, 404, code, id+text)
				refused(t, c.ShowDisable, &model.ShowDisableRequest{JobId: id}, 404, code, id+text)
				refused(t, c.ExecuteJob, &model.ExecuteJobRequest{Body: &model.RunJobRequestBody{JobId: id}}, 404, code, id+text)
			},
		},
	}
}

// fullTask is the configuration of a task with something in every field that the client has.
func fullTask(s *servertest.Server, name, kind, url string) *model.CreateBuildJobRequestBody {
	choice := parameter("level", "high", "staticVar", "true")
	(*choice.Params)[1].Value = new("customizeparam")
	(*choice.Params)[2].Limits = &[]model.LimitsParam{
		{Disable: new("0"), DisplayName: new("High"), Name: new("high")}, {Disable: new("1"), DisplayName: new("Low"), Name: new("low")},
	}
	return &model.CreateBuildJobRequestBody{
		Arch: servertest.Arch, ProjectId: s.Project, JobName: name, AutoUpdateSubModule: new("false"), Flavor: new("2u8g"), HostType: new("devcloud"),
		BuildConfigType: &kind, BuildIfCodeUpdated: new(true), GroupId: new("b13c933bbc6f4d09a98ef09e4cc07e17"),
		Parameters: &[]model.CreateBuildJobParameter{
			parameter("codeBranch", "main", "description", "分支 <&>", "deletion", "false", "defaults", "true", "staticVar", "false", "sensitiveVar", "false"), choice,
		},
		Scms: &[]model.CreateBuildJobScm{{
			Branch: new("main"), Url: url, RepoId: new("2111746211"), WebUrl: new("https://git.example.org/app"), ScmType: "codehub", IsAutoBuild: new(false),
			EnableGitLfs: new(false), BuildType: new("branch"), Depth: new("1"), EndPointId: new("e1"), Source: new("s"), GroupName: new("g"), RepoName: new("app"),
		}},
		Steps: []model.CreateBuildJobSteps{
			{
				ModuleId: "devcloud2018.codeci_action_20017.action", Name: "构建 1", Version: new("20231001.60"), Enable: new(true),
				Properties: map[string]any{"command": "true", "list": []any{"a", nil, true}},
			},
			{ModuleId: "sh", Name: "off", Enable: new(false), Properties: map[string]any{"command": "exit 1"}},
		},
		Timeout: &model.CreateBuildTimeout{Limit: new("30"), Unit: new("minute")},
		Triggers: &[]model.Trigger{{Name: "hudson.triggers.TimerTrigger", Parameters: []model.ParameterItem{
			{Name: "spec", Value: "18 15 * * 1,2,3,4,5"}, {Name: "timeZoneId", Value: "Asia/Shanghai"}, {Name: "isDST", Value: "false"},
		}}},
	}
}

// TestTask follows tasks of both kinds through their life, with the operations of both generations.
func TestTask(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	repo := s.NewRepository("app")
	repo.Commit("init")
	for version, g := range generations(c) {
		for _, kind := range []string{"ACTION", "YAML"} {
			t.Run(version+" "+kind, func(t *testing.T) {
				t.Parallel()
				testTask(t, s, g, fullTask(s, version+kind, kind, repo.URL()))
			})
		}
	}
	t.Run("reads back", func(t *testing.T) {
		t.Parallel()
		testReadBack(t, s)
	})
}

func testTask(t *testing.T, s *servertest.Server, g generation, body *model.CreateBuildJobRequestBody) {
	c := s.Client(s.Developer)
	id := g.create(t, body)
	if diff := cmp.Diff(*body, g.read(t, id)); diff != "" {
		t.Errorf("reads back otherwise (-written +read):\n%s", diff)
	}
	refused(t, c.CreateNewJob, &model.CreateNewJobRequest{Body: body}, 400, "CB.00039001", body.JobName)
	taken := func(name string) bool {
		return *ok(t, c.CheckJobNameIsExists, &model.CheckJobNameIsExistsRequest{ProjectId: s.Project, JobName: name}).Result
	}
	if !taken(body.JobName) || taken(body.JobName+"x") {
		t.Error("it is wrong about which names are taken")
	}

	// An update cannot carry four of the keys; they stay as they are. What it can carry and does not is emptied.
	renamed := body.JobName + "-renamed"
	if got := g.update(t, &model.UpdateBuildJobRequestBody{
		JobId: id, Arch: body.Arch, ProjectId: s.Project, JobName: renamed, Scms: &[]model.UpdateBuildJobScm{{Url: (*body.Scms)[0].Url, ScmType: "default"}},
		Steps: []model.UpdateBuildJobSteps{{ModuleId: "sh", Name: "other"}}, BuildConfigType: body.BuildConfigType,
	}); got != id {
		t.Errorf("updated %s, not %s", got, id)
	}
	want := model.CreateBuildJobRequestBody{
		Arch: body.Arch, ProjectId: s.Project, JobName: renamed, BuildConfigType: body.BuildConfigType, Parameters: &[]model.CreateBuildJobParameter{},
		Scms:    &[]model.CreateBuildJobScm{{Url: (*body.Scms)[0].Url, ScmType: "default"}},
		Steps:   []model.CreateBuildJobSteps{{ModuleId: "sh", Name: "other"}},
		GroupId: body.GroupId, Timeout: body.Timeout, BuildIfCodeUpdated: body.BuildIfCodeUpdated, Triggers: body.Triggers,
	}
	if diff := cmp.Diff(want, g.read(t, id)); diff != "" {
		t.Errorf("after the update (-want +read):\n%s", diff)
	}

	testSwitch(t, c, g, id, s.Developer.Name)

	if got := g.remove(t, id); *got.JobId != id || *got.ProjectId != s.Project {
		t.Errorf("deleted %v", got)
	}
	g.gone(t, id)
	if taken(renamed) {
		t.Error("the name of a deleted task is taken")
	}
	if list := s.Call(s.Developer, http.MethodGet, "/v1/job/list?search="+renamed, ""); strings.Contains(list.Body, id) {
		t.Errorf("the deleted task is listed: %s", list.Body)
	}
}

// testSwitch checks that a task that is switched off starts no build and says who did it.
func testSwitch(t *testing.T, c *codeartsbuild.CodeArtsBuildClient, g generation, id, user string) {
	state := func() *model.IsDisableResult {
		return ok(t, c.ShowDisable, &model.ShowDisableRequest{JobId: id}).Result
	}
	if state() != nil {
		t.Errorf("the new task is disabled: %v", state())
	}
	g.disable(t, id)
	if d := state(); d == nil || *d.Disabled != 1 || *d.JobId != id || *d.Forbiddener != user+"【"+user+"】" || *d.Reson != "" {
		t.Errorf("disabled: %v", d)
	}
	refused(t, c.RunJob, &model.RunJobRequest{Body: &model.RunJobRequestBody{JobId: id}}, 400, "CB.00039002", "the task is disabled; enable it first")
	g.enable(t, id)
	if state() != nil {
		t.Errorf("the enabled task is disabled: %v", state())
	}
	ok(t, c.DisableTheJob, &model.DisableTheJobRequest{JobId: id, Body: &model.DisableTheJobRequestBody{Disabled: true, Reason: new("of the freeze")}})
	if d := state(); d == nil || *d.Reson != "of the freeze" || d.ForbiddenTime < 1e12 {
		t.Errorf("disabled with a reason: %v", d)
	}
	refused(t, c.ExecuteJob, &model.ExecuteJobRequest{Body: &model.RunJobRequestBody{JobId: id}}, 400, "CB.00039002", "(of the freeze)")
	g.enable(t, id)
}

// testReadBack checks in the very JSON what a client did not give: it is null, empty or absent, never a default.
func testReadBack(t *testing.T, s *servertest.Server) {
	body := fmt.Sprintf(`{"arch": "x86-64", "project_id": %q, "job_name": "least", "steps": [], "unknown": [1, {"a": null}]}`, s.Project)
	made := s.Call(s.Developer, http.MethodPost, "/v1/job/create", body)
	id := decoded[struct {
		Result struct {
			JobID string `json:"job_id"`
		} `json:"result"`
	}](t, made.Body).Result.JobID
	if want := fmt.Sprintf(`{"result":{"job_id":%q},"error":null,"status":"success"}`, id); made.Status != 200 || made.Body != want || len(id) != 32 {
		t.Fatalf("created: %d %s", made.Status, made.Body)
	}
	want := `{"result":{"job_id":"` + id + `","arch":"x86-64","auto_update_sub_module":null,"build_config_type":null,"build_environment_type":null,` +
		`"build_if_code_updated":null,"flavor":null,"group_id":null,"host_type":null,"job_name":"least","parameters":[],"project_id":"` + s.Project +
		`","scms":[],"steps":[],"timeout":null,"triggers":[]},"error":null,"status":"success"}`
	for _, path := range []string{"/v1/job/" + id + "/config", "/v3/jobs/" + id + "/query?get_all_params=false"} {
		if diff := cmp.Diff(want, s.Call(s.Developer, http.MethodGet, path, "").Body); diff != "" {
			t.Errorf("%s, -want +got:\n%s", path, diff)
		}
	}

	// What is given comes back to the last digit; a private value does not come back at all, and sending its stand-in keeps it.
	body = fmt.Sprintf(`{"job_id": %q, "arch": "x86-64", "project_id": %q, "job_name": "least", "auto_update_sub_module": true,
		"parameters": [{"name": "hudson.model.StringParameterDefinition", "params": [
			{"name": "name", "value": "TOKEN"}, {"name": "defaultValue", "value": "hunter2-hunter2"}, {"name": "sensitiveVar", "value": true}]}],
		"scms": [{"url": "https://git.example.org/a.git", "scm_type": "Github", "endpoint_id": "e7"}],
		"steps": [{"module_id": "sh", "name": "a", "version": 1.10, "properties": {"command": "<&>", "n": 12345678901234567890.10}}]}`, id, s.Project)
	for range 2 {
		if a := s.Call(s.Developer, http.MethodPost, "/v1/job/update", body); a.Status != 200 {
			t.Fatalf("updated: %d %s", a.Status, a.Body)
		}
		got := s.Call(s.Developer, http.MethodGet, "/v1/job/"+id+"/config", "").Body
		for _, want := range []string{
			`"auto_update_sub_module":"true"`, `"version":"1.10"`, `"n":12345678901234567890.10`, `"command":"<&>"`, `"enable":null`,
			`{"limits":null,"name":"defaultValue","value":"******"}`, `"end_point_id":"e7","endpoint_id":"e7"`,
		} {
			if !strings.Contains(got, want) {
				t.Errorf("no %s in %s", want, got)
			}
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("the private value is shown: %s", got)
		}
		body = strings.ReplaceAll(body, "hunter2-hunter2", "******")
	}
}
