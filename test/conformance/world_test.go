package conformance_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/build"
	"atelier/internal/endpoint"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// world is a server with something of every kind in it: builds with reports, outputs and stages, a flow, files, templates, groups.
type world struct {
	t   *testing.T
	s   *servertest.Server
	sdk *codeartsbuild.CodeArtsBuildClient
	n   int // of things that were made for one request

	full                                          string // a task that says everything, and is never built
	repo, job, flowJob                            string
	record, flowRecord, buildProject              string
	domain, root, image, file, template, official string
	groups                                        [2]string
}

const buildFile = `version: 2.0
params:
  - name: channel
    value: beta
steps:
  BUILD:
    - sh:
        name: Test
        inputs:
          command: |
            echo '<testsuite name="s" tests="1" time="0.1"><testcase name="c" time="0.1"/></testsuite>' > TEST-s.xml
            printf 'mode: set\nexample.org/a/a.go:1.1,2.2 1 1\n' > cover.out
            echo jar > app.jar
          unit_test: {report_path: "TEST-*.xml", coverage: true, coverage_report_path: cover.out}
    - upload_artifact: {inputs: {path: app.jar, version: "1.0"}}
`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, s: servertest.Start(t, func(c *server.Config) {
		c.Slots, c.NoticeNetworks = 20, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})}
	w.sdk = w.s.Client(w.s.Admin)
	repo := w.s.NewRepository("app")
	repo.Write(".cloudbuild/build.yml", buildFile)
	repo.Write("go.mod", "module app\n")
	repo.Commit("init")
	w.repo = repo.URL()
	flow := w.s.NewRepository("flow")
	flow.Write(".cloudbuild/build.yml", "version: 2.0\nbuildflow:\n  jobs:\n    - {job: A, build_ref: a.yml}\n    - {job: B, build_ref: a.yml, depends_on: A}\n")
	flow.Write("a.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: echo a}}\n")
	flow.Commit("init")

	w.job, w.flowJob = w.makeTask("main", w.repo), w.makeTask("flow", flow.URL())
	w.groups = [2]string{w.makeGroup(""), w.makeGroup("")}
	child := w.makeGroup(w.groups[0])
	w.must(w.sdk.UpdateJobGroup(&model.UpdateJobGroupRequest{ProjectId: w.s.Project, Body: &model.JobGroupRequestBody{Id: &child, Name: new(w.name("group"))}}))
	info := w.run(w.job)
	w.record, w.buildProject, w.domain = *info.BuildRecordId, *info.BuildProjectId, *info.DomainId
	w.flowRecord = *w.run(w.flowJob).BuildRecordId
	w.must(w.sdk.UpdateNewJob(&model.UpdateNewJobRequest{Body: &model.UpdateBuildJobRequestBody{ // so that there is something to compare
		JobId: w.job, ProjectId: w.s.Project, JobName: "main", Arch: servertest.Arch, BuildConfigType: new("YAML"), Flavor: new("4u8g"), Steps: []model.UpdateBuildJobSteps{},
		Scms: &[]model.UpdateBuildJobScm{{Url: w.repo, ScmType: "default", Branch: new("main")}},
	}}))
	w.must(w.sdk.UpdateNewNoticeNew(&model.UpdateNewNoticeNewRequest{JobId: w.job, Body: &model.UpdateNoticeRequestBody{
		NoticeType: "MAIL", EnabledEventTypeNames: []string{}, ParamConfig: new(`{"eventTypeNamesReceivers":{"buildJobFail":["team@example.org"]}}`),
	}}))
	coverage := must(w, w.sdk.ListJunitCoverageSummary)(&model.ListJunitCoverageSummaryRequest{JobId: w.job, BuildNo: 1})
	w.root = *(*coverage.Result.UnitSummaryList)[0].RootId
	w.image = *(*must(w, w.sdk.ShowImageTemplateList)(&model.ShowImageTemplateListRequest{}).Result.ImageTemplates)[0].ImageId
	w.official = *(*must(w, w.sdk.ListOfficialTemplate)(&model.ListOfficialTemplateRequest{}).Result.Items)[0].Uuid
	w.file, w.template = w.makeFile("release.jks"), w.makeTemplate()
	_, err := w.s.Endpoints().Add(t.Context(), endpoint.Endpoint{
		ProjectID: build.ProjectID(w.s.Project), Name: "maven", Kind: endpoint.Nexus, URL: "https://maven.example.org", User: "robot", Password: "hunter22",
		Region: servertest.Region, CreatorID: w.s.Admin.ID, CreatorName: w.s.Admin.Name,
	})
	if err != nil {
		t.Fatal(err)
	}
	full := &model.CreateBuildJobRequestBody{}
	if err := json.Unmarshal([]byte(w.fill(bodies["CreateNewJob"], "")), full); err != nil {
		t.Fatal(err)
	}
	w.full = *must(w, w.sdk.CreateNewJob)(&model.CreateNewJobRequest{Body: full}).Result.JobId
	return w
}

// must turns a method of the client into one that cannot fail.
func must[Request, Response any](w *world, call func(Request) (Response, error)) func(Request) Response {
	return func(request Request) Response {
		w.t.Helper()
		response, err := call(request)
		if err != nil {
			w.t.Fatal(err)
		}
		return response
	}
}

func (w *world) must(_ any, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) name(kind string) string {
	w.n++
	return fmt.Sprintf("%s-%d", kind, w.n)
}

// makeTask makes a task: of a build file in a repository, or with one step.
func (w *world) makeTask(name, repo string) string {
	w.t.Helper()
	body := &model.CreateBuildJobRequestBody{Arch: servertest.Arch, ProjectId: w.s.Project, JobName: name, Steps: []model.CreateBuildJobSteps{}}
	if repo != "" {
		body.BuildConfigType, body.Scms = new("YAML"), &[]model.CreateBuildJobScm{{
			Url: repo, ScmType: "codehub", Branch: new("main"), RepoId: new("7"), WebUrl: new("https://git.example.org/codehub/7/home"),
		}}
		body.Parameters = &[]model.CreateBuildJobParameter{{Name: new("hudson.model.StringParameterDefinition"), Params: &[]model.CreateBuildJobParameterParam{
			{Name: new("name"), Value: new("mode")}, {Name: new("defaultValue"), Value: new("fast")},
		}}}
	} else {
		body.Steps = append(body.Steps, model.CreateBuildJobSteps{ModuleId: "sh", Name: "Wait", Properties: map[string]any{"command": "sleep 1000"}})
	}
	return *must(w, w.sdk.CreateNewJob)(&model.CreateNewJobRequest{Body: body}).Result.JobId
}

// run builds a task and waits for the end.
func (w *world) run(job string) model.RecordInfoResult {
	w.t.Helper()
	must(w, w.sdk.RunJob)(&model.RunJobRequest{Body: &model.RunJobRequestBody{JobId: job}})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); ; {
		info := must(w, w.sdk.ShowRecordInfo)(&model.ShowRecordInfoRequest{JobId: job, BuildNo: 1}).Result
		if info.FinishTime != nil && *info.FinishTime != "" {
			if *info.Status != "SUCCESS" {
				w.t.Fatalf("%+v", info)
			}
			return *info
		}
		select {
		case <-tick.C:
		case <-late:
			w.t.Fatalf("it is not over: %+v", info)
		}
	}
}

// freshTask is a task of its own; a running one has a build that goes on, a deleted one is in the recycle bin.
func (w *world) freshTask() string { return w.makeTask(w.name("task"), "") }

func (w *world) runningTask() string {
	job := w.freshTask()
	must(w, w.sdk.RunJob)(&model.RunJobRequest{Body: &model.RunJobRequestBody{JobId: job}})
	return job
}

func (w *world) deletedTask() string {
	job := w.freshTask()
	must(w, w.sdk.DeleteTheJob)(&model.DeleteTheJobRequest{JobId: job})
	return job
}

func (w *world) upload(name string) *model.UploadKeystoreRequest {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), name)
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { file.Close() })
	return &model.UploadKeystoreRequest{Body: &model.UploadKeystoreRequestBody{File: def.NewFilePart(file), Privacy: def.NewMultiPart("true")}}
}

func (w *world) makeFile(name string) string {
	return *must(w, w.sdk.UploadKeystore)(w.upload(name)).Result.KeystoreId
}

func (w *world) makeGrant() string {
	user := w.s.NewUser(w.name("user"))
	return *must(w, w.sdk.AddKeystorePermission)(&model.AddKeystorePermissionRequest{Body: &model.AddKeystorePermissionRequestBody{
		KeystoreId: w.file, UserId: user.ID, UserName: user.Name, Usage: true, CanAbsent: true,
	}}).Result
}

func (w *world) makeTemplate() string {
	return *must(w, w.sdk.CreateTemplate)(&model.CreateTemplateRequest{Body: &model.CreateTemplatesRequestBody{
		Name:     w.name("template"),
		Template: &model.CreateTemplate{Steps: []model.CreateTemplateSteps{{ModuleId: "sh", Name: new("Run"), Version: new("1.0"), Enable: new(true), Properties: map[string]any{"command": "true"}}}},
		ToolType: new("go"),
		Parameters: &[]model.CreateBuildJobParameter{{Name: new("hudson.model.StringParameterDefinition"), Params: &[]model.CreateBuildJobParameterParam{
			{Name: new("name"), Value: new("channel")},
			{Name: new("type"), Value: new("customizeparam")},
			{Name: new("defaultValue"), Value: new("beta"), Limits: &[]model.LimitsParam{{Name: new("beta"), DisplayName: new("Beta"), Disable: new("0")}}},
		}}},
	}}).Result.Uuid
}

func (w *world) makeGroup(parent string) string {
	groups := *must(w, w.sdk.CreateJobGroup)(&model.CreateJobGroupRequest{ProjectId: w.s.Project, Body: &model.JobGroupRequestBody{Name: new(w.name("group")), ParentId: &parent}}).Result
	return *groups[0].Id
}
