package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// pages reads page after page until one is empty, as clients do. A server that never sends an empty one fails the test.
func pages[T any](t *testing.T, page func(index int) []T) (sizes []int, all []T) {
	t.Helper()
	for index := range 50 {
		got := page(index)
		sizes, all = append(sizes, len(got)), append(all, got...)
		if len(got) == 0 {
			return sizes, all
		}
	}
	t.Fatal("the pages do not end")
	return nil, nil
}

func TestPagesOfTasks(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	var names []string
	for i := range 23 {
		names = append(names, fmt.Sprintf("task-%02d", i))
		create(t, c, shell(s, names[i], "true"))
	}
	nameOfJob := func(j model.Job) string { return *j.JobName }
	byName, ascending := "job_name", "ASC"
	for size, want := range map[int32][]int{0: {10, 10, 3, 0}, 1: append(ones(23), 0), 10: {10, 10, 3, 0}, 22: {22, 1, 0}, 23: {23, 0}, 24: {23, 0}, 100: {23, 0}} {
		sizes, jobs := pages(t, func(index int) []model.Job {
			page := ok(t, c.ListProjectJobs, &model.ListProjectJobsRequest{ProjectId: s.Project, PageIndex: int32(index), PageSize: size, SortField: &byName, SortOrder: &ascending})
			if *page.Total != 23 {
				t.Errorf("the total is %d", *page.Total)
			}
			return *page.Jobs
		})
		if diff := cmp.Diff(want, sizes) + cmp.Diff(names, mapped(jobs, nameOfJob)); diff != "" {
			t.Errorf("size %d, -want +got:\n%s", size, diff)
		}
		// Without an order asked for it is still one and the same, so no task is shown twice or left out.
		sizes, jobs = pages(t, func(index int) []model.Job {
			return *ok(t, c.ShowJobListByProjectId, &model.ShowJobListByProjectIdRequest{ProjectId: s.Project, PageIndex: int32(index), PageSize: size}).Jobs
		})
		seen := make(map[string]bool)
		for _, j := range jobs {
			seen[*j.JobName] = true
		}
		if diff := cmp.Diff(want, sizes); diff != "" || len(seen) != 23 {
			t.Errorf("size %d: %d different tasks, -want +got:\n%s", size, len(seen), diff)
		}
	}
	sizes, all := pages(t, func(index int) []model.ListJobResultJobList {
		return *ok(t, c.ListJob, &model.ListJobRequest{PageIndex: new(int32(index)), PageSize: new(int32(8)), SortField: &byName, SortOrder: new("desc")}).Result.JobList
	})
	if diff := cmp.Diff([]int{8, 8, 7, 0}, sizes); diff != "" || *all[0].JobName != "task-22" || *all[22].JobName != "task-00" {
		t.Errorf("all projects, -want +got:\n%s", diff)
	}
	if a := s.Call(s.Developer, http.MethodGet, "/v1/job/"+s.Project+"/list?page_index=999999999&page_size=100", ""); a.Status != 200 {
		t.Errorf("a page far behind the end: %d %s", a.Status, a.Body)
	}
}

func ones(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

func mapped[A, B any](in []A, f func(A) B) []B {
	var out []B
	for _, a := range in {
		out = append(out, f(a))
	}
	return out
}

func TestPagesOfBuilds(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, oneSlot)
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "often", "true"))
	// One runs and the others wait, so that nothing changes while the pages are read.
	blocker := create(t, c, shell(s, "blocker", "sleep 600"))
	run(t, c, &model.RunJobRequestBody{JobId: blocker})
	awaitStatus(t, c, blocker, 1, "RUNNING")
	var want []int
	for number := 1; number <= 12; number++ {
		run(t, c, &model.RunJobRequestBody{JobId: job})
		want = append([]int{number}, want...)
	}
	project := *ok(t, c.ShowRecordInfo, &model.ShowRecordInfoRequest{JobId: job, BuildNo: 1}).Result.BuildProjectId
	for limit, wantSizes := range map[int32][]int{1: append(ones(12), 0), 5: {5, 5, 2, 0}, 6: {6, 6, 0}, 12: {12, 0}, 100: {12, 0}} {
		sizes, records := pages(t, func(index int) []model.BuildRecord {
			page := ok(t, c.ListRecords, &model.ListRecordsRequest{BuildProjectId: project, Page: new(int32(index)), Limit: &limit}).Result
			if p := page.Pagination; *p.Total != 12 || *p.Limit != limit || int(*p.Page) != index {
				t.Errorf("page %d of %d: %v", index, limit, p)
			}
			return *page.Data
		})
		numbers := mapped(records, func(r model.BuildRecord) int { n, _ := strconv.Atoi(*r.BuildNo); return n })
		if diff := cmp.Diff(wantSizes, sizes) + cmp.Diff(want, numbers); diff != "" {
			t.Errorf("limit %d, -want +got:\n%s", limit, diff)
		}
		// The offset of the history is the number of a page too.
		sizes, history := pages(t, func(index int) []model.HistoryRecord {
			page := ok(t, c.ShowListHistory, &model.ShowListHistoryRequest{JobId: job, Offset: int32(index), Limit: limit, Interval: 30})
			if *page.Total != 12 {
				t.Errorf("the history's total is %d", *page.Total)
			}
			return *page.HistoryRecords
		})
		numbers = mapped(history, func(r model.HistoryRecord) int { return int(*r.BuildNumber) })
		if diff := cmp.Diff(wantSizes, sizes) + cmp.Diff(want, numbers); diff != "" {
			t.Errorf("history by %d, -want +got:\n%s", limit, diff)
		}
		for _, r := range history {
			if r.StartTime != nil || r.EndTime != nil || r.Result != nil {
				t.Errorf("a build that waits has a history: %v", r)
			}
		}
	}
	for path, want := range map[string]string{
		"/v1/record/" + project + "/records?limit=0": `"pagination":{"limit":10,"page":0,"total":12}`,
		"/v1/record/" + project + "/records":         `"pagination":{"limit":10,"page":0,"total":12}`,
		"/v1/record/" + project + "/records?page=9":  `"data":[],"pagination":{"limit":10,"page":9,"total":12}`,
		"/v3/jobs/" + job + "/history?offset=2":      `{"history_records":[],"total":12}`,
	} {
		if a := s.Call(s.Developer, http.MethodGet, path, ""); a.Status != 200 || !strings.Contains(a.Body, want) {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}

// TestPagesWhileBuildsArrive starts a build before each page is read: no build that was there before is missed, in any list.
func TestPagesWhileBuildsArrive(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, oneSlot)
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "often", "true"))
	blocker := create(t, c, shell(s, "blocker", "sleep 600"))
	run(t, c, &model.RunJobRequestBody{JobId: blocker})
	awaitStatus(t, c, blocker, 1, "RUNNING")
	const before = 12
	last := 0
	start := func() { last = run(t, c, &model.RunJobRequestBody{JobId: job}) }
	for range before {
		start()
	}
	project := *ok(t, c.ShowRecordInfo, &model.ShowRecordInfoRequest{JobId: job, BuildNo: 1}).Result.BuildProjectId
	const limit = int32(3)
	for name, page := range map[string]func(index int) []int{
		"records": func(index int) []int {
			data := *ok(t, c.ListRecords, &model.ListRecordsRequest{BuildProjectId: project, Page: new(int32(index)), Limit: new(limit)}).Result.Data
			return mapped(data, func(r model.BuildRecord) int { n, _ := strconv.Atoi(*r.BuildNo); return n })
		},
		"history": func(index int) []int {
			data := *ok(t, c.ShowListHistory, &model.ShowListHistoryRequest{JobId: job, Offset: int32(index), Limit: limit, Interval: 30}).HistoryRecords
			return mapped(data, func(r model.HistoryRecord) int { return int(*r.BuildNumber) })
		},
	} {
		seen, known := map[int]bool{}, last
		for index := 0; ; index++ {
			numbers := page(index)
			if !slices.IsSortedFunc(numbers, func(a, b int) int { return b - a }) {
				t.Errorf("%s: page %d is %v", name, index, numbers)
			}
			for _, n := range numbers {
				seen[n] = true
			}
			if len(numbers) < int(limit) {
				break
			}
			start()
		}
		for n := 1; n <= known; n++ {
			if !seen[n] {
				t.Errorf("%s: build %d is on no page", name, n)
			}
		}
	}
}
