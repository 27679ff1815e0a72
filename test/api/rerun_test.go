package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// TestRerun repeats a build after its branch, its task and its parameters have changed.
func TestRerun(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, oneSlot)
	c := s.Client(s.Developer)
	repo := s.NewRepository("app")
	file := func(text string) {
		repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh:\n        inputs:\n          command: echo "+text+" ${WHO}; sleep 0\n")
		repo.Commit(text)
	}
	file("first")
	task := fromFile(s, "app", repo.URL())
	task.Parameters = &[]model.CreateBuildJobParameter{parameter("WHO", "nobody", "staticVar", "true")}
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job, Parameter: &[]model.ParameterItem{{Name: "WHO", Value: "somebody"}}})
	first := await(t, c, job, 1)
	file("second")

	rerun := func(number string) servertest.Answer {
		return s.Call(s.Admin, http.MethodPost, "/v3/jobs/"+job+"/"+number+"/rerun", "")
	}
	checkNumber(t, rerun("1"), 2)
	second := await(t, c, job, 2)
	if *second.Commit != *first.Commit || *second.Branch != "main" || *second.BuildType != "branch" || *second.Status != "SUCCESS" || *second.UserId != s.Admin.ID {
		t.Errorf("the repeated build: %v", second)
	}
	if log := logOf(t, c, job, 2); !strings.Contains(log, "first somebody") {
		t.Errorf("its log:\n%s", log)
	}
	record := ok(t, c.ShowBuildRecord, &model.ShowBuildRecordRequest{RecordId: *second.BuildRecordId}).Result
	if !*record.BuildRecordType.IsRerun || !*record.BuildRecordType.Rerun {
		t.Errorf("it does not say that it is one: %v", record.BuildRecordType)
	}
	checkProblem(t, s, rerun("7"), 404, "CB.00031006", "has no build 7")

	waiting := create(t, c, shell(s, "waiting", "sleep 600"))
	run(t, c, &model.RunJobRequestBody{JobId: waiting})
	awaitStatus(t, c, waiting, 1, "RUNNING")
	checkProblem(t, s, s.Call(s.Developer, http.MethodPost, "/v3/jobs/"+waiting+"/1/rerun", ""), 400, "CB.00060200", "build_no: build 1 is not over")
	ok(t, c.StopBuildJob, &model.StopBuildJobRequest{JobId: waiting, BuildNo: 1})
}
