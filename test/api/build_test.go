package api_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// buildFile prints what the steps of a build know, among them a secret.
const buildFile = `version: 2.0
steps:
  PRE_BUILD:
    - checkout:
        name: Fetch
  BUILD:
    - sh:
        name: Say
        inputs:
          command: |
            echo "number $BUILDNUMBER of $INCREASENUM, commit $COMMIT_ID, tag <$GIT_TAG>"
            echo "greeting $GREETING, token $TOKEN, encoded $(printf %s "$TOKEN" | base64)"
            cat content.txt
    - sh:
        name: End
        inputs:
          command: exit ${CODE}
`

const secret = "hunter2-hunter2"

// app is a repository with two branches and a tag, and a YAML task that builds it.
type app struct {
	url               string
	first, main, side string // commits: the tag's, and those of the branches
	job               string
}

func newApp(t *testing.T, s *servertest.Server, name string) app {
	t.Helper()
	repo := s.NewRepository(name)
	a := app{url: repo.URL()}
	repo.Write(".cloudbuild/build.yml", buildFile)
	repo.Write("content.txt", "content of the first\n")
	a.first = repo.Commit("init")
	repo.Git("tag", "v1.0")
	repo.Git("checkout", "--quiet", "-b", "side")
	repo.Write("content.txt", "content of the side\n")
	a.side = repo.Commit("beside")
	repo.Git("checkout", "--quiet", "main")
	repo.Write("content.txt", "content of the tip\n")
	a.main = repo.Commit("second\n\nwith a body")

	task := fromFile(s, name, a.url)
	task.Parameters = &[]model.CreateBuildJobParameter{
		parameter("GREETING", "hello", "staticVar", "true"),
		parameter("CODE", "0", "staticVar", "true"),
		parameter("TOKEN", secret, "sensitiveVar", "true"),
	}
	(*task.Scms)[0].RepoId, (*task.Scms)[0].WebUrl = new("568398"), new("https://git.example.org/"+name)
	a.job = create(t, s.Client(s.Developer), task)
	return a
}

// logOf returns the whole log of a build.
func logOf(t *testing.T, c *codeartsbuild.CodeArtsBuildClient, job string, number int) string {
	t.Helper()
	return chunkAt(t, c, job, number, 0, 1_000_000).text
}

// TestBuilds starts and stops builds in all the ways there are.
func TestBuilds(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	t.Run("start", func(t *testing.T) { testStart(t, s) })
	t.Run("execute", func(t *testing.T) { testExecute(t, s) })
	t.Run("stop", func(t *testing.T) { testStop(t, s) })
}

// testStart starts builds by branch, tag and commit, with parameters, and looks at what they built.
func testStart(t *testing.T, s *servertest.Server) {
	c := s.Client(s.Developer)
	a := newApp(t, s, "app")
	for _, test := range []struct {
		name           string
		body           string // behind the job id
		kind, ref, tag string // of the record: build_type, branch, tag
		commit         string
		log            []string
		status         string
	}{
		{"as the task says", ``, "branch", "main", "", a.main, []string{"content of the tip", "greeting hello", "tag <>"}, "SUCCESS"},
		{"nulls", `, "parameter": null, "scm": {"build_tag": null, "build_commit_id": ""}`, "branch", "main", "", a.main, []string{"content of the tip"}, "SUCCESS"},
		{"branch", `, "scm": {"build_type": "branch", "branch": "side", "repo_id": "1", "unknown": []}`, "branch", "side", "", a.side, []string{"content of the side"}, "SUCCESS"},
		{"branch as a parameter", `, "parameter": [{"name": "codeBranch", "value": "side"}]`, "branch", "side", "", a.side, []string{"content of the side"}, "SUCCESS"},
		{"tag", `, "scm": {"build_tag": "v1.0"}`, "tag", "main", "v1.0", a.first, []string{"content of the first", "tag <v1.0>"}, "SUCCESS"},
		{"commit", `, "scm": {"build_commit_id": "` + a.first + `"}`, "commitId", "main", "", a.first, []string{"content of the first", "commit " + a.first}, "SUCCESS"},
		{
			"parameters", `, "parameter": [{"name": "GREETING", "value": "good 'morning'"}, {"name": "CODE", "value": 3}]`,
			"branch", "main", "", a.main,
			[]string{"greeting good 'morning'", "exit code 3"},
			"FAILURE",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			started := s.Call(s.Developer, http.MethodPost, "/v3/jobs/build", `{"job_id": "`+a.job+`"`+test.body+`}`)
			form := regexp.MustCompile(`^\{"octopus_job_name":"j_[A-Za-z0-9]{8}","actual_build_number":"(\d+)","daily_build_number":"\d{8}\.\d+"\}$`)
			parts := form.FindStringSubmatch(started.Body)
			if started.Status != 200 || parts == nil {
				t.Fatalf("started: %d %s", started.Status, started.Body)
			}
			number, _ := strconv.Atoi(parts[1])
			r := await(t, c, a.job, number)
			tag := ""
			if r.Tag != nil {
				tag = *r.Tag
			}
			if *r.Status != test.status || *r.BuildType != test.kind || *r.Branch != test.ref || tag != test.tag || *r.Commit != test.commit {
				t.Errorf("the record is %v", r)
			}
			log := logOf(t, c, a.job, number)
			for _, want := range append(test.log, fmt.Sprintf("number %s of %d", *r.DailyBuildNum, number), "token ***") {
				if !strings.Contains(log, want) {
					t.Errorf("no %q in the log:\n%s", want, log)
				}
			}
			for _, leak := range []string{secret, "aHVudGVyMi1odW50ZXIy", s.Config.DataDir} {
				if strings.Contains(log, leak) {
					t.Errorf("the log shows %q:\n%s", leak, log)
				}
			}
		})
	}
}

// testExecute checks that the newer start operation gives the same answer at the top, where SDKs look, and below result.
func testExecute(t *testing.T, s *servertest.Server) {
	c := s.Client(s.Developer)
	task := shell(s, "demo", "echo from the $KIND")
	task.Parameters = &[]model.CreateBuildJobParameter{parameter("KIND", "task")}
	job := create(t, c, task)

	first := ok(t, c.ExecuteJob, &model.ExecuteJobRequest{Body: &model.RunJobRequestBody{JobId: job}})
	r := await(t, c, job, 1)
	if *first.ActualBuildNumber != "1" || *first.DailyBuildNumber != *r.DailyBuildNum || *first.OctopusJobName != *r.ExecutionId {
		t.Errorf("started %v, recorded %v", first, r)
	}
	if *r.Status != "SUCCESS" || *r.BuildConfigType != "ACTION" || r.Commit != nil || r.RepoName != nil || r.ErrMsg != nil || *r.TriggerType != "MANUAL" {
		t.Errorf("the record is %v", r)
	}
	if log := logOf(t, c, job, 1); !strings.Contains(log, "from the task") {
		t.Errorf("the log is %s", log)
	}
	second := s.Call(s.Developer, http.MethodPost, "/v1/job/execute", fmt.Sprintf(`{"job_id": %q}`, job))
	form := regexp.MustCompile(`^\{("octopus_job_name":"j_\w{8}","actual_build_number":"2","daily_build_number":"\d{8}\.\d+"),"result":\{(.*)\},"error":null,"status":"success"\}$`)
	if parts := form.FindStringSubmatch(second.Body); parts == nil || parts[1] != parts[2] {
		t.Errorf("got %d %s", second.Status, second.Body)
	}
	await(t, c, job, 2)
	refused(t, c.ExecuteJob, &model.ExecuteJobRequest{Body: &model.RunJobRequestBody{}}, 400, "CB.00060201", "job_id", `found ""`)
}

// testStop stops running builds in every way that clients have.
func testStop(t *testing.T, s *servertest.Server) {
	c := s.Client(s.Developer)
	stopTheJob := func(body string) func(*testing.T, string, int) {
		return func(t *testing.T, job string, number int) {
			a := s.Call(s.Developer, http.MethodPost, "/v1/job/"+job+"/stop", strings.ReplaceAll(body, "NUMBER", strconv.Itoa(number)))
			if a.Status != 200 || a.Body != `{"status":"success"}` {
				t.Errorf("got %d %s", a.Status, a.Body)
			}
		}
	}
	for name, stop := range map[string]func(*testing.T, string, int){
		"StopBuildJob": func(t *testing.T, job string, number int) {
			if a := ok(t, c.StopBuildJob, &model.StopBuildJobRequest{JobId: job, BuildNo: int32(number)}); !*a.Success || *a.Result != "" {
				t.Errorf("got %v", a)
			}
		},
		"StopJob": func(t *testing.T, job string, number int) {
			if a := ok(t, c.StopJob, &model.StopJobRequest{Body: &model.StopJobRequestBody{JobId: job, BuildNo: strconv.Itoa(number)}}); !*a.Result {
				t.Errorf("got %v", a)
			}
		},
		"StopTheJob": func(t *testing.T, job string, number int) {
			if a := ok(t, c.StopTheJob, &model.StopTheJobRequest{JobId: job, BuildNo: new(int32(number))}); *a.Status != "success" {
				t.Errorf("got %v", a)
			}
		},
		"StopTheJob with a number": stopTheJob(`{"build_no": NUMBER}`),
		"StopTheJob with a text":   stopTheJob(`{"build_no": "NUMBER"}`),
		"StopTheJob with null":     stopTheJob(`{"build_no": null}`),
		"StopTheJob with nothing":  stopTheJob(``),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := create(t, c, shell(s, strings.ReplaceAll(name, " ", "-"), "echo begun; sleep 600"))
			status := func() bool { return *ok(t, c.ShowJobStatus, &model.ShowJobStatusRequest{JobId: job}).Result }
			if status() {
				t.Error("a task that was never built runs")
			}
			number := run(t, c, &model.RunJobRequestBody{JobId: job})
			if !status() {
				t.Error("a build that was just started does not run")
			}
			awaitStatus(t, c, job, number, "RUNNING")
			stop(t, job, number)
			if r := await(t, c, job, number); *r.Status != "ABORTED" || *r.ErrMsg != "The build was stopped." {
				t.Errorf("after the stop: %v", r)
			}
			if status() {
				t.Error("a build that is over runs")
			}
			const code = "DEV.CB.032302"
			refused(t, c.StopBuildJob, &model.StopBuildJobRequest{JobId: job, BuildNo: int32(number)}, 400, code, "is over")
			refused(t, c.StopJob, &model.StopJobRequest{Body: &model.StopJobRequestBody{JobId: job, BuildNo: strconv.Itoa(number)}}, 400, code, "is over")
			refused(t, c.StopTheJob, &model.StopTheJobRequest{JobId: job, BuildNo: new(int32(number))}, 400, code, "is over")
			refused(t, c.StopTheJob, &model.StopTheJobRequest{JobId: job}, 400, code, "no build of this task is waiting or running")
			refused(t, c.StopBuildJob, &model.StopBuildJobRequest{JobId: job, BuildNo: int32(number) + 1}, 404, "CB.00031006", "has no build 2")
		})
	}
}

// TestStopWaiting stops a build that waits for a slot, and deletes a task whose build runs.
func TestStopWaiting(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, oneSlot)
	c := s.Client(s.Developer)
	running := create(t, c, shell(s, "running", "sleep 600"))
	run(t, c, &model.RunJobRequestBody{JobId: running})
	awaitStatus(t, c, running, 1, "RUNNING")

	waiting := create(t, c, shell(s, "waiting", "true"))
	run(t, c, &model.RunJobRequestBody{JobId: waiting})
	r := *ok(t, c.ShowRecordInfo, &model.ShowRecordInfoRequest{JobId: waiting, BuildNo: 1}).Result
	if *r.Status != "QUEUED" || r.StartTime != nil || r.FinishTime != nil || *r.Duration != 0 {
		t.Errorf("a build that waits: %v", r)
	}
	info := "/v1/record/" + *r.BuildRecordId + "/info"
	if a := s.Call(s.Developer, http.MethodGet, info, ""); a.Status != 200 || !strings.Contains(a.Body, `"wait_reason":"Every slot of the executors is taken, 1 of 1. The build begins when`) {
		t.Errorf("why it waits: %d %s", a.Status, a.Body)
	}
	refused(t, c.ShowHistoryDetails, &model.ShowHistoryDetailsRequest{JobId: waiting, BuildNumber: 1}, 403, "CB.00031059", "build 1 has not begun")
	ok(t, c.StopBuildJob, &model.StopBuildJobRequest{JobId: waiting, BuildNo: 1})
	r = *ok(t, c.ShowRecordInfo, &model.ShowRecordInfoRequest{JobId: waiting, BuildNo: 1}).Result
	if *r.Status != "ABORTED" || r.StartTime != nil || r.FinishTime == nil || *r.ErrMsg != "The build was stopped." {
		t.Errorf("a build that was stopped while it waited: %v", r)
	}
	if a := s.Call(s.Developer, http.MethodGet, info, ""); a.Status != 200 || strings.Contains(a.Body, "wait_reason") {
		t.Errorf("a build that does not wait any more: %d %s", a.Status, a.Body)
	}

	// Its processes end with the deleted task, or the next build would wait for the slot.
	ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: running})
	refused(t, c.ShowRecordInfo, &model.ShowRecordInfoRequest{JobId: running, BuildNo: 1}, 404, "CB.00031006", "task "+running+" does not exist")
	run(t, c, &model.RunJobRequestBody{JobId: waiting})
	if r := await(t, c, waiting, 2); *r.Status != "SUCCESS" {
		t.Errorf("the next build: %v", r)
	}
}
