package api_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// TestGone removes the log and the artifacts of a build from the disk. What asks for them gets an error that says so, never
// something empty, and the record is as it was.
func TestGone(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	task := shell(s, "app", "echo hello > app.txt")
	task.Steps = append(task.Steps, upload("file", "app.txt", "buildVersion", "1"))
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})
	record := await(t, c, job, 1)
	checkStatus(t, record, "SUCCESS")
	for _, dir := range []string{"artifacts", "logs"} {
		if err := os.RemoveAll(filepath.Join(s.Config.DataDir, dir)); err != nil {
			t.Fatal(err)
		}
	}
	id := *record.BuildRecordId
	for _, path := range []string{
		"/v3/jobs/" + job + "/1/real-time-log?offset=0",
		"/v1/log/" + job + "/1/real-time-log", "/v4/" + id + "/task-log?task_name=stage1",
		"/v4/" + id + "/download-log",
		"/v1/log/" + id + "/download-log",
		"/v1/log/" + id + "/events",
		"/v1/artifacts/" + s.Project + "/1/app.txt",
	} {
		a := s.Call(s.Developer, http.MethodGet, path, "")
		if a.Status != http.StatusNotFound || !strings.Contains(a.Body, " is gone: ") || !strings.Contains(a.Body, "error_code") {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if again := await(t, c, job, 1); *again.Status != "SUCCESS" || *again.BuildRecordId != id {
		t.Errorf("the record is %+v", again)
	}
}
