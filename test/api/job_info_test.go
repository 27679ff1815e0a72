package api_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/build"
	"atelier/internal/iam"
	"atelier/internal/server/servertest"
)

func TestJobInfo(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "app", "test -e never-there || test -e $HOME"))
	info := func(user servertest.User) model.ShowJobInfoResult {
		t.Helper()
		return *ok(t, s.Client(user).ShowJobInfo, &model.ShowJobInfoRequest{JobId: job}).Result
	}
	if fresh := info(s.Developer); fresh.LastBuildStatus != nil || fresh.LastBuildTime != nil || *fresh.HealthScore != 0 || *fresh.BuildTime != "0.00" {
		t.Errorf("before the first build: %v", fresh)
	}
	run(t, c, &model.RunJobRequestBody{JobId: job})
	record := await(t, c, job, 1)
	ok(t, c.AddFavouriteTask, &model.AddFavouriteTaskRequest{JobId: job})
	ok(t, c.DisableTheJob, &model.DisableTheJobRequest{JobId: job, Body: &model.DisableTheJobRequestBody{Disabled: true}})
	got := info(s.Developer)
	wantScore := map[string]int32{"SUCCESS": 100}[*record.Status]
	if *got.Id != job || *got.ProjectId != *record.BuildProjectId || *got.JobName != "app" || *got.LastBuildStatus != strings.ToLower(*record.Status) ||
		*got.RunningStatus != "Finished" || *got.HealthScore != wantScore || !*got.Favorite || !*got.Disabled || !*got.IsModify || !*got.IsManager || got.LastBuildTime == nil {
		t.Errorf("the developer, who made the task, reads %v", got)
	}
	if !regexp.MustCompile(`^\d+\.\d\d$`).MatchString(*got.BuildTime) || *got.ChargeTime != "0.00" {
		t.Errorf("build time %q, charged %q", *got.BuildTime, *got.ChargeTime)
	}
	viewer := s.NewUser("viewer")
	s.Grant(s.Project, viewer, iam.Viewer)
	if got := info(viewer); *got.IsModify || *got.IsManager || !*got.IsView || *got.Favorite {
		t.Errorf("a viewer reads %v", got)
	}
}

func TestPipelineInfo(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	task := shell(s, "app", "echo ${used}")
	task.Parameters = &[]model.CreateBuildJobParameter{
		parameter("codeBranch", "main"), parameter("idle", "1"), parameter("used", "2"), parameter("token", "hunter2", "sensitiveVar", "true"),
	}
	job := create(t, c, task)
	for onlyUsed, want := range map[string]string{"false": "codeBranch=main idle=1 used=2 token=******", "true": "codeBranch=main used=2"} {
		r := ok(t, c.ShowJobPipelineInfo, &model.ShowJobPipelineInfoRequest{JobId: job, CheckParamUsed: &onlyUsed, All: new("true")}).Result
		var got []string
		for _, p := range *r.Parameters {
			got = append(got, *(*p.Params)[0].Value+"="+*(*p.Params)[2].Value)
		}
		if strings.Join(got, " ") != want || *r.JobName != "app" || *r.SourceCode != "codeci" || !strings.Contains(*r.JobNameRegex, "{1,115}") {
			t.Errorf("only those that are used: %s: %v", onlyUsed, r)
		}
	}
}

// TestParameterRules compares the rules that editors are told with those that are kept.
func TestParameterRules(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	rules := (*ok(t, c.ShowBuildParamsList, &model.ShowBuildParamsListRequest{}).Result.BuildParameters)[0]
	constraints := make(map[string]string)
	for _, p := range *rules.Params {
		for _, rule := range *p.Constraints {
			constraints[*p.Name+" "+*rule.Type] = *rule.Value
			if *rule.Errormsg == "" {
				t.Errorf("%s of %s has no sentence", *rule.Type, *p.Name)
			}
		}
	}
	if constraints["name maxLen"] != "128" || constraints["name minLen"] != "1" || constraints["defaultValue maxLen"] != "8192" || *rules.Name != build.StringDefinition {
		t.Errorf("the rules are %v", constraints)
	}
	told := regexp.MustCompile(constraints["name regex"])
	for _, name := range []string{"", "a", "A_9", "a-b", "a b", "名", strings.Repeat("a", 128), strings.Repeat("a", 129)} {
		if kept := build.CheckParameterName(name) == ""; kept != told.MatchString(name) {
			t.Errorf("the name %q is allowed: %v", name, kept)
		}
	}

	system := *ok(t, c.ShowJobSystemParameters, &model.ShowJobSystemParametersRequest{}).Result
	for i, name := range build.SystemParameters {
		if p := system[i]; *p.ParameterName != name || *p.Description == "" || int(*p.Id) != i+1 {
			t.Errorf("%s is shown as %v", name, p)
		}
	}
	// The defaults make a task that is accepted.
	defaults := *ok(t, c.ShowDefaultBuildParameters, &model.ShowDefaultBuildParametersRequest{}).Result
	task := shell(s, "app", "true")
	var properties []model.CreateBuildJobParameterParam
	for _, p := range *defaults[0].Params {
		properties = append(properties, model.CreateBuildJobParameterParam{Name: p.Name, Value: p.Value})
	}
	task.Parameters = &[]model.CreateBuildJobParameter{{Name: defaults[0].Name, Params: &properties}}
	if *properties[0].Value != "codeBranch" || len(defaults) != 1 {
		t.Errorf("the defaults are %v", defaults)
	}
	create(t, c, task)

	endpoints := ok(t, c.ListEndPoints, &model.ListEndPointsRequest{ProjectId: s.Project, Limit: 10}).Result
	if *endpoints.Total != 0 || endpoints.Endpoints == nil || len(*endpoints.Endpoints) != 0 {
		t.Errorf("endpoints: %v", endpoints)
	}
}

// badReadings are wrong requests for what is known of a task and its project.
func badReadings(s *servertest.Server, a app) []badRequest {
	path := "/v1/job/"
	return []badRequest{
		invalid("all", "GET", path+a.job+"/pipeline-info?all=some", "", `all: must be true or false, found "some"`),
		invalid("used", "GET", path+a.job+"/pipeline-info?check_param_used=1x", "", "check_param_used: must be true or false"),
		invalid("no limit", "GET", path+s.Project+"/nexus", "", "limit: is missing"),
		invalid("limit", "GET", path+s.Project+"/nexus?limit=101", "", "limit: must be a whole number from 0 to 100"),
		invalid("offset", "GET", path+s.Project+"/nexus?limit=10&offset=-1", "", "offset: must be a whole number from 0"),
		{"info", "GET", path + "x/info", "", 400, "CB.00060201", []string{"job_id: must be 32"}},
	}
}
