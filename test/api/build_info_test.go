package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"
	"go.yaml.in/yaml/v4"

	"atelier/internal/iam"
	"atelier/internal/server/servertest"
)

// today is a period that has the present day in it, in the two forms of queries. It is wide, because the day may end during a test.
func today() (fromDay, toDay, from, to string) {
	now := time.Now()
	before, after := now.Add(-24*time.Hour), now.Add(24*time.Hour)
	return before.Format("2006-01-02"), after.Format("2006-01-02"), before.Format("2006-01-02 15:04:05"), after.Format("2006-01-02 15:04:05")
}

// TestBuildInfo builds a task twice, once with success, and reads all that the operations of lists and histories say of it.
func TestBuildInfo(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	task := shell(s, "demo", "echo the token is $TOKEN; exit $CODE")
	task.Parameters = &[]model.CreateBuildJobParameter{
		parameter("CODE", "0", "staticVar", "true"), parameter("TOKEN", "dont-show-this", "sensitiveVar", "true"),
	}
	job := create(t, c, task)
	if r := ok(t, c.ShowRunningStatus, &model.ShowRunningStatusRequest{JobId: job}).Result; *r.IsRunning || r.LastBuildNo != nil {
		t.Errorf("a task without builds: %+v", r)
	}
	run(t, c, &model.RunJobRequestBody{JobId: job})
	first := await(t, c, job, 1)
	run(t, c, &model.RunJobRequestBody{JobId: job, Parameter: &[]model.ParameterItem{{Name: "CODE", Value: "3"}}})
	second := await(t, c, job, 2)
	fromDay, toDay, from, to := today()

	if r := ok(t, c.ShowRunningStatus, &model.ShowRunningStatusRequest{JobId: job}).Result; *r.IsRunning || *r.LastBuildNo != "2" || *r.LastBuildStatus != "Finished" || *r.LastJobId != job {
		t.Errorf("running status: %+v", r)
	}
	if r := ok(t, c.ShowJobStepStatus, &model.ShowJobStepStatusRequest{JobId: job, BuildNo: new(int32(2))}).Result; *r.Status != "error" || *r.AbortStatus != "" || !strings.HasSuffix(*r.Label, "-2u8g") {
		t.Errorf("step status: %+v", r)
	}
	if a := s.Call(s.Developer, "GET", "/v1/job/"+job+"/status", ""); !strings.Contains(a.Body, `"status":"success","abort_status":""`) || !strings.Contains(a.Body, `"workflow":{"status":"completed","abort_status":""}`) {
		t.Errorf("step status of the first build: %s", a.Body)
	}
	if r := ok(t, c.ShowBuildDetails, &model.ShowBuildDetailsRequest{JobId: job, BuildNo: 2}).Result; *r.Building || *r.BuildResult != "FAILURE" || *r.Region == "" {
		t.Errorf("build details: %+v", r)
	}

	info := ok(t, c.ShowBuildInfoRecord, &model.ShowBuildInfoRecordRequest{JobId: job, BuildNo: 1}).Result
	if *info.Number != 1 || *info.State != "SUCCESS" || *info.JobRunningStatus != "Finished" || *info.Executor != "dev" || *info.DailyBuildNumber != *first.DailyBuildNum ||
		*info.TriggerType != "Manual" || *info.BuildTime != *info.CostTime || *info.StartTime == 0 {
		t.Errorf("build info: %+v", info)
	}
	page := ok(t, c.ListBuildInfoRecordByJobId, &model.ListBuildInfoRecordByJobIdRequest{JobId: job, StartTime: from, EndTime: to, PageSize: new(int32(1)), PageIndex: new(int32(1))}).Result
	if *page.HealthScore != "50" || *page.TotalRecord != "2" || *page.TotalPage != "2" || *page.PageIndex != "1" || len(*page.JobBuildStates) != 1 || *(*page.JobBuildStates)[0].Number != 1 {
		t.Errorf("the second page: %+v", page)
	}
	if page := ok(t, c.ListBuildInfoRecord, &model.ListBuildInfoRecordRequest{JobId: job, StartTime: from, EndTime: to}).Result; len(*page.JobBuildStates) != 2 || *(*page.JobBuildStates)[0].State != "FAILURE" {
		t.Errorf("all: %+v", page)
	}
	if total := *ok(t, c.ShowJobTotal, &model.ShowJobTotalRequest{BuildProjectId: *first.BuildProjectId, FromDate: &from, ToDate: &to}).Result.Total; total != 2 {
		t.Errorf("%d builds", total)
	}
	if total := *ok(t, c.ShowJobTotal, &model.ShowJobTotalRequest{BuildProjectId: *first.BuildProjectId, ToDate: new("2020-01-01 00:00:00")}).Result.Total; total != 0 {
		t.Errorf("%d builds before there was the service", total)
	}
	values := make(map[string]string)
	for _, p := range *ok(t, c.ListBuildParameter, &model.ListBuildParameterRequest{JobId: job, BuildNo: 2}).Result {
		values[*p.Name] = *p.Value
	}
	if values["CODE"] != "3" || values["TOKEN"] != "******" {
		t.Errorf("it ran with %v", values)
	}

	history := ok(t, c.ShowListPeriodHistory, &model.ShowListPeriodHistoryRequest{JobId: job, Offset: 0, Limit: 10, StartTime: fromDay, EndTime: toDay})
	if h := (*history.HistoryRecords)[0]; *history.Total != 2 || *h.BuildNumber != 2 || *h.RecordId != *second.DailyBuildNum || *h.Result != "FAILURE" || *h.Executor != "dev" || *h.TriggerType != "Manual" {
		t.Errorf("history: %+v", history)
	}
	if r := ok(t, c.ShowJobSuccessRatio, &model.ShowJobSuccessRatioRequest{JobId: job, StartTime: fromDay, EndTime: toDay}); *r.SuccessCount != 1 || *r.TotalCount != 2 || *r.SuccessRatio != 0.5 {
		t.Errorf("ratio: %+v", r)
	}
	if r := ok(t, c.ShowJobSuccessRatio, &model.ShowJobSuccessRatioRequest{JobId: job, StartTime: "2020-01-01", EndTime: "2020-01-31"}); *r.TotalCount != 0 || *r.SuccessRatio != 0 {
		t.Errorf("ratio of no builds: %+v", r)
	}

	log := ok(t, c.ShowActionIInfo, &model.ShowActionIInfoRequest{JobId: job, BuildNo: 2}).Result
	if !strings.Contains(*log.Log, "the token is ***") || *log.HasMore || *log.StartOffset != "0" {
		t.Errorf("log: %+v", log)
	}
	testStages(t, s, *second.BuildRecordId)
	testBadLists(t, s, job, *first.BuildProjectId)
}

func testStages(t *testing.T, s *servertest.Server, record string) {
	c := s.Client(s.Developer)
	stages := ok(t, c.ShowBuildRecordFullStages, &model.ShowBuildRecordFullStagesRequest{RecordId: record}).Result.BuildStages
	step, initial := stages["stage1"], stages["initial"]
	if len(stages) != 2 || *step.DisplayName != "Run" || *step.Status != "FAILURE" || *step.StatusCode != 6 || *step.Sequence != 1 || *step.BuildRecordId != record || *initial.Status != "SUCCESS" || *initial.Sequence != 0 {
		t.Errorf("stages: %+v", stages)
	}
	script := *ok(t, c.ShowBuildRecordBuildScript, &model.ShowBuildRecordBuildScriptRequest{RecordId: record}).Result
	var parsed struct {
		Version string
		Timeout struct{ Limit int }
		Stages  map[string]struct {
			Meta struct {
				UUID        string
				DisplayName string `yaml:"displayName"`
			}
			Tasks []map[string]struct{ Command string }
		}
	}
	if err := yaml.Unmarshal([]byte(script), &parsed); err != nil {
		t.Fatalf("%v in\n%s", err, script)
	}
	if got := parsed.Stages["stage1"]; parsed.Version != "2.0" || parsed.Timeout.Limit < 1 || got.Meta.DisplayName != "Run" || got.Meta.UUID != *step.Id || !strings.HasPrefix(got.Tasks[0]["sh"].Command, "echo the token is ") {
		t.Errorf("script:\n%s", script)
	}
	if strings.Contains(script, "dont-show-this") {
		t.Errorf("the script shows a private value:\n%s", script)
	}
}

func testBadLists(t *testing.T, s *servertest.Server, job, buildProject string) {
	list := func(query string) string { return "/v1/record/" + job + "/list?" + query }
	for _, r := range []badRequest{
		invalid("no period", "GET", list(""), "", "start_time, end_time: are missing"),
		invalid("half a period", "GET", list("start_time=2026-01-01+00:00:00"), "", "end_time: is missing"),
		invalid("a day", "GET", list("start_time=2026-01-01&end_time=2026-01-02+00:00:00"), "", `start_time: must look like 2022-09-09 06:31:50, found "2026-01-01"`),
		invalid("backwards", "GET", list("start_time=2026-01-02+00:00:00&end_time=2026-01-01+00:00:00"), "", "end_time: must not be before start_time"),
		{"too long", "GET", list("start_time=2026-01-01+00:00:00&end_time=2026-02-01+00:00:01"), "", 400, "CB.00031105", []string{"at most 31 days apart"}},
		invalid("page size", "GET", list("start_time=2026-01-01+00:00:00&end_time=2026-01-02+00:00:00&page_size=101"), "", "page_size: must be a whole number from 0 to 100"),
		{"long history", "GET", "/v3/jobs/" + job + "/period-history?offset=0&limit=1&start_time=2026-01-01&end_time=2026-02-01", "", 400, "CB.00031105", []string{"at most 30 days apart"}},
		invalid("history of a moment", "GET", "/v3/jobs/"+job+"/success-ratio?start_time=2026-01-01+00:00:00&end_time=2026-01-02", "", `start_time: must look like 2022-09-09, found "2026-01-01 00:00:00"`),
		invalid("total", "GET", "/v1/record/"+buildProject+"/statistics?from_date=yesterday", "", `from_date: must look like 2022-09-09 06:31:50, found "yesterday"`),
		invalid("brief without a limit", "POST", "/v1/record/brief", `[]`, "limit: is missing"),
		invalid("brief of an object", "POST", "/v1/record/brief?limit=1", `{}`, "body: must be a list"),
		invalid("brief of too many", "POST", "/v1/record/brief?limit=1", "["+strings.TrimSuffix(strings.Repeat(`"`+buildProject+`",`, 101), ",")+"]", "body: has 101 ids, at most 100 are allowed"),
		{"brief of a wrong id", "POST", "/v1/record/brief?limit=1", `["x"]`, 400, "CB.00060202", []string{`must be 36 lower-case letters`}},
		{"a build that is not there", "GET", "/v1/job/" + job + "/9/build-info", "", 404, "DEVCB.00031006", []string{"build 9"}},
		{"step status of none", "GET", "/v1/job/" + job + "/status?build_no=9", "", 404, "DEVCB.00031006", []string{"build 9"}},
		invalid("log page", "GET", "/v1/log/stage/page?job_id="+job+"&build_no=1&start_offset=5&end_offset=2", "", "end_offset: must not be less than start_offset"),
		invalid("log page without a build", "GET", "/v1/log/stage/page?job_id="+job+"&start_offset=0&end_offset=0", "", "build_no: is missing"),
	} {
		t.Run(r.name, func(t *testing.T) {
			checkProblem(t, s, s.Call(s.Developer, r.method, r.path, r.body), r.status, r.code, r.words...)
		})
	}
}

// TestBriefRecords asks for the newest builds of tasks, of which one may not be seen and one is not there.
func TestBriefRecords(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	viewer := s.NewUser("viewer")
	s.Grant(s.Project, viewer, iam.Viewer)
	var ids []string
	for _, name := range []string{"one", "two"} {
		job := create(t, c, shell(s, name, "true"))
		for n := range 3 {
			run(t, c, &model.RunJobRequestBody{JobId: job})
			await(t, c, job, n+1)
		}
		ids = append(ids, *await(t, c, job, 1).BuildProjectId)
		if name == "two" {
			ok(t, s.Client(s.Admin).BatchUpdateJobRolePermission, &model.BatchUpdateJobRolePermissionRequest{Body: &model.RolePermissionsRequestBody{
				JobIds: &[]string{job}, Permissions: &[]model.JobRolePermission{{RoleId: new(int32(viewers))}},
			}})
		}
	}
	ids = append(ids, "48da14e2-6ee7-495b-9dc7-f14d4a344511")
	brief := func(user servertest.User) (out string) {
		for _, p := range *ok(t, s.Client(user).ListBriefRecord, &model.ListBriefRecordRequest{Limit: 2, Body: &ids}).Result {
			for _, r := range *p.BriefBuildRecordDtos {
				out += fmt.Sprintf("%d %s %t ", *r.BuildNo, *r.Status, *r.ProjectId == *p.ProjectId && *r.CreateTime != "" && *r.FinishTime != "")
			}
			out += "| "
		}
		return out
	}
	two := "3 SUCCESS true 2 SUCCESS true | "
	if got := brief(s.Developer); got != two+two {
		t.Errorf("the developer sees %s", got)
	}
	if got := brief(viewer); got != two {
		t.Errorf("a viewer sees %s", got)
	}
}

// TestCascade reads the stages of a flow together with those of its jobs.
func TestCascade(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	repo := s.NewRepository("flow")
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nbuildflow:\n  jobs:\n    - {job: First, build_ref: job.yml}\n    - {job: Second, build_ref: job.yml, depends_on: First}\n")
	repo.Write("job.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {name: Say, inputs: {command: echo hello}}\n")
	repo.Commit("init")
	job := create(t, c, fromFile(s, "flow", repo.URL()))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	record := *await(t, c, job, 1).BuildRecordId
	if own := ok(t, c.ShowBuildRecordFullStages, &model.ShowBuildRecordFullStagesRequest{RecordId: record}).Result.BuildStages; len(own) != 3 {
		t.Errorf("the flow itself has %v", own)
	}
	all := ok(t, c.ShowBuildRecordFullStages, &model.ShowBuildRecordFullStagesRequest{RecordId: record, Cascade: new(true)}).Result.BuildStages
	if stage := all["Second/stage2"]; len(all) != 9 || stage.DisplayName == nil || *stage.DisplayName != "Say" || *stage.Status != "SUCCESS" || *stage.BuildRecordId == record {
		t.Errorf("with its jobs it has %v", all)
	}
	if script := *ok(t, c.ShowBuildRecordBuildScript, &model.ShowBuildRecordBuildScriptRequest{RecordId: record}).Result; !strings.Contains(script, "buildRef: job.yml") || !strings.Contains(script, "dependsOn: [First]") {
		t.Errorf("script:\n%s", script)
	}
}
