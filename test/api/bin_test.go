package api_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/server/servertest"
)

// inBin returns the names in a user's recycle bin, newest first.
func inBin(t *testing.T, s *servertest.Server, user servertest.User) string {
	t.Helper()
	result := ok(t, s.Client(user).ListRecyclingJob, &model.ListRecyclingJobRequest{PageSize: new(int32(100))}).Result
	var out []string
	for _, job := range *result.JobList {
		out = append(out, *job.JobName)
	}
	if int(*result.Total) != len(out) {
		t.Errorf("the total of %v is %d", out, *result.Total)
	}
	return strings.Join(out, " ")
}

func ids(list ...string) *model.JobsRequestBody { return &model.JobsRequestBody{JobIds: list} }

func TestRecycleBin(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "app", "true"))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	await(t, c, job, 1)
	before := time.Now().Truncate(time.Second)
	ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: job})

	list := ok(t, c.ListRecyclingJob, &model.ListRecyclingJobRequest{Search: new("AP")})
	if !*list.Success || *list.Result.KeepTime != 7 || *list.Result.Total != 1 {
		t.Errorf("the bin answers %+v", list)
	}
	found := (*list.Result.JobList)[0]
	at, err := time.ParseInLocation("2006-01-02 15:04:05", *found.DeleteTime, time.Local)
	if err != nil || at.Before(before) || fmt.Sprint(at.Unix()) != *found.DeleteTimeStamp || *found.JobId != job || *found.CreatorName != s.Developer.Name || *found.ProjectId != s.Project {
		t.Errorf("%v: the bin shows %+v", err, found)
	}
	taker := create(t, c, shell(s, "app", "true"))
	refused(t, c.RestoreRecyclingJobs, &model.RestoreRecyclingJobsRequest{Body: ids(job)}, 400, "CB.00039001", `another task of the project is called "app" by now`)
	ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: taker})
	if got := inBin(t, s, s.Developer); got != "app app" {
		t.Errorf("the bin has %q", got)
	}
	ok(t, c.RestoreRecyclingJobs, &model.RestoreRecyclingJobsRequest{Body: ids(job)})
	if n := run(t, c, &model.RunJobRequestBody{JobId: job}); n != 2 {
		t.Errorf("the build after restoration has number %d", n)
	}
	first, second := await(t, c, job, 1), await(t, c, job, 2)
	refused(t, c.RestoreRecyclingJobs, &model.RestoreRecyclingJobsRequest{Body: ids(job)}, 404, "DEVCB.00031006", "does not exist in the recycle bin")

	ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: job})
	refused(t, c.DeleteRecyclingJobs, &model.DeleteRecyclingJobsRequest{Body: ids(job, strings.Repeat("0", 32))}, 404, "DEVCB.00031006", "does not exist in the recycle bin")
	if got := inBin(t, s, s.Developer); got != "app app" {
		t.Errorf("after a refusal the bin has %q", got)
	}
	ok(t, c.DeleteRecyclingJobs, &model.DeleteRecyclingJobsRequest{Body: ids(job)})
	awaitNoLogs(t, s, *first.BuildRecordId, *second.BuildRecordId)
	refused(t, c.RestoreRecyclingJobs, &model.RestoreRecyclingJobsRequest{Body: ids(job)}, 404, "DEVCB.00031006", "does not exist in the recycle bin")
	ok(t, c.ClearRecyclingJobs, &model.ClearRecyclingJobsRequest{})
	if got := inBin(t, s, s.Developer); got != "" {
		t.Errorf("the empty bin has %q", got)
	}
}

// awaitNoLogs waits until nothing is left of the logs of builds.
func awaitNoLogs(t *testing.T, s *servertest.Server, records ...string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	patience := time.After(time.Minute)
	for _, id := range records {
		for {
			files, err := filepath.Glob(filepath.Join(s.Config.DataDir, "logs", "*", id+"*"))
			if err != nil {
				t.Fatal(err)
			}
			if len(files) == 0 {
				break
			}
			select {
			case <-tick.C:
			case <-patience:
				t.Fatalf("there are still %v", files)
			}
		}
	}
}

func TestRecycleBinPages(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	for i := range 5 {
		ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: create(t, c, shell(s, fmt.Sprint("t", i), "true"))})
	}
	var seen []string
	for page, want := range map[int32]int{0: 2, 1: 2, 2: 2, 3: 1, 4: 0} {
		result := ok(t, c.ListRecyclingJob, &model.ListRecyclingJobRequest{PageNo: &page, PageSize: new(int32(2))}).Result
		if len(*result.JobList) != want || *result.Total != 5 {
			t.Errorf("page %d has %d of %d", page, len(*result.JobList), *result.Total)
		}
		for _, job := range *result.JobList {
			if page > 0 { // page 0 is page 1
				seen = append(seen, *job.JobName)
			}
		}
	}
	slices.Sort(seen)
	if got := strings.Join(seen, " "); got != "t0 t1 t2 t3 t4" {
		t.Errorf("the pages have %q", got)
	}
}

func TestWhoMayDoWhatWithTheBin(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	viewer, outsider := s.NewUser("viewer"), s.NewUser("outsider")
	s.Grant(s.Project, viewer, iam.Viewer)
	s.Grant(s.OtherProject, outsider, iam.ProjectAdministrator)
	job := create(t, c, shell(s, "app", "true"))
	ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: job})
	if mine, theirs := inBin(t, s, viewer), inBin(t, s, outsider); mine != "app" || theirs != "" {
		t.Errorf("a viewer sees %q, an outsider %q", mine, theirs)
	}
	v, o := s.Client(viewer), s.Client(outsider)
	const forbidden, missing = "DEVCB.00031001", "DEVCB.00031006"
	refused(t, v.RestoreRecyclingJobs, &model.RestoreRecyclingJobsRequest{Body: ids(job)}, 403, forbidden, "do not let you delete this task")
	refused(t, v.DeleteRecyclingJobs, &model.DeleteRecyclingJobsRequest{Body: ids(job)}, 403, forbidden, "do not let you delete this task")
	refused(t, o.RestoreRecyclingJobs, &model.RestoreRecyclingJobsRequest{Body: ids(job)}, 404, missing, "does not exist in the recycle bin")
	refused(t, o.DeleteRecyclingJobs, &model.DeleteRecyclingJobsRequest{Body: ids(job)}, 404, missing, "does not exist in the recycle bin")
	ok(t, v.ClearRecyclingJobs, &model.ClearRecyclingJobsRequest{})
	ok(t, o.ClearRecyclingJobs, &model.ClearRecyclingJobsRequest{})
	if got := inBin(t, s, s.Developer); got != "app" {
		t.Errorf("after others have cleared theirs, the bin has %q", got)
	}
	days := func(n int32) *model.SetKeepTimeRequest {
		return &model.SetKeepTimeRequest{Body: &model.SetKeepTimeRequestBody{KeepTime: n}}
	}
	refused(t, c.SetKeepTime, days(3), 403, forbidden, "only an administrator of the tenant")
	for _, n := range []int32{1, 30} {
		if got := ok(t, s.Client(s.Admin).SetKeepTime, days(n)).Result; *got.KeepTime != n {
			t.Errorf("answered %d", *got.KeepTime)
		}
	}
	if got := ok(t, c.ListRecyclingJob, &model.ListRecyclingJobRequest{}).Result; *got.KeepTime != 30 {
		t.Errorf("the bin keeps for %d days", *got.KeepTime)
	}
	for _, n := range []int32{0, -1, 31} {
		refused(t, s.Client(s.Admin).SetKeepTime, days(n), 400, "CB.00060200", "keep_time: must be a whole number from 1 to 30 days", fmt.Sprint("found ", n))
	}
}

// badBins are wrong requests about the recycle bin.
func badBins(a app) []badRequest {
	const list = "/v1/job/recycling-jobs"
	return slices.Concat(
		badJobLists("POST", "/v1/job/recycling-restoration", a), badJobLists("DELETE", "/v1/job/recycling-deletion", a),
		[]badRequest{
			invalid("page", "GET", list+"?page_no=-1", "", "page_no: must be a whole number from 0 to 999999999", `found "-1"`),
			invalid("size", "GET", list+"?page_size=101", "", "page_size: must be a whole number from 0 to 100", `found "101"`),
			invalid("search", "GET", list+"?search=%00", "", "search: must be UTF-8 text"),
			invalid("no days", "POST", "/v1/job/keep-time", `{}`, "keep_time: is missing"),
			invalid("days in words", "POST", "/v1/job/keep-time", `{"keep_time":"a week"}`, "keep_time: must be a number"),
			{"a task that is not deleted", "POST", "/v1/job/recycling-restoration", `{"job_ids":["` + a.job + `"]}`, 404, "DEVCB.00031006", []string{a.job, "does not exist in the recycle bin"}},
		},
	)
}
