package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/server/servertest"
)

// names returns the names of a project's tasks, with a star behind favourites, from A to Z.
func names(t *testing.T, s *servertest.Server, user servertest.User) string {
	t.Helper()
	list := ok(t, s.Client(user).ListProjectJobs, &model.ListProjectJobsRequest{ProjectId: s.Project, PageSize: 100, SortField: new("job_name")})
	var out []string
	for _, job := range *list.Jobs {
		name := *job.JobName
		if *job.Favorite {
			name += "*"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func TestCopyTask(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	task := shell(s, "soso", `echo "secret has ${#token}" letters`)
	task.Parameters = &[]model.CreateBuildJobParameter{parameter("token", "hunter2", "sensitiveVar", "true")}
	task.Flavor = new("2u8g")
	job := create(t, c, task)

	name := *ok(t, c.ShowCopyName, &model.ShowCopyNameRequest{JobId: job}).Result
	if name != "soso-copy-1" {
		t.Errorf("proposed %q", name)
	}
	clone := func(body model.CopyBuildJobRequestBody) string {
		body.Arch, body.ProjectId, body.CopyJobId = servertest.Arch, s.Project, job
		return *ok(t, c.CopyJob, &model.CopyJobRequest{Body: &body}).Result.JobId
	}
	copied := clone(model.CopyBuildJobRequestBody{JobName: name})
	config := func(id string) *model.CreateBuildJobRequestBody {
		return ok(t, c.ShowJobConfig, &model.ShowJobConfigRequest{JobId: id}).Result
	}
	want := config(job)
	want.JobName = name
	if diff := cmp.Diff(want, config(copied)); diff != "" || copied == job {
		t.Errorf("the copy differs (-want +got):\n%s", diff)
	}
	run(t, c, &model.RunJobRequestBody{JobId: copied})
	if info := await(t, c, copied, 1); *info.Status != "SUCCESS" {
		t.Errorf("the copy ended as %s", *info.Status)
	} else if log := s.Call(s.Developer, "GET", "/v4/"+*info.BuildRecordId+"/download-log", "").Body; !strings.Contains(log, "secret has 7 letters") {
		t.Errorf("the copy has lost the private value:\n%s", log)
	}
	if name = *ok(t, c.ShowCopyName, &model.ShowCopyNameRequest{JobId: job}).Result; name != "soso-copy-2" {
		t.Errorf("proposed %q", name)
	}
	edited := clone(model.CopyBuildJobRequestBody{JobName: name, Flavor: new("4u8g"), Parameters: &[]model.CreateBuildJobParameter{}})
	if got := config(edited); *got.Flavor != "4u8g" || len(*got.Parameters) != 0 || len(got.Steps) != 1 {
		t.Errorf("the edited copy has %+v", got)
	}
	long := create(t, c, shell(s, strings.Repeat("长", 115), "true"))
	if name := *ok(t, c.ShowCopyName, &model.ShowCopyNameRequest{JobId: long}).Result; name != strings.Repeat("长", 108)+"-copy-1" {
		t.Errorf("proposed %q for a long name", name)
	}
	refused(t, c.CopyJob, &model.CopyJobRequest{Body: &model.CopyBuildJobRequestBody{Arch: "arm", ProjectId: s.Project, CopyJobId: job, JobName: name}}, 400, "CB.00039001", name)
	s.Grant(s.OtherProject, s.Developer, iam.Developer)
	refused(t, c.CopyJob, &model.CopyJobRequest{Body: &model.CopyBuildJobRequestBody{Arch: "arm", ProjectId: s.OtherProject, CopyJobId: job, JobName: "x"}},
		400, "CB.00060200", "project_id: a copy is made in the project of its original")
}

func TestFavourites(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	first := create(t, c, shell(s, "first", "true"))
	create(t, c, shell(s, "second", "true"))
	for range 2 { // twice is as good as once
		if r := ok(t, c.AddFavouriteTask, &model.AddFavouriteTaskRequest{JobId: first}).Result; !*r.Favorite {
			t.Error("the answer says that the task is no favourite")
		}
	}
	if got := names(t, s, s.Developer); got != "first* second" {
		t.Errorf("the developer sees %q", got)
	}
	if got := names(t, s, s.Admin); got != "first second" {
		t.Errorf("another user sees %q", got)
	}
	for range 2 {
		if r := ok(t, c.RemoverFavouriteTask, &model.RemoverFavouriteTaskRequest{JobId: first}).Result; *r.Favorite {
			t.Error("the answer says that the task is a favourite")
		}
	}
	if got := names(t, s, s.Developer); got != "first second" {
		t.Errorf("the developer sees %q", got)
	}
}

func TestDeleteSeveral(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	var ids []string
	for _, name := range []string{"a", "b", "c"} {
		ids = append(ids, create(t, c, shell(s, name, "true")))
	}
	elsewhere := shell(s, "d", "true")
	elsewhere.ProjectId = s.OtherProject
	foreign := create(t, s.Client(s.Admin), elsewhere)
	for _, other := range []string{strings.Repeat("0", 32), foreign} {
		refused(t, c.BatchDeleteBuildJobs, &model.BatchDeleteBuildJobsRequest{Body: &model.BatchDeleteBuildJobsRequestBody{JobIds: []string{ids[0], other}}},
			404, "DEVCB.00031006", other+" does not exist")
	}
	if got := names(t, s, s.Developer); got != "a b c" {
		t.Errorf("after refusals there are %q", got)
	}
	result := ok(t, c.BatchDeleteBuildJobs, &model.BatchDeleteBuildJobsRequest{Body: &model.BatchDeleteBuildJobsRequestBody{JobIds: []string{ids[2], ids[0], ids[2]}}}).Result
	if *result.JobId != ids[2] || *result.ProjectId != s.Project {
		t.Errorf("answered %s of %s", *result.JobId, *result.ProjectId)
	}
	if got := names(t, s, s.Developer); got != "b" {
		t.Errorf("there are %q", got)
	}
}

// badJobLists are wrong bodies of an operation that takes several tasks.
func badJobLists(method, path string, a app) []badRequest {
	many := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%q,", a.job), 101), ",")
	return []badRequest{
		invalid("no list to "+path, method, path, `{}`, "job_ids: must have 1 to 100 ids, found 0"),
		invalid("empty list to "+path, method, path, `{"job_ids":[]}`, "job_ids: must have 1 to 100 ids, found 0"),
		invalid("long list to "+path, method, path, `{"job_ids":[`+many+`]}`, "job_ids: must have 1 to 100 ids, found 101"),
		invalid("text to "+path, method, path, `{"job_ids":"x"}`, "job_ids: must be a list"),
		{"bad id to " + path, method, path, `{"job_ids":["` + a.job + `","x"]}`, 400, "CB.00060201", []string{"job_ids[1]: must be 32 lower-case letters or digits", `found "x"`}},
	}
}

// badCopies are wrong bodies for copies.
func badCopies(s *servertest.Server, a app) []badRequest {
	body := func(keys string) string {
		return fmt.Sprintf(`{"copy_job_id": %q, "arch": "arm", "project_id": %q%s}`, a.job, s.Project, keys)
	}
	const path = "/v1/job/copy"
	return append(
		badJobLists("DELETE", "/v1/job/batch-delete", a),
		badRequest{"no original", "POST", path, `{"arch": "arm"}`, 400, "CB.00060201", []string{"copy_job_id: must be 32 lower-case"}},
		invalid("copy without a name", "POST", path, body(""), "job_name: is missing"),
		invalid("copy with a bad name", "POST", path, body(`, "job_name": "a b"`), "job_name: must be 1 to 115", `found "a b"`),
		invalid("copy of another kind", "POST", path, body(`, "job_name": "b", "build_config_type": "yml"`), "build_config_type: must be YAML or ACTION"),
	)
}
