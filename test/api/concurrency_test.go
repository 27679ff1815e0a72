package api_test

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

const clients = 8

// together runs f as many clients at once.
func together(f func(client int)) {
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

// TestTogether lets many clients work at once.
func TestTogether(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	t.Run("numbers", func(t *testing.T) { testNumbers(t, s) })
	t.Run("races", func(t *testing.T) { testRaces(t, s) })
}

// testNumbers starts builds of one task from many clients at once: the numbers are 1, 2, 3 … and every build runs.
func testNumbers(t *testing.T, s *servertest.Server) {
	job := create(t, s.Client(s.Developer), shell(s, "busy", `echo "build $INCREASENUM"`))
	const each = 4
	var mu sync.Mutex
	var numbers []int
	executions := make(map[string]bool)
	together(func(client int) {
		c := s.Client(s.Developer)
		for range each {
			var started model.RunJobResponse
			body := &model.RunJobRequestBody{JobId: job}
			if client%2 == 0 {
				r, err := c.RunJob(&model.RunJobRequest{Body: body})
				if err != nil {
					t.Error(err)
					return
				}
				started = *r
			} else {
				r, err := c.ExecuteJob(&model.ExecuteJobRequest{Body: body})
				if err != nil {
					t.Error(err)
					return
				}
				started = model.RunJobResponse(*r)
			}
			n, _ := strconv.Atoi(*started.ActualBuildNumber)
			mu.Lock()
			numbers, executions[*started.OctopusJobName] = append(numbers, n), true
			mu.Unlock()
		}
	})
	slices.Sort(numbers)
	var want []int
	for n := 1; n <= clients*each; n++ {
		want = append(want, n)
	}
	if diff := cmp.Diff(want, numbers); diff != "" || len(executions) != len(want) {
		t.Fatalf("%d runs, numbers -want +got:\n%s", len(executions), diff)
	}
	c := s.Client(s.Developer)
	for _, n := range numbers {
		r := await(t, c, job, n)
		if log := logOf(t, c, job, n); *r.Status != "SUCCESS" || !containsLine(log, "build "+strconv.Itoa(n)) {
			t.Errorf("build %d is %s: %s", n, *r.Status, log)
		}
	}
}

// testRaces lets many clients do what only one of them can, or what is the same for all.
func testRaces(t *testing.T, s *servertest.Server) {
	c := s.Client(s.Developer)
	codes := func(f func() error) map[string]int {
		var mu sync.Mutex
		out := make(map[string]int)
		together(func(int) {
			code := "ok"
			if err := f(); err != nil {
				code = err.Error()
				if e := (*sdkerr.ServiceResponseError)(nil); errors.As(err, &e) {
					code = e.ErrorCode
				}
			}
			mu.Lock()
			defer mu.Unlock()
			out[code]++
		})
		return out
	}
	made := codes(func() error {
		_, err := s.Client(s.Developer).CreateNewJob(&model.CreateNewJobRequest{Body: shell(s, "wanted", "sleep 600")})
		return err
	})
	if diff := cmp.Diff(map[string]int{"ok": 1, "CB.00039001": clients - 1}, made); diff != "" {
		t.Errorf("one name, -want +got:\n%s", diff)
	}
	job := *(*ok(t, c.ListProjectJobs, &model.ListProjectJobsRequest{ProjectId: s.Project, Search: new("wanted")}).Jobs)[0].Id
	run(t, c, &model.RunJobRequestBody{JobId: job})
	awaitStatus(t, c, job, 1, "RUNNING")
	stopped := codes(func() error {
		_, err := s.Client(s.Developer).StopBuildJob(&model.StopBuildJobRequest{JobId: job, BuildNo: 1})
		return err
	})
	if stopped["ok"] == 0 || stopped["ok"]+stopped["DEV.CB.032302"] != clients {
		t.Errorf("one build stopped: %v", stopped)
	}
	if r := await(t, c, job, 1); *r.Status != "ABORTED" {
		t.Errorf("the build is %s", *r.Status)
	}
	deleted := codes(func() error {
		_, err := s.Client(s.Developer).DeleteTheJob(&model.DeleteTheJobRequest{JobId: job})
		return err
	})
	if diff := cmp.Diff(map[string]int{"ok": 1, "DEVCB.00031006": clients - 1}, deleted); diff != "" {
		t.Errorf("one task deleted, -want +got:\n%s", diff)
	}
}

// TestRestart checks that everything is there after the server was stopped and started again, and that it goes on from there.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, oneSlot)
	c := s.Client(s.Developer)
	a := newApp(t, s, "app")
	run(t, c, &model.RunJobRequestBody{JobId: a.job})
	await(t, c, a.job, 1)
	token := tokenOf(t, s, s.Developer)
	show := func() map[string]string {
		out := make(map[string]string)
		record := *await(t, s.Client(s.Developer), a.job, 1).BuildRecordId
		for _, path := range []string{
			"/v3/jobs/" + a.job + "/1/record-info", "/v1/record/" + record + "/info", "/v4/" + record + "/download-log", "/v1/job/" + a.job + "/config",
			"/v3/jobs/" + a.job + "/1/history-details", "/v1/job/" + a.job + "/check/disable",
		} {
			out[path] = withToken(s, token, "", http.MethodGet, path, "").Body
		}
		return out
	}
	before := show()
	slow := create(t, c, shell(s, "slow", "echo begun; sleep 600"))
	run(t, c, &model.RunJobRequestBody{JobId: slow})
	awaitStatus(t, c, slow, 1, "RUNNING")
	awaitThat(t, c, slow, 1, func(model.RecordInfoResult) bool { return containsLine(logOf(t, c, slow, 1), "begun") })
	run(t, c, &model.RunJobRequestBody{JobId: a.job}) // waits for the slot

	s.Restart()
	c = s.Client(s.Developer)
	if diff := cmp.Diff(before, show()); diff != "" {
		t.Errorf("after the restart, -before +after:\n%s", diff)
	}
	if r := await(t, c, slow, 1); *r.Status != "FAILURE" || r.ErrMsg == nil || *r.ErrMsg != "The server was shut down while the build was running. Start the build again." {
		t.Errorf("the build that ran: %v", r)
	}
	if log := logOf(t, c, slow, 1); !containsLine(log, "begun") {
		t.Errorf("its log: %s", log)
	}
	if r := await(t, c, a.job, 2); *r.Status != "SUCCESS" {
		t.Errorf("the build that waited: %v", r)
	}
	if n := run(t, c, &model.RunJobRequestBody{JobId: a.job}); n != 3 {
		t.Errorf("the next build has the number %d", n)
	}
	await(t, c, a.job, 3)
}
