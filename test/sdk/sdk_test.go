// Package sdk_test points programs of the official SDK at a whole server, as docs/sdks.md tells users to: the documented sample and
// everything that the SDK does by itself to find its way.
package sdk_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// scratch is where the programs of the tests are built.
var scratch string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "atelier-sdk-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

// ownSample returns the program of ./sample.
var ownSample = sync.OnceValues(func() (string, error) { return goBuild("sample", "./sample") })

// goBuild builds a program, with the race detector if the test has it, so that both use the same compiled packages.
func goBuild(name, pkg string) (string, error) {
	program := filepath.Join(scratch, name)
	args := []string{"build", "-o", program}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, pkg)...).CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return program, nil
}

// madeBuild is a build that has ended.
type madeBuild struct {
	job    string
	number int32
}

func (b madeBuild) path() string {
	return "/v3/jobs/" + b.job + "/" + strconv.Itoa(int(b.number)) + "/record-info"
}

// makeBuild runs a command as a build of a tag of a real repository, and waits for its end.
func makeBuild(t *testing.T, s *servertest.Server, command string) madeBuild {
	t.Helper()
	repo := s.NewRepository("app")
	repo.Write("README.md", "# App\n")
	repo.Commit("Begin")
	repo.Git("tag", "v1.0")
	c := s.Client(s.Developer)
	made, err := c.CreateNewJob(&model.CreateNewJobRequest{Body: &model.CreateBuildJobRequestBody{
		JobName: "release", ProjectId: s.Project, Arch: servertest.Arch,
		Scms: &[]model.CreateBuildJobScm{{
			Url: repo.URL(), ScmType: "codehub", Branch: new("main"), BuildType: new("tag"), RepoId: new("568398"), RepoName: new("app"),
		}},
		Steps: []model.CreateBuildJobSteps{{ModuleId: "sh", Name: "Release", Properties: map[string]any{"command": command}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	job := *made.Result.JobId
	started, err := c.RunJob(&model.RunJobRequest{Body: &model.RunJobRequestBody{JobId: job, Scm: &model.Scm{BuildTag: new("v1.0")}}})
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(*started.ActualBuildNumber)
	if err != nil {
		t.Fatal(err)
	}
	b := madeBuild{job, int32(number)}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); ; {
		record, err := c.ShowRecordInfo(b.request())
		if err != nil {
			t.Fatal(err)
		}
		if record.Result.FinishTime != nil {
			return b
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("the build is still %s", *record.Result.Status)
		}
	}
}

func (b madeBuild) request() *model.ShowRecordInfoRequest {
	return &model.ShowRecordInfoRequest{JobId: b.job, BuildNo: b.number}
}

// wantRefusal checks the error of the SDK.
func wantRefusal(t *testing.T, err error, status int, code string, words ...string) {
	t.Helper()
	e, ok := errors.AsType[*sdkerr.ServiceResponseError](err)
	if !ok || e.StatusCode != status || e.ErrorCode != code || e.RequestId == "" {
		t.Errorf("want %d %s with a request id, got %v", status, code, err)
		return
	}
	for _, word := range words {
		if !strings.Contains(e.ErrorMessage, word) {
			t.Errorf("the message does not say %q: %s", word, e.ErrorMessage)
		}
	}
}
