package attack_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/executor/host"
	"atelier/internal/server/servertest"
)

// TestFilesOfOthers has a developer tell of a change for a task of an administrator, whose build file reads a private file of the
// administrator's: the build is the developer's.
func TestFilesOfOthers(t *testing.T) {
	t.Parallel()
	s := startServer(t, host.Off)
	uploadKey(t, s, s.Admin, "release.pem", "VERYSECRETKEY")
	repo := s.NewRepository("app")
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - download_file: {inputs: {name: release.pem}}\n    - sh: {inputs: {command: rev release.pem}}\n")
	commit := repo.Commit("The developer's")
	made, err := s.Client(s.Admin).CreateNewJob(&model.CreateNewJobRequest{Body: &model.CreateBuildJobRequestBody{
		Arch: servertest.Arch, ProjectId: s.Project, JobName: "release", BuildConfigType: new("YAML"), BuildIfCodeUpdated: new(true), Steps: []model.CreateBuildJobSteps{},
		Scms: &[]model.CreateBuildJobScm{{Url: repo.URL(), ScmType: "default", Branch: new("main")}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	task := *made.Result.JobId
	body, err := json.Marshal(map[string]any{
		"event_type": "push", "ref": "refs/heads/main", "before": strings.Repeat("0", 40), "after": commit, "repository": map[string]string{"clone_url": repo.URL()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Call(s.Developer, "POST", "/v1/job/"+task+"/auto-execute", string(body)); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	awaitNumber(t, s, task, 1)
	record, log := awaitEnd(t, s, task, 1), buildLog(t, s, task, 1)
	if *record.UserId != s.Developer.ID || *record.Status != "FAILURE" || !strings.Contains(*record.ErrMsg, "may not be used by dev, who started the build") || strings.Contains(log, "YEKTERCES") {
		t.Errorf("%+v\n%s", record, log)
	}
}

// uploadKey puts a private file into file management.
func uploadKey(t *testing.T, s *servertest.Server, owner servertest.User, name, content string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := s.Client(owner).UploadKeystore(&model.UploadKeystoreRequest{Body: &model.UploadKeystoreRequestBody{
		File: def.NewFilePart(file), Privacy: def.NewMultiPart("true"), Description: def.NewMultiPart("for the release"),
	}}); err != nil {
		t.Fatal(err)
	}
}

// awaitNumber waits until a task has a build with a number.
func awaitNumber(t *testing.T, s *servertest.Server, task string, number int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); s.Call(s.Admin, "GET", fmt.Sprintf("/v3/jobs/%s/%d/record-info", task, number), "").Status != 200; {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("there is no build %d", number)
		}
	}
}
