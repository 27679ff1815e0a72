package api_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/iam/signature"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// TestAuditLog changes things, and finds in the audit log who did.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	task := shell(s, "demo", "true")
	task.Parameters = &[]model.CreateBuildJobParameter{parameter("TOKEN", "dont-show-this", "sensitiveVar", "true")}
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})
	await(t, c, job, 1)
	ok(t, c.DisableTheJob, &model.DisableTheJobRequest{JobId: job, Body: &model.DisableTheJobRequestBody{Disabled: true}})
	ok(t, c.DisableTheJob, &model.DisableTheJobRequest{JobId: job, Body: &model.DisableTheJobRequestBody{Disabled: false}})
	file := uploadFile(t, s, s.Developer, "a.pem", "dont-show-this")
	ok(t, c.UpdateKeystore, &model.UpdateKeystoreRequest{Id: file, Body: &model.UpdateKeystoreRequestBody{Id: file, KeystoreName: "b.pem", Description: "dont-show-this"}})
	template := *ok(t, c.CreateTemplate, &model.CreateTemplateRequest{Body: &model.CreateTemplatesRequestBody{Name: "dont-show-this", Template: &model.CreateTemplate{Steps: []model.CreateTemplateSteps{{ModuleId: "sh", Name: new("Run"), Properties: map[string]any{"command": "true"}}}}}}).Result.Uuid
	ok(t, c.DeleteTemplate, &model.DeleteTemplateRequest{Uuid: template})
	tests := shell(s, "tests", `echo '<testsuite name="s" tests="1" time="0.1"><testcase name="c" time="0.1"/></testsuite>' > TEST-s.xml`)
	collect(&tests.Steps[0], "file", "TEST-*.xml")
	tested := create(t, c, tests)
	run(t, c, &model.RunJobRequestBody{JobId: tested})
	await(t, c, tested, 1)
	s.Call(s.Developer, "POST", "/v1/record/brief?limit=1", `["00000000-0000-4000-8000-000000000000"]`) // which changes nothing
	s.Call(s.Developer, "DELETE", "/v1/job/batch-delete", `{"job_ids": ["dont-show-this?"]}`)
	viewer := s.NewUser("viewer")
	s.Grant(s.Project, viewer, iam.Viewer)
	s.Call(viewer, "DELETE", "/v1/job/"+job+"/delete", "")
	s.Call(s.Developer, "DELETE", "/v2/keystore/"+file+"/delete", "")
	s.Send(s.Request("DELETE", "/v1/job/"+job+"/delete", "")) // nobody knows who that was

	log, err := os.Open(filepath.Join(s.Config.DataDir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if info, err := log.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v, %v", info.Mode(), err)
	}
	var got []string
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if strings.Contains(lines.Text(), "dont-show-this") {
			t.Errorf("it holds a secret: %s", lines.Text())
		}
		e := decoded[struct {
			Msg, Operation, Path string
			About                map[string][]string
			UserName             string `json:"user_name"`
			Status               int
			RequestID            string `json:"request_id"`
			Source               string
		}](t, lines.Text())
		if e.Msg == "uploadReport" {
			e.Status, e.RequestID, e.Source = 200, strings.Repeat("0", 32), "127.0.0.1:" // a build did it, and no request
		}
		if len(e.RequestID) != 32 || !strings.HasPrefix(e.Source, "127.0.0.1:") {
			t.Errorf("%s", lines.Text())
		}
		what := slices.Concat(e.About["job_id"], e.About["build_no"], e.About["actual_build_number"], e.About["keystore_id"], e.About["id"], e.About["uuid"])
		got = append(got, fmt.Sprint(e.Msg, " ", e.UserName, " ", e.Status, " ", what))
	}
	want := []string{
		"createJob dev 200 [" + job + "]", "buildJob dev 200 [" + job + " 1]", "disableJob dev 200 [" + job + "]", "enableJob dev 200 [" + job + "]",
		"uploadKeystore dev 200 [" + file + "]", "updateKeystore dev 200 [" + file + "]", "createCustomTemplate dev 200 [" + template + "]", "deleteCustomTemplate dev 200 [" + template + "]",
		"createJob dev 200 [" + tested + "]", "buildJob dev 200 [" + tested + " 1]", "uploadReport dev 200 [" + tested + " 1]",
		"deleteJob dev 400 []", "deleteJob viewer 403 [" + job + "]", "deleteKeystore dev 200 [" + file + "]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestAccessLog finds requests in the server's log, with what was answered.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	log := &lines{}
	s := servertest.Start(t, func(c *server.Config) { c.AccessLog, c.Log = true, slog.New(slog.NewTextHandler(log, nil)) })
	a := s.Call(s.Developer, "GET", "/v3/"+s.Project+"/jobs?page_size=1", "")
	s.Send(s.Request("GET", "/v3/nothing", ""))
	for _, path := range []string{"/", "/docs", "/console/docs.js", "/openapi.yaml"} {
		if page := s.Send(s.Request("GET", path, "")); page.Status != http.StatusOK || len(page.Header.Get("X-Request-Id")) != 32 {
			t.Errorf("%s is answered with %d %v", path, page.Status, page.Header)
		}
	}
	text := log.String()
	for _, want := range []string{
		"msg=request method=GET path=/v3/" + s.Project + "/jobs status=200 bytes=" + strconv.Itoa(len(a.Body)), "request_id=" + a.Header.Get("X-Request-Id"),
		"path=/v3/nothing status=404", "path=/console/docs.js status=200",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestRateLimit asks more often than one key may.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(c *server.Config) { c.Rate = 1 })
	refused := 0
	for range 20 {
		a := s.Call(s.Developer, "GET", "/v3/"+s.Project+"/jobs?page_size=1", "")
		switch a.Status {
		case http.StatusOK:
		case http.StatusTooManyRequests:
			refused++
			checkProblem(t, s, a, 429, "APIGW.0308", "The throttling threshold has been reached")
			if after, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || after < 1 {
				t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
			}
		default:
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	if refused == 0 {
		t.Error("20 requests at once are not too many for one in a second")
	}
	if a := s.Call(s.Admin, "GET", "/v3/"+s.Project+"/jobs?page_size=1", ""); a.Status != 200 {
		t.Errorf("somebody else is refused: %d %s", a.Status, a.Body)
	}
	other, secret, err := s.IAM().CreateKey(t.Context(), s.Developer.ID, "other")
	if err != nil {
		t.Fatal(err)
	}
	second := s.Developer
	second.Key = signature.Key{Access: other.Access, Secret: secret}
	if a := s.Call(second, "GET", "/v3/"+s.Project+"/jobs?page_size=1", ""); a.Status != 200 {
		t.Errorf("another key of the same user is refused: %d %s", a.Status, a.Body)
	}
}
