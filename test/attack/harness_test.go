package attack_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/executor/host"
	"atelier/internal/needs"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// patience bounds every wait of an attack.
const patience = time.Minute

// plainUser is whom the tests run as that are about a server which is not root. It needs no entry in the list of users.
const plainUser = 23456

// asPlainUser is set in the process that runs a test again as another user.
const asPlainUser = "ATELIER_ATTACK_AS_PLAIN_USER"

// everyUser runs a test as the present user and, where that is root, once more as a plain user in a process of its own.
func everyUser(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	if os.Getenv(asPlainUser) != "" {
		test(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Run("plain user", test)
		return
	}
	t.Run("root", test)
	t.Run("plain user", func(t *testing.T) { runAgain(t, strings.TrimSuffix(t.Name(), "/plain_user")) })
}

// runAgain runs a test of this program as the plain user and fails if it fails or does not run.
func runAgain(t *testing.T, name string) {
	t.Helper()
	scratch, err := os.MkdirTemp("", "attack-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(scratch) })
	if err := os.Chown(scratch, plainUser, plainUser); err != nil {
		t.Fatal(err)
	}
	pattern := "^" + strings.ReplaceAll(name, "/", "$/^") + "$"
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run="+pattern, "-test.v", "-test.timeout=10m")
	cmd.Dir = scratch
	cmd.Env = append(os.Environ(), asPlainUser+"=1", "HOME="+scratch, "TMPDIR="+scratch, "XDG_RUNTIME_DIR=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: plainUser, Gid: plainUser}}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("as a plain user: %v", err)
	}
	if !strings.Contains(string(out), "--- PASS: "+name) {
		t.Errorf("%s did not run as a plain user", name)
	}
}

// startServer starts a server whose builds run in the sandbox, or without one.
func startServer(t *testing.T, sandbox host.Want, options ...func(*server.Config)) *servertest.Server {
	t.Helper()
	if sandbox != host.Off {
		needs.Program(t, "bwrap")
	}
	walls := func(c *server.Config) {
		c.Isolation = host.Isolation{Want: sandbox, Users: host.Users{First: 60600, Last: 60855}}
	}
	return servertest.Start(t, append([]func(*server.Config){walls}, options...)...)
}

// startBuild starts a build of a task as the developer and returns its number.
func startBuild(t *testing.T, s *servertest.Server, task string) int32 {
	t.Helper()
	started, err := s.Client(s.Developer).RunJob(&model.RunJobRequest{Body: &model.RunJobRequestBody{JobId: task}})
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseInt(*started.ActualBuildNumber, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return int32(number)
}

// awaitEnd waits for the end of a build and returns its record.
func awaitEnd(t *testing.T, s *servertest.Server, task string, number int32) model.RecordInfoResult {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for patience := time.After(patience); ; {
		shown, err := s.Client(s.Developer).ShowRecordInfo(&model.ShowRecordInfoRequest{JobId: task, BuildNo: number})
		if err != nil {
			t.Fatal(err)
		}
		if shown.Result.FinishTime != nil {
			return *shown.Result
		}
		select {
		case <-tick.C:
		case <-patience:
			t.Fatalf("build %d is still %s\n%s", number, *shown.Result.Status, buildLog(t, s, task, number))
		}
	}
}

// buildLog returns what a build has printed so far, at most a million bytes of it.
func buildLog(t *testing.T, s *servertest.Server, task string, number int32) string {
	t.Helper()
	read, err := s.Client(s.Developer).DownloadRealTimeLog(&model.DownloadRealTimeLogRequest{JobId: task, BuildNo: number, Length: new(int32(1_000_000))})
	if err != nil {
		t.Fatal(err)
	}
	return *read.Result.Content
}

// runBuild runs a build of a task to its end and returns its status and its log.
func runBuild(t *testing.T, s *servertest.Server, task string) (status, log string) {
	t.Helper()
	number := startBuild(t, s, task)
	return *awaitEnd(t, s, task, number).Status, buildLog(t, s, task, number)
}
