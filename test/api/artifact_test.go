package api_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/iam/signature"
	"atelier/internal/server/servertest"
)

// upload is a step that uploads files. It takes properties in pairs.
func upload(properties ...string) model.CreateBuildJobSteps {
	step := model.CreateBuildJobSteps{ModuleId: "devcloud2018.codeci_action_20018.action", Name: "Upload", Properties: map[string]any{}}
	for i := 0; i < len(properties); i += 2 {
		step.Properties[properties[i]] = properties[i+1]
	}
	return step
}

// TestArtifacts uploads files in one build, lists and downloads them, uses them in another build, and replaces one.
func TestArtifacts(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	const strange = "größe 1+1=2 %41?#.tar.gz"
	task := shell(s, "library", `mkdir -p a/target; seq 1 5000 > a/target/lib.jar; echo hello > '`+strange+`'`)
	task.Steps = append(task.Steps, upload("file", "**/target/*.?ar"), upload("file", "*.gz", "buildVersion", "latest"), upload("file", "*.gz", "customUploadPath", "/app/1.0"))
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})
	first := await(t, c, job, 1)
	checkStatus(t, first, "SUCCESS")

	output := func(job string, number int) *model.OutPutInfoResult {
		t.Helper()
		return ok(t, c.ShowOutputInfo, &model.ShowOutputInfoRequest{JobId: job, BuildNo: int32(number)}).Result
	}
	daily := *first.DailyBuildNum
	base := "/v1/artifacts/" + s.Project
	strangePath := "/gr%C3%B6%C3%9Fe%201+1=2%20%2541%3F%23.tar.gz"
	info := func(name, version, kind, path string) model.OutPutResult {
		return model.OutPutResult{
			ProjectId: &s.Project, Name: &name, Version: &version, PackageType: &kind, Uri: new(base + path), Type: new("package"), DailyBuildNumber: &daily,
		}
	}
	lib := info("lib.jar", daily, "jar", "/"+daily+"/lib.jar")
	want := &model.OutPutInfoResult{PackageInfo: &lib, PackageInfos: map[string]model.OutPutResult{
		"lib.jar": lib, strange: info(strange, "latest", "gz", "/latest"+strangePath), "app/1.0/" + strange: info(strange, "app/1.0", "gz", "/app/1.0"+strangePath),
	}}
	if diff := cmp.Diff(want, output(job, 1)); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	get := func(path string, headers ...string) servertest.Answer {
		t.Helper()
		r := s.Request(http.MethodGet, path, "")
		signature.Sign(r, nil, s.Developer.Key, time.Now())
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return s.Send(r)
	}
	for _, f := range want.PackageInfos {
		if a := get(*f.Uri); a.Status != 200 || *f.Name == strange && a.Body != "hello\n" {
			t.Errorf("%s: %d %.40q", *f.Uri, a.Status, a.Body)
		}
	}
	checkDownload(t, get, *lib.Uri)

	// A second build, from a build file, takes them from an address on another host.
	repo := s.NewRepository("product")
	repo.Write(".cloudbuild/build.yml", `version: 2.0
steps:
  BUILD:
    - download_artifact: {inputs: {url: "https://artifacts.example.org/${PROJECT_ID}/`+daily+`/lib.jar"}}
    - sh: {inputs: {command: "tail -n 1 lib.jar > product.txt"}}
    - upload_artifact: {inputs: {path: "*.txt", version: latest, name: "`+strange+`"}}
`)
	repo.Commit("product")
	product := create(t, c, fromFile(s, "product", repo.URL()))
	run(t, c, &model.RunJobRequestBody{JobId: product})
	second := await(t, c, product, 1)
	checkStatus(t, second, "SUCCESS")
	log := s.Call(s.Developer, http.MethodGet, "/v4/"+*second.BuildRecordId+"/download-log", "").Body
	if !strings.Contains(log, "Uploaded product.txt: 5 bytes, SHA-256 ") {
		t.Errorf("the log is\n%s", log)
	}
	s.Restart()
	c = s.Client(s.Developer)
	if a := get(base + "/latest" + strangePath); a.Body != "5000\n" {
		t.Errorf("after the second upload: %d %q", a.Status, a.Body)
	}
	if a := get(base + "/app/1.0" + strangePath); a.Body != "hello\n" {
		t.Errorf("of another version: %d %q", a.Status, a.Body)
	}
	if diff := cmp.Diff(want, output(job, 1)); diff != "" {
		t.Errorf("the outputs of the first build have changed:\n%s", diff)
	}
	if got := output(product, 1); len(got.PackageInfos) != 1 || *got.PackageInfo.Version != "latest" {
		t.Errorf("outputs of the second build: %v", got)
	}
}

func checkStatus(t *testing.T, r model.RecordInfoResult, want string) {
	t.Helper()
	if *r.Status != want {
		t.Fatalf("the build is %s: %v", *r.Status, r.ErrMsg)
	}
}

// checkDownload downloads a file, whole and in parts.
func checkDownload(t *testing.T, get func(path string, headers ...string) servertest.Answer, path string) {
	t.Helper()
	whole := get(path)
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(whole.Body)))
	for header, want := range map[string]string{
		"Content-Type": "application/octet-stream", "Content-Length": fmt.Sprint(len(whole.Body)), "ETag": etag, "Accept-Ranges": "bytes",
		"Content-Disposition": "attachment; filename=lib.jar",
	} {
		if got := whole.Header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	if part := get(path, "Range", "bytes=100-199"); part.Status != http.StatusPartialContent || part.Body != whole.Body[100:200] {
		t.Errorf("a part: %d %q", part.Status, part.Body)
	}
	if part := get(path, "Range", "bytes=100-199", "If-Range", `"another"`); part.Status != http.StatusOK || part.Body != whole.Body {
		t.Errorf("a part of another file: %d", part.Status)
	}
	if same := get(path, "If-None-Match", etag); same.Status != http.StatusNotModified || same.Body != "" {
		t.Errorf("not changed: %d", same.Status)
	}
}

func TestNoArtifacts(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "empty", "true"))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	await(t, c, job, 1)
	const nothing = `{"result":{"package_info":null,"package_infos":null,"image_infos":null},"error":null,"status":"success"}`
	if a := s.Call(s.Developer, http.MethodGet, "/v3/jobs/"+job+"/1/output-info", ""); a.Status != 200 || a.Body != nothing {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	refused(t, c.ShowOutputInfo, &model.ShowOutputInfoRequest{JobId: job, BuildNo: 2}, 404, "CB.00031006", "has no build 2")

	guest := s.NewUser("guest")
	s.Grant(s.OtherProject, guest, iam.Developer)
	for path, words := range map[string]string{
		"/v1/artifacts/" + s.Project + "/1.0/app.jar": "has no file 1.0/app.jar",
		"/v1/artifacts/" + s.Project + "/app.jar":     `found "app.jar"`,
		"/v1/artifacts/" + s.Project + "/1.0%2Fx%2Fy": "has no file 1.0/x/y",
		"/v1/artifacts/" + s.Project + "/%FF/x":       "",
		"/v1/artifacts/" + s.Project + "/1.0/x%00":    "",
	} {
		status, code := 404, "DEVCB.00031006"
		if words == "" {
			status, code, words = 400, "CB.00060200", "must be UTF-8 text without zero bytes"
		}
		checkProblem(t, s, s.Call(s.Developer, http.MethodGet, path, ""), status, code, words)
		if status == 404 {
			checkProblem(t, s, s.Call(guest, http.MethodGet, path, ""), 404, code, "project "+s.Project+" does not exist")
		}
	}
	for _, path := range []string{"/v1/artifacts/" + s.Project, "/v1/artifacts/" + s.Project + "/", "/v1/artifacts/" + s.Project + "/1.0/../x"} {
		checkProblem(t, s, s.Call(s.Developer, http.MethodGet, path, ""), 404, "APIGW.0101")
	}
}

// TestDownloadWhileReplaced: a client that downloads has the whole of one upload, while builds make others.
func TestDownloadWhileReplaced(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	task := shell(s, "app", `yes "$INCREASENUM" | head -c 3000000 > app`)
	task.Steps = append(task.Steps, upload("file", "app", "buildVersion", "latest"))
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})
	checkStatus(t, await(t, c, job, 1), "SUCCESS")
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				a := s.Call(s.Developer, http.MethodGet, "/v1/artifacts/"+s.Project+"/latest/app", "")
				if sum := fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(a.Body))); a.Status != 200 || len(a.Body) != 3_000_000 || a.Header.Get("ETag") != sum {
					t.Errorf("%d, %d bytes with the sum %s, said was %s", a.Status, len(a.Body), sum, a.Header.Get("ETag"))
					return
				}
			}
		})
	}
	for n := 2; n <= 8; n++ {
		run(t, c, &model.RunJobRequestBody{JobId: job})
		checkStatus(t, await(t, c, job, n), "SUCCESS")
	}
	close(done)
	clients.Wait()
}
