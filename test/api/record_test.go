package api_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// TestRecords reads one set of builds back through every operation that shows builds.
func TestRecords(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	a := newApp(t, s, "app")
	// Build 1 succeeds, 2 fails, 3 is of a tag, 4 of another branch, 5 cannot begin.
	run(t, c, &model.RunJobRequestBody{JobId: a.job})
	run(t, c, &model.RunJobRequestBody{JobId: a.job, Parameter: &[]model.ParameterItem{{Name: "CODE", Value: "7"}}})
	run(t, c, &model.RunJobRequestBody{JobId: a.job, Scm: &model.Scm{BuildTag: new("v1.0")}})
	run(t, c, &model.RunJobRequestBody{JobId: a.job, Parameter: &[]model.ParameterItem{{Name: "codeBranch", Value: "side"}}})
	run(t, c, &model.RunJobRequestBody{JobId: a.job, Scm: &model.Scm{BuildTag: new("v9")}})
	var infos []model.RecordInfoResult
	for number := 1; number <= 5; number++ {
		infos = append(infos, await(t, c, a.job, number))
	}

	t.Run("details", func(t *testing.T) {
		t.Parallel()
		for i, info := range infos {
			path := fmt.Sprintf("%s/%d/record-info", a.job, i+1)
			v4 := s.Call(s.Developer, http.MethodGet, "/v4/jobs/"+path, "").Body
			v1 := s.Call(s.Developer, http.MethodGet, "/v1/record/"+path, "").Body
			if v4 != v1 {
				t.Errorf("build %d: v4 and v1 differ:\n%s\n%s", i+1, v4, v1)
			}
			if !strings.HasSuffix(v4, `},"error":null,"status":"success"}`) || strings.Contains(v4, ".0,") {
				t.Errorf("build %d: %s", i+1, v4)
			}
			detail := ok(t, c.ShowRecordDetail, &model.ShowRecordDetailRequest{JobId: a.job, BuildNo: int32(i + 1)}).Result
			same := ok(t, c.ShowJobBuildRecordDetail, &model.ShowJobBuildRecordDetailRequest{JobId: a.job, BuildNo: int32(i + 1)}).Result
			if diff := cmp.Diff(detail, same); diff != "" {
				t.Errorf("build %d: v4 and v1 differ:\n%s", i+1, diff)
			}
			if *detail.BuildRecordId != *info.BuildRecordId || *detail.Id != *info.Id || float32(*detail.Duration) != *info.Duration || *detail.Status != *info.Status {
				t.Errorf("build %d: v4 says %v, v3 says %v", i+1, detail, info)
			}
		}
	})
	t.Run("by record id", func(t *testing.T) {
		t.Parallel()
		testBuildRecords(t, s, a, infos)
	})
	t.Run("list", func(t *testing.T) {
		t.Parallel()
		testListRecords(t, s, a, infos)
	})
	t.Run("history", func(t *testing.T) {
		t.Parallel()
		testHistory(t, s, a, infos)
	})
	t.Run("tasks", func(t *testing.T) {
		t.Parallel()
		testTaskLists(t, s, a, infos[4])
	})
}

// buildRecord returns what a record says in the newer operations, as it follows from the record-info.
func buildRecord(s *servertest.Server, a app, i model.RecordInfoResult) model.BuildRecord {
	codes := map[string]int32{"SUCCESS": 5, "FAILURE": 6, "SCHEDULE_FAILURE": 7}
	ran := int32(*i.Duration)
	var waited int32
	if i.StartTime != nil {
		waited = int32(parse(*i.StartTime).Sub(parse(*i.QueuedTime)).Milliseconds())
	}
	parameters := []model.BuildRecordParameters{
		{Name: new("GREETING"), Secret: new(false), Type: new("string"), Value: new("hello")},
		{Name: new("CODE"), Secret: new(false), Type: new("string"), Value: new("0")},
		{Name: new("TOKEN"), Secret: new(true), Type: new("string"), Value: new("******")},
	}
	r := model.BuildRecord{
		Id: i.BuildRecordId, Status: i.Status, StatusCode: new(codes[*i.Status]), CreateTime: i.CreateTime, ScheduleTime: i.ScheduleTime, QueuedTime: i.QueuedTime,
		StartTime: startOf(i), FinishTime: i.FinishTime, Duration: new(ran + waited), BuildDuration: &ran, PendingDuration: &waited, ProjectId: i.BuildProjectId,
		DisplayName: new("app"), TriggerName: &s.Developer.Name, GroupName: new(""), ExecutionId: i.ExecutionId, Parameters: &parameters, Repository: &a.url,
		Branch: i.Branch, Revision: new(""), BuildYmlPath: new(".cloudbuild/build.yml"), DailyBuildNumber: i.DailyBuildNum, DailyBuildNo: i.DailyBuildNum,
		BuildRecordType: &model.BuildRecordBuildRecordType{Rerun: new(false), IsRerun: new(false), RecordType: new("JOB"), TriggerType: new("MANUAL")},
		TriggerType:     new("MANUAL"), ScmType: new("default"), ScmWebUrl: new("https://git.example.org/app"), UserId: i.UserId, BuildNo: new(strconv.Itoa(int(*i.BuildNo))),
		DevCloudBuildType: i.BuildType,
	}
	if i.Commit != nil {
		r.Revision, r.BuildYmlUrl = i.Commit, new("https://git.example.org/app/blob/"+*i.Commit+"/.cloudbuild/build.yml")
	}
	switch *i.BuildNo {
	case 2:
		parameters[1].Value = new("7")
	case 4:
		parameters = append(parameters, model.BuildRecordParameters{Name: new("codeBranch"), Secret: new(false), Type: new("string"), Value: new("side")})
		r.Parameters = &parameters
	}
	return r
}

// startOf is when a build started; where lists want a time for one that never did, it is when it was made.
func startOf(i model.RecordInfoResult) *string {
	if i.StartTime == nil {
		return i.CreateTime
	}
	return i.StartTime
}

// parse reads a time of the wire.
func parse(s string) time.Time {
	at, err := time.Parse("2006-01-02T15:04:05.000-07:00", s)
	if err != nil {
		panic(err)
	}
	return at
}

func testBuildRecords(t *testing.T, s *servertest.Server, a app, infos []model.RecordInfoResult) {
	c := s.Client(s.Developer)
	for i, info := range infos {
		got := *ok(t, c.ShowBuildRecord, &model.ShowBuildRecordRequest{RecordId: *info.BuildRecordId}).Result
		if diff := cmp.Diff(buildRecord(s, a, info), got); diff != "" {
			t.Errorf("build %d, -want +got:\n%s", i+1, diff)
		}
	}
	raw := s.Call(s.Developer, http.MethodGet, "/v1/record/"+*infos[4].BuildRecordId+"/info", "").Body
	for _, want := range []string{`"job_id":"` + a.job + `"`, `"err_msg":"the repository ` + a.url, `no tag v9`} {
		if !strings.Contains(raw, want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
	// The id of the information row looks alike, but names no record.
	refused(t, c.ShowBuildRecord, &model.ShowBuildRecordRequest{RecordId: *infos[0].Id}, 404, "DEVCB.00031006", "build record "+*infos[0].Id+" does not exist")
}

func testListRecords(t *testing.T, s *servertest.Server, a app, infos []model.RecordInfoResult) {
	c := s.Client(s.Developer)
	day := parse(*infos[0].CreateTime).UTC()
	local := func(at time.Time) *string { return new(at.Format("2006-01-02 15:04:05")) }
	for name, test := range map[string]struct {
		r    model.ListRecordsRequest
		want []int // numbers, newest first
	}{
		"all":             {model.ListRecordsRequest{}, []int{5, 4, 3, 2, 1}},
		"by trigger":      {model.ListRecordsRequest{Triggers: &[]string{"PIPELINE_TRIGGER", "MANUAL"}}, []int{5, 4, 3, 2, 1}},
		"another trigger": {model.ListRecordsRequest{Triggers: &[]string{"TIMED_EXECUTION"}}, nil},
		"by branch":       {model.ListRecordsRequest{Branches: &[]string{"side"}}, []int{4}},
		"two branches":    {model.ListRecordsRequest{Branches: &[]string{"side", "main", "other"}, Triggers: &[]string{"MANUAL"}}, []int{5, 4, 3, 2, 1}},
		"by tag":          {model.ListRecordsRequest{Tags: &[]string{"v1.0"}}, []int{3}},
		"two tags":        {model.ListRecordsRequest{Tags: &[]string{"v9", "v1.0"}}, []int{5, 3}},
		"no such tag":     {model.ListRecordsRequest{Tags: &[]string{"v1.0' OR '1'='1"}}, nil},
		"since":           {model.ListRecordsRequest{FromDate: local(day.Add(-time.Minute)), ToDate: local(day.Add(time.Hour))}, []int{5, 4, 3, 2, 1}},
		"since tomorrow":  {model.ListRecordsRequest{FromDate: local(day.Add(24 * time.Hour))}, nil},
		"until yesterday": {model.ListRecordsRequest{ToDate: local(day.Add(-24 * time.Hour))}, nil},
	} {
		test.r.BuildProjectId = *infos[0].BuildProjectId
		result := ok(t, c.ListRecords, &test.r).Result
		var numbers []int
		for _, r := range *result.Data {
			n, _ := strconv.Atoi(*r.BuildNo)
			numbers = append(numbers, n)
			if diff := cmp.Diff(buildRecord(s, a, infos[n-1]), r); diff != "" {
				t.Errorf("%s: build %d, -want +got:\n%s", name, n, diff)
			}
		}
		if diff := cmp.Diff(test.want, numbers); diff != "" || int(*result.Pagination.Total) != len(test.want) || *result.Pagination.Limit != 10 || *result.Pagination.Page != 0 {
			t.Errorf("%s: %v, numbers -want +got:\n%s", name, result.Pagination, diff)
		}
	}
	refused(t, c.ListRecords, &model.ListRecordsRequest{BuildProjectId: *infos[0].BuildProjectId, Triggers: &[]string{"manual"}}, 400, "CB.00060200", "triggers", "MANUAL", `"manual"`)
	refused(t, c.ListRecords, &model.ListRecordsRequest{BuildProjectId: *infos[0].BuildProjectId, FromDate: new("2022-09-09")}, 400, "CB.00060200", "from_date", `"2022-09-09"`)
	refused(t, c.ListRecords, &model.ListRecordsRequest{BuildProjectId: a.job}, 400, "CB.00060202", "build_project_id", a.job)
	refused(t, c.ListRecords, &model.ListRecordsRequest{BuildProjectId: *infos[0].BuildRecordId}, 404, "DEVCB.00031006", "does not exist")
}

func testHistory(t *testing.T, s *servertest.Server, a app, infos []model.RecordInfoResult) {
	c := s.Client(s.Developer)
	local := func(at *string) *string { return new(parse(*at).UTC().Format("2006-01-02T15:04:05-07:00")) }
	results := []string{"SUCCESS", "FAILURE", "SUCCESS", "SUCCESS", "FAILURE"}
	var want []model.HistoryRecord
	for i := len(infos) - 1; i >= 0; i-- {
		want = append(want, model.HistoryRecord{
			RecordId: infos[i].DailyBuildNum, JobId: &a.job, BuildNumber: infos[i].BuildNo, StartTime: local(startOf(infos[i])), EndTime: local(infos[i].FinishTime), Result: &results[i],
		})
	}
	history := ok(t, c.ShowListHistory, &model.ShowListHistoryRequest{JobId: a.job, Offset: 0, Limit: 10, Interval: 1})
	if diff := cmp.Diff(want, *history.HistoryRecords); diff != "" || *history.Total != 5 {
		t.Errorf("total %d, -want +got:\n%s", *history.Total, diff)
	}

	details := ok(t, c.ShowHistoryDetails, &model.ShowHistoryDetailsRequest{JobId: a.job, BuildNumber: 2})
	for i, step := range *details.BuildSteps {
		if *step.BuildTime < 0 || *step.BuildTime > int32(*infos[1].Duration) {
			t.Errorf("step %d took %d ms of %v", i, *step.BuildTime, *infos[1].Duration)
		}
		(*details.BuildSteps)[i].BuildTime = nil
	}
	step := func(name, status string) model.BuildStep { return model.BuildStep{Name: &name, Status: &status} }
	wantDetails := model.ShowHistoryDetailsResponse{
		JobName: new("app"), BuildNumber: new(int32(2)), ProjectId: &s.Project, ProjectName: new("web"), HttpStatusCode: 200,
		Parameters: map[string]string{"GREETING": "hello", "CODE": "7", "TOKEN": "******"},
		BuildSteps: &[]model.BuildStep{step("Fetch", "success"), step("Say", "success"), step("End", "error")},
	}
	if diff := cmp.Diff(wantDetails, *details); diff != "" {
		t.Errorf("details, -want +got:\n%s", diff)
	}
	refused(t, c.ShowHistoryDetails, &model.ShowHistoryDetailsRequest{JobId: a.job, BuildNumber: 5}, 403, "CB.00031059", "build 5 has not begun")
	refused(t, c.ShowHistoryDetails, &model.ShowHistoryDetailsRequest{JobId: a.job, BuildNumber: 6}, 404, "CB.00031006", "has no build 6")
}

func testTaskLists(t *testing.T, s *servertest.Server, a app, last model.RecordInfoResult) {
	c := s.Client(s.Developer)
	create(t, c, shell(s, "never-built", "true"))
	yes, no := true, false
	want := []model.Job{
		{
			Id: &a.job, JobName: new("app"), JobCreator: &s.Developer.ID, UserName: &s.Developer.Name, HealthScore: new(int32(60)), SourceCode: new("codeci"),
			LastBuildTime: float32(parse(*last.CreateTime).UnixMilli()), LastBuildStatus: new("red"), IsFinished: &yes, Disabled: &no, Favorite: &no,
			IsModify: &yes, IsDelete: &yes, IsExecute: &yes, IsCopy: &yes, IsForbidden: &yes, IsView: &yes,
			LastBuildUser: &s.Developer.Name, LastBuildUserId: &s.Developer.ID, TriggerType: new("Manual"), BuildTime: new(int64(*last.Duration)),
			ScmWebUrl: new("https://git.example.org/app"), ScmType: new("default"), RepoId: new("568398"), BuildProjectId: last.BuildProjectId, LastJobRunningStatus: new("Finished"),
		},
		{
			JobName: new("never-built"), JobCreator: &s.Developer.ID, UserName: &s.Developer.Name, HealthScore: new(int32(0)), SourceCode: new("codeci"),
			LastBuildStatus: new("none"), IsFinished: &yes, Disabled: &no, Favorite: &no,
			IsModify: &yes, IsDelete: &yes, IsExecute: &yes, IsCopy: &yes, IsForbidden: &yes, IsView: &yes, BuildTime: new(int64(0)),
		},
	}
	check := func(t *testing.T, jobs []model.Job, total int32) {
		t.Helper()
		if len(jobs) != 2 || total != 2 {
			t.Fatalf("%d of %d tasks are listed", len(jobs), total)
		}
		if *jobs[0].Id != a.job {
			jobs[0], jobs[1] = jobs[1], jobs[0]
		}
		jobs[1].Id, jobs[1].BuildProjectId = nil, nil
		if diff := cmp.Diff(want, jobs); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	flat := ok(t, c.ShowJobListByProjectId, &model.ShowJobListByProjectIdRequest{ProjectId: s.Project, PageSize: 10})
	check(t, *flat.Jobs, *flat.Total)
	listed := ok(t, c.ListProjectJobs, &model.ListProjectJobsRequest{ProjectId: s.Project, PageSize: 10, SortField: new("job_name"), SortOrder: new("asc")})
	check(t, *listed.Jobs, *listed.Total)

	// Other clients read the same list below result.
	raw := s.Call(s.Developer, http.MethodGet, "/v1/job/"+s.Project+"/list?sort_field=job_name", "").Body
	twice := decoded[struct {
		Jobs   []any `json:"jobs"`
		Total  int   `json:"total"`
		Result struct {
			JobList []any `json:"job_list"`
			Total   int   `json:"total"`
		} `json:"result"`
		Error  any    `json:"error"`
		Status string `json:"status"`
	}](t, raw)
	if diff := cmp.Diff(twice.Jobs, twice.Result.JobList); diff != "" || twice.Total != 2 || twice.Result.Total != 2 || twice.Error != nil || twice.Status != "success" {
		t.Errorf("%s, the two lists differ:\n%s", raw, diff)
	}

	all := *ok(t, c.ListJob, &model.ListJobRequest{Search: new("APP")}).Result
	if *all.Total != 1 {
		t.Fatalf("the search found %d tasks", *all.Total)
	}
	job := (*all.JobList)[0]
	if *job.Id != a.job || *job.ProjectId != s.Project || *job.ProjectName != "web" || *job.BuildNumber != "5" || *job.TaskId != "#"+*last.DailyBuildNum ||
		*job.NickName != s.Developer.Name || *job.BuildType != "tag" || *job.Tag != "v9" || !*job.ProjectPermissionSwitch || *job.ForbiddenMsg != "" {
		t.Errorf("listed: %v", job)
	}
	for name, test := range map[string]struct {
		r    model.ListProjectJobsRequest
		want int32
	}{
		"status red":      {model.ListProjectJobsRequest{BuildStatus: new("red")}, 1},
		"status none":     {model.ListProjectJobsRequest{BuildStatus: new("none")}, 1},
		"status blue":     {model.ListProjectJobsRequest{BuildStatus: new("blue")}, 0},
		"its creator":     {model.ListProjectJobsRequest{CreatorId: &s.Developer.ID}, 2},
		"another creator": {model.ListProjectJobsRequest{CreatorId: &s.Admin.ID}, 0},
		"creator's name":  {model.ListProjectJobsRequest{Search: &s.Developer.Name}, 2},
		"a wildcard":      {model.ListProjectJobsRequest{Search: new("%")}, 0},
	} {
		test.r.ProjectId = s.Project
		if got := ok(t, c.ListProjectJobs, &test.r); *got.Total != test.want || len(*got.Jobs) != int(test.want) {
			t.Errorf("%s: %d tasks", name, *got.Total)
		}
	}
	refused(t, c.ListProjectJobs, &model.ListProjectJobsRequest{ProjectId: s.Project, BuildStatus: new("green")}, 400, "CB.00060200", "build_status", "red, blue", `"green"`)
	refused(t, c.ListProjectJobs, &model.ListProjectJobsRequest{ProjectId: s.Project, SortField: new("id; DROP TABLE jobs")}, 400, "CB.00060200", "sort_field", "job_name")
	refused(t, c.ListProjectJobs, &model.ListProjectJobsRequest{ProjectId: s.Project, SortOrder: new("up")}, 400, "CB.00060200", "sort_order", "ASC or DESC")
}
