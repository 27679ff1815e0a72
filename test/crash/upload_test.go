package crash_test

import (
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"atelier/internal/iam/signature"
)

// TestKillInUpload kills the server while a build uploads a large file in place of a small one.
func TestKillInUpload(t *testing.T) {
	t.Parallel()
	in := install(t)
	s := in.start()
	var made struct {
		Result struct {
			ID string `json:"job_id"`
		}
	}
	s.call("POST", "/v1/job/create", map[string]any{
		"job_name": "upload", "project_id": s.project, "arch": map[string]string{"amd64": "x86-64", "arm64": "arm"}[runtime.GOARCH], "steps": []any{
			map[string]any{"module_id": "sh", "name": "Make", "properties": map[string]any{
				"command": `case $INCREASENUM in 2) truncate -s 16G app ;; *) echo "build $INCREASENUM" > app ;; esac`,
			}},
			map[string]any{"module_id": "upload_artifact", "name": "Upload", "properties": map[string]any{"file": "app", "buildVersion": "latest"}},
		},
	}, &made)
	job := made.Result.ID
	if r := s.awaitEnd(s.run(job)); r.Status != "SUCCESS" {
		t.Fatalf("%+v", r)
	}
	cut := s.run(job)
	s.awaitUpload()
	s.kill()

	s = in.start()
	if files, err := filepath.Glob(filepath.Join(in.dir, "artifacts", "*")); err != nil || len(files) != 1 {
		t.Errorf("in the directory of artifacts are %v, %v", files, err)
	}
	if r := s.awaitEnd(cut); r.Status != "FAILURE" {
		t.Errorf("%+v", r)
	}
	if got := s.artifact("latest/app"); got != "build 1\n" {
		t.Errorf("after the kill there is %q", got)
	}
	var output struct {
		Result struct {
			Packages map[string]any `json:"package_infos"`
		}
	}
	if s.call("GET", cut.path()+"/output-info", nil, &output); len(output.Result.Packages) > 0 {
		t.Errorf("the build has the outputs %v", output.Result.Packages)
	}
	if r := s.awaitEnd(s.run(job)); r.Status != "SUCCESS" {
		t.Errorf("%+v", r)
	}
	if got := s.artifact("latest/app"); got != "build 3\n" {
		t.Errorf("after the next build there is %q", got)
	}
	wantNothingLeft(t, in)
	s.stop()
}

// awaitUpload waits until an upload has begun and is not complete.
func (s *life) awaitUpload() {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		if files, err := filepath.Glob(filepath.Join(s.dir, "artifacts", "*.tmp")); err != nil || len(files) > 0 {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			s.t.Fatal("no upload has begun")
		}
	}
}

// artifact downloads a file of the release repository.
func (s *life) artifact(address string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/v1/artifacts/"+s.project+"/"+address, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	signature.Sign(r, nil, s.key, time.Now())
	response, err := (&http.Client{Timeout: patience}).Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s: %s: %v", address, response.Status, body, err)
	}
	return string(body)
}
