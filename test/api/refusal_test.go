package api_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/build"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// TestTaken gives things names that others have.
func TestTaken(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	first, second := create(t, c, shell(s, "first", "true")), create(t, c, shell(s, "second", "true"))
	post := func(path, body string) servertest.Answer { return s.Call(s.Developer, "POST", path, body) }
	taken := strings.Replace(taskWith(s, `"url": "https://git.example.org/a"`), `"new"`, `"first"`, 1)
	renamed := strings.Replace(taken, "{", `{"job_id": "`+second+`", `, 1)
	for _, path := range []string{"/v3/jobs/create", "/v1/job/create"} {
		checkProblem(t, s, post(path, taken), 400, "CB.00039001", `another task of the project is called "first"`)
	}
	for _, path := range []string{"/v3/jobs/update", "/v1/job/update"} {
		checkProblem(t, s, post(path, renamed), 400, "CB.00039001", `another task of the project is called "first"`)
	}
	checkProblem(t, s, post("/v1/job/copy", strings.Replace(taken, "{", `{"copy_job_id": "`+first+`", `, 1)), 400, "CB.00039001", `another task of the project is called "first"`)

	const template = `{"name": "steps", "template": {"steps": [{"module_id": "sh", "name": "Run", "properties": {"command": "true"}}]}}`
	for _, path := range []string{"/v1/template/create", "/v3/templates/create"} {
		if a := post(path, strings.Replace(template, "steps", path[:3], 1)); a.Status != 200 {
			t.Fatal(a.Body)
		}
		checkProblem(t, s, post(path, strings.Replace(template, "steps", path[:3], 1)), 400, "CB.00039001", "another template is called")
	}
	const nothing = "00000000000000000000000000000000"
	for _, r := range []struct{ method, path string }{
		{"DELETE", "/v3/templates/" + nothing + "/delete"},
		{"DELETE", "/v1/template/" + nothing + "/delete"},
		{"GET", "/v1/template/" + nothing + "/custom"},
		{"POST", "/v1/template/custom/" + nothing + "/unfollow"},
		{"POST", "/v1/template/official/" + nothing + "/unfollow"},
	} {
		checkProblem(t, s, s.Call(s.Developer, r.method, r.path, ""), 404, "DEV.CB.0520002", "does not exist")
	}

	groups := "/v1/job/" + s.Project + "/group/"
	one, two := makeGroup(t, s, "one"), makeGroup(t, s, "two")
	checkProblem(t, s, s.Call(s.Developer, "PUT", groups+"update", fmt.Sprintf(`{"id": %q, "name": "one"}`, two)), 400, "CB.00039001", "one")
	checkProblem(t, s, post(groups+"create", `{"name": "two"}`), 400, "CB.00039001", "two")
	if one == two {
		t.Error("two groups are one")
	}

	uploadFile(t, s, s.Developer, "a.xml", "<a/>")
	id := uploadFile(t, s, s.Developer, "b.xml", "<b/>")
	update := func(name string) servertest.Answer {
		return post("/v2/keystore/update/"+id, fmt.Sprintf(`{"id": %q, "keystore_name": %q, "description": "", "share": 0}`, id, name))
	}
	checkProblem(t, s, update("a.xml"), 400, "CB.00039001", "a.xml")
	checkProblem(t, s, update("b.exe"), 400, "CB.00060203", "keystore_name")
	long := strings.Repeat("x", 501)
	checkProblem(t, s, s.Call(s.Developer, "GET", "/v3/keystore?file_name="+long+"&domain_id="+s.DomainID, ""), 400, "CB.00060203", "file_name")
	checkProblem(t, s, s.Call(s.Developer, "GET", "/v2/keystore/download?id="+id+"&name="+long+"&domain_id="+s.DomainID, ""), 400, "CB.00060203", "name")
}

func makeGroup(t *testing.T, s *servertest.Server, name string) string {
	t.Helper()
	answer := ok(t, s.Client(s.Developer).CreateJobGroup, &model.CreateJobGroupRequest{ProjectId: s.Project, Body: &model.JobGroupRequestBody{Name: &name}})
	return *(*answer.Result)[0].Id
}

// TestChinese asks for errors in Chinese, and for those that the document has but no words.
func TestChinese(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	for language, want := range map[string]string{"zh-cn": "任务ID错误。job_id: must be 32", "en-us": "Invalid parameter. job_id: must be 32", "": "Invalid parameter. job_id: must be 32"} {
		r := s.Request("GET", "/v3/jobs/x/status", "")
		r.Header.Set("X-Language", language)
		checkProblem(t, s, s.Send(signed(s, r)), 400, "CB.00060201", want)
	}
}

// TestFull makes more than there may be.
func TestFull(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(c *server.Config) { c.MaxTasks, c.MaxTemplates, c.MaxFiles = 2, 1, 1 })
	c := s.Client(s.Developer)
	first, second := create(t, c, shell(s, "first", "true")), create(t, c, shell(s, "second", "true"))
	post := func(path, body string) servertest.Answer { return s.Call(s.Developer, "POST", path, body) }
	task := taskWith(s, `"url": "https://git.example.org/a"`)
	const full = "the tenant has 2 tasks, no more than 2 are allowed"
	for _, path := range []string{"/v3/jobs/create", "/v1/job/create"} {
		checkProblem(t, s, post(path, task), 400, "CB.00039003", full)
	}
	checkProblem(t, s, post("/v1/job/copy", strings.Replace(task, "{", `{"copy_job_id": "`+first+`", `, 1)), 400, "CB.00039003", full)
	ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: second})
	create(t, c, shell(s, "third", "true"))
	checkProblem(t, s, post("/v1/job/recycling-restoration", `{"job_ids":["`+second+`"]}`), 400, "CB.00039003", full)

	const template = `{"name": "steps", "template": {"steps": [{"module_id": "sh", "name": "Run", "properties": {"command": "true"}}]}}`
	if a := post("/v1/template/create", template); a.Status != 200 {
		t.Fatal(a.Body)
	}
	for _, path := range []string{"/v1/template/create", "/v3/templates/create"} {
		checkProblem(t, s, post(path, strings.Replace(template, "steps", "more", 1)), 400, "CB.00039003", "the tenant has 1 templates")
	}

	uploadFile(t, s, s.Developer, "a.xml", "<a/>")
	file, err := os.CreateTemp(t.TempDir(), "*.xml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, _ = file.WriteString("<b/>")
	_, _ = file.Seek(0, io.SeekStart)
	refused(t, c.UploadKeystore, &model.UploadKeystoreRequest{Body: &model.UploadKeystoreRequestBody{
		File: def.NewFilePart(file), Privacy: def.NewMultiPart("true"), Description: def.NewMultiPart(""),
	}}, 400, "CB.00060213", "the tenant has 1 files")

	for i := range build.MaxGroups {
		makeGroup(t, s, fmt.Sprint("group", i))
	}
	checkProblem(t, s, post("/v1/job/"+s.Project+"/group/create", `{"name": "one-more"}`), 400, "CB.00039003", "the project has 1000 groups")
}

// TestPeriods asks about longer times than allowed, and for another run of a disabled task.
func TestPeriods(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "task", "true"))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	await(t, c, job, 1)
	const days, moments = "?limit=10&offset=0&start_time=2024-01-01&end_time=2024-06-01", "?start_time=2024-01-01+00:00:00&end_time=2024-06-01+00:00:00"
	for _, path := range []string{
		"/v3/jobs/" + job + "/build-info-records" + moments, "/v1/record/" + job + "/list" + moments, "/v3/jobs/" + job + "/period-history" + days, "/v3/jobs/" + job + "/success-ratio" + days,
	} {
		checkProblem(t, s, s.Call(s.Developer, "GET", path, ""), 400, "CB.00031105", "at most")
	}
	ok(t, c.DisableTheJob, &model.DisableTheJobRequest{JobId: job, Body: &model.DisableTheJobRequestBody{Disabled: true}})
	checkProblem(t, s, s.Call(s.Developer, "POST", "/v3/jobs/"+job+"/1/rerun", ""), 400, "CB.00039002", "disabled")
}

// TestMovedLimits has the operator say how large things may be.
func TestMovedLimits(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(c *server.Config) { c.MaxSteps, c.MaxValue, c.MaxFileSize = 2, 5, 10 })
	c := s.Client(s.Developer)
	task := shell(s, "demo", "true")
	task.Steps = append(task.Steps, task.Steps[0])
	task.Parameters = &[]model.CreateBuildJobParameter{parameter("A", "12345", "staticVar", "true")}
	job := create(t, c, task)
	task.JobName, task.Steps = "larger", append(task.Steps, task.Steps[0])
	task.Parameters = &[]model.CreateBuildJobParameter{parameter("A", "123456")}
	refused(t, c.CreateNewJob, &model.CreateNewJobRequest{Body: task}, 400, "CB.00060200", "steps: has 3 entries, at most 2 are allowed", "defaultValue: has 6 characters, at most 5 are allowed")
	refused(t, c.RunJob, &model.RunJobRequest{Body: &model.RunJobRequestBody{JobId: job, Parameter: &[]model.ParameterItem{{Name: "A", Value: "123456"}}}},
		400, "CB.00060200", "parameter[0].value: has 6 characters, at most 5 are allowed")
	if rules := s.Call(s.Developer, "GET", "/v1/job/build-params", "").Body; !strings.Contains(rules, `{"type":"maxLen","value":"5",`) {
		t.Errorf("editors are told %s", rules)
	}
	uploadFile(t, s, s.Developer, "a.pem", "0123456789")
	large := filepath.Join(t.TempDir(), "b.pem")
	if err := os.WriteFile(large, []byte("01234567890"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(large)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	refused(t, c.UploadKeystore, &model.UploadKeystoreRequest{Body: &model.UploadKeystoreRequestBody{File: def.NewFilePart(file), Privacy: def.NewMultiPart("true")}},
		400, "CB.00060200", "file: must have 1 to 10 bytes, found 11")
	repo := s.NewRepository("app")
	step := "    - sh: {inputs: {command: 'true'}}\n"
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n"+step+step+step)
	repo.Commit("init")
	built := create(t, c, fromFile(s, "yaml", repo.URL()))
	run(t, c, &model.RunJobRequestBody{JobId: built})
	if info := await(t, c, built, 1); !strings.Contains(*info.ErrMsg, "has 3 steps, at most 2 are allowed") {
		t.Errorf("the build ended with %q", *info.ErrMsg)
	}
}
